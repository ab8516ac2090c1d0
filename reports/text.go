package reports

import (
	"regexp"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"hybridlab/lab"
)

// Longest text taken from a verdict, in characters. A peer's own words are
// in there; the whole of them is in the run's logs.
const (
	longName = 200  // ids, axes, groups
	longText = 2000 // sentences
)

// escapes are terminal control sequences in their 7-bit form (ECMA-48
// section 5.4 CSI, 5.6 strings, ISO 2022 the rest). A string that is never
// terminated is not matched, or it would take all that follows with it.
var escapes = regexp.MustCompile(`(?s)\x1b\[[0-?]*[ -/]*[@-~]|\x1b[\]PX^_].*?(?:\x07|\x1b\\)|\x1b[ -/]*[0-OQ-WYZ\\` + "`" + `-~]`)

// clean makes s safe to show anywhere: escape sequences are removed, white
// space becomes a space, and whatever else does not print (controls, bidi
// overrides, zero-width characters, broken UTF-8) is shown as a Go escape, so
// that the reader sees it was there. At most `most` characters remain.
func clean(s string, most int) string {
	// Four bytes a character, and some room for the sequences to be removed.
	if limit := 8 * most; len(s) > limit {
		s = s[:limit]
	}
	var b strings.Builder
	n := 0
	for s := escapes.ReplaceAllString(s, ""); s != ""; n++ {
		if n == most {
			b.WriteString("…")
			break
		}
		r, size := utf8.DecodeRuneInString(s)
		b.WriteString(printable(r, s[:size]))
		s = s[size:]
	}
	return strings.TrimSpace(b.String())
}

func printable(r rune, raw string) string {
	switch {
	case r == utf8.RuneError && len(raw) == 1:
		return `\x` + strconv.FormatUint(uint64(raw[0])|0x100, 16)[1:]
	case r == '\n' || r == '\t' || r == '\r':
		return " "
	case unicode.IsPrint(r):
		return raw
	}
	return strings.Trim(strconv.QuoteRune(r), "'")
}

func name[T ~string](s T) string { return clean(string(s), longName) }

func text(s string) string { return clean(s, longText) }

func names[T ~string](list []T) []string {
	out := make([]string, len(list))
	for i, s := range list {
		out[i] = name(s)
	}
	return out
}

// capture is the file to link to: a name that came from elsewhere must not
// become a path.
func capture(v lab.Verdict) string {
	if lab.CaptureName(v.Capture) {
		return v.Capture
	}
	return ""
}

// groups is the pairing as in cell ids: one list, or "offer:accept".
func groups(v lab.Verdict) string {
	offer, accept := v.Offer.String(), v.Accept.String()
	if offer == accept {
		return offer
	}
	return offer + ":" + accept
}

func boxes(v lab.Verdict) string { return strings.Join(v.Boxes, "+") }

// path is the link and the boxes on it: a column of the matrix.
func path(v lab.Verdict) string {
	if len(v.Boxes) == 0 {
		return name(v.Link)
	}
	return name(v.Link + "/" + boxes(v))
}

// again is the command line that runs one cell of rep again.
func again(rep lab.Report, v lab.Verdict) string {
	return againBase(rep) + shell(v.Cell)
}

// againBase is that command line up to the cell's id.
func againBase(rep lab.Report) string {
	cmd := "hybridlab run "
	if rep.Fabric != "" {
		cmd += "--fabric " + shell(rep.Fabric) + " "
	}
	return cmd + "--seed " + strconv.FormatUint(rep.Seed, 10) + " --cell "
}

var shellSafe = regexp.MustCompile(`^[0-9A-Za-z@%_+=:,./-]+$`)

// shell quotes one word for a POSIX shell.
func shell(s string) string {
	s = name(s)
	if shellSafe.MatchString(s) {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// count is "1 cell", "12 cells", "1,200 cells".
func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return number(n) + " " + noun + "s"
}

// number groups thousands: 10,000.
func number(n int) string {
	s := strconv.Itoa(n)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// list is "a", "a and b", "a, b and c".
func list(words []string) string {
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	last := len(words) - 1
	return strings.Join(words[:last], ", ") + " and " + words[last]
}
