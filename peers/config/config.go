// Package config reads out of a server's configuration file what it says about
// how to speak TLS, and leaves the rest of the file alone: where a server
// listens, what it shows and whom it serves is the lab's to say.
//
// Four languages are read: nginx's, HAProxy's, Apache's and OpenSSL's own. None
// is read as its program would: includes are not followed, variables not
// replaced. What was taken and what was left out is listed line by line, so
// that nobody has to guess what was tried.
package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Config is what a file says about TLS.
type Config struct {
	Taken []Line // in the order of the file
	Left  []Line // about TLS, and not taken: certificates, whom to trust, other files
	// Groups is the list of groups in OpenSSL's form; empty: there is none.
	Groups string
	// Only is the one version of TLS that is left of 1.2 and 1.3; empty: both.
	Only Version
	// Order says whose order of preference counts; empty: the file does not.
	Order Order
}

// Line is one setting.
type Line struct {
	Number int    // of the line of the file, from 1
	Where  string // "global" or "bind", where a language has several places
	Text   string // without what ends it
}

func (l Line) String() string { return fmt.Sprintf("%s (line %d)", l.Text, l.Number) }

// Version is a version of TLS as OpenSSL writes it.
type Version string

// The versions that can be the only one.
const (
	TLS12 Version = "TLSv1.2"
	TLS13 Version = "TLSv1.3"
)

// Order is whose order of preference counts.
type Order string

const (
	ServerOrder Order = "server"
	ClientOrder Order = "client"
)

// Language is one way of writing such a file.
type Language func(text string) (Config, error)

// Read reads a file. name is the file's name for error messages.
func (l Language) Read(name string, text []byte) (Config, error) {
	if !utf8.Valid(text) || strings.ContainsFunc(string(text), func(r rune) bool { return unicode.IsControl(r) && !strings.ContainsRune("\t\r\n", r) }) {
		return Config{}, fmt.Errorf("read %s: it is no text", name)
	}
	c, err := l(string(text))
	if err != nil {
		return Config{}, fmt.Errorf("read %s: %w", name, err)
	}
	if len(c.Taken) == 0 {
		return Config{}, fmt.Errorf("read %s: it says nothing about TLS that could be tried (includes are not followed)", name)
	}
	return c, nil
}

// At are the lines taken of one place.
func (c Config) At(where string) []string {
	var out []string
	for _, l := range c.Taken {
		if l.Where == where {
			out = append(out, l.Text)
		}
	}
	return out
}

// only says which version is left where just one is.
func only(tls12, tls13 bool) Version {
	switch {
	case tls12 && !tls13:
		return TLS12
	case tls13 && !tls12:
		return TLS13
	}
	return ""
}

// word is one word of a file.
type word struct {
	text string
	line int
}

// words splits one line the way shells do: at blanks, with quotes, a backslash
// and comments.
func words(text string, line int) ([]word, error) {
	var out []word
	var b strings.Builder
	begun, quote := false, rune(0)
	flush := func() {
		if begun {
			out = append(out, word{b.String(), line})
		}
		b.Reset()
		begun = false
	}
	runes := []rune(text)
	for i := 0; i < len(runes); i++ {
		switch r := runes[i]; {
		case r == '\\' && quote != '\'' && i+1 < len(runes):
			i++
			b.WriteRune(runes[i])
			begun = true
		case quote != 0 && r == quote:
			quote = 0
		case quote != 0:
			b.WriteRune(r)
		case r == '"' || r == '\'':
			quote, begun = r, true
		case r == '#' && !begun:
			flush()
			return out, nil
		case unicode.IsSpace(r):
			flush()
		default:
			b.WriteRune(r)
			begun = true
		}
	}
	if quote != 0 {
		return nil, fmt.Errorf("line %d: the quote %c is not closed", line, quote)
	}
	flush()
	return out, nil
}

// join writes words back as one setting; those with blanks or marks in quotes.
func join(ws []word) string {
	var out []string
	for _, w := range ws {
		text, quote := w.text, `"`
		if strings.Contains(text, quote) {
			quote = "'"
		}
		if text == "" || strings.ContainsAny(text, " \t;{}#'\"\\") {
			text = quote + text + quote
		}
		out = append(out, text)
	}
	return strings.Join(out, " ")
}

// block is what one place of a file says that may stand in several.
type block struct {
	line  int
	taken []Line
}

// sole is what all blocks say. Those that say different things cannot all be
// tried.
func sole(what string, blocks []block) ([]Line, error) {
	texts := func(b block) []string {
		var out []string
		for _, l := range b.taken {
			out = append(out, l.Text)
		}
		slices.Sort(out)
		return out
	}
	for _, b := range blocks[min(1, len(blocks)):] {
		if !slices.Equal(texts(b), texts(blocks[0])) {
			return nil, fmt.Errorf("line %d: this %s speaks TLS in another way than that of line %d: give a file with one of them", b.line, what, blocks[0].line)
		}
	}
	if len(blocks) == 0 {
		return nil, nil
	}
	return blocks[0].taken, nil
}

// byLine puts lines in the order of the file.
func byLine(ls []Line) []Line {
	slices.SortStableFunc(ls, func(a, b Line) int { return cmp.Compare(a.Number, b.Number) })
	return ls
}

// last is the value of the last setting of that name, which is its first word;
// false: there is none.
func last(ls []Line, name string) (value string, ok bool) {
	for _, l := range ls {
		if rest, is := strings.CutPrefix(l.Text, name+" "); is {
			value, ok = strings.TrimSpace(rest), true
		}
	}
	return value, ok
}

// command is the value of the last OpenSSL configuration command of one of the
// names, given as "directive Name value".
func command(ls []Line, directive string, names ...string) string {
	value := ""
	for _, l := range ls {
		f := strings.Fields(l.Text)
		if len(f) == 3 && f[0] == directive && slices.ContainsFunc(names, func(n string) bool { return strings.EqualFold(n, f[1]) }) {
			value = f[2]
		}
	}
	return value
}
