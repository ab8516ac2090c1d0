package reports

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"testing"
	"unicode"

	wrap "github.com/jedib0t/go-pretty/v6/text"

	"hybridlab/lab"
)

func terminalText(t *testing.T, rep lab.Report, vs Verdicts, o TerminalOptions) string {
	t.Helper()
	var b bytes.Buffer
	if err := Terminal(&b, rep, vs, o); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestTerminalLarge(t *testing.T) {
	golden(t, "large-terminal.txt", terminalText(t, large.report(), large.verdicts, TerminalOptions{Width: 80}))
}

// Colour adds nothing but colour.
func TestTerminalColor(t *testing.T) {
	plain := terminalText(t, small.report(), small.verdicts, TerminalOptions{})
	color := terminalText(t, small.report(), small.verdicts, TerminalOptions{Color: ColorAlways})
	if strings.Contains(plain, "\x1b") {
		t.Error("escape sequences in a file although nobody asked for colour")
	}
	if !strings.Contains(color, "\x1b[1;35mS\x1b[0m") {
		t.Error("no coloured letter although colour was asked for")
	}
	if got := escapes.ReplaceAllString(color, ""); got != plain {
		t.Errorf("without its colours the output differs:\n%s\n%s", got, plain)
	}
}

func TestColorOnTerminalOnly(t *testing.T) {
	tty, err := os.Open("/dev/ptmx")
	if err != nil {
		t.Skipf("no pseudo terminal to try it on: %v", err)
	}
	defer tty.Close()
	file, err := os.Create(t.TempDir() + "/out")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for _, c := range []struct {
		f             *os.File
		noColor, term string
		mode          ColorMode
		want          bool
	}{
		{tty, "", "xterm", ColorAuto, true},
		{tty, "1", "xterm", ColorAuto, false},
		{tty, "", "dumb", ColorAuto, false},
		{tty, "1", "xterm", ColorAlways, true},
		{tty, "", "xterm", ColorNever, false},
		{file, "", "xterm", ColorAuto, false},
		{file, "", "xterm", ColorAlways, true},
	} {
		t.Setenv("NO_COLOR", c.noColor)
		t.Setenv("TERM", c.term)
		if got := (TerminalOptions{Color: c.mode}).color(c.f); got != c.want {
			t.Errorf("%s, NO_COLOR=%q TERM=%q mode %d: colour %t, want %t", c.f.Name(), c.noColor, c.term, c.mode, got, c.want)
		}
	}
}

// Whatever a peer said, the terminal gets printable characters and newlines,
// and no line that the hostile text made.
func TestTerminalHostile(t *testing.T) {
	rep, vs := spikedRun()
	out := terminalText(t, rep, vs, TerminalOptions{})
	for i, line := range strings.Split(out, "\n") {
		if j := strings.IndexFunc(line, func(r rune) bool { return !unicode.IsPrint(r) }); j >= 0 {
			t.Errorf("line %d: %q", i+1, line)
		}
	}
	if strings.Contains(out, "\nbreak") {
		t.Error("a line break of a peer's made it to the terminal")
	}
}

// The matrix folds rather than overflow: names, then numbers, then counts.
func TestMatrixWidth(t *testing.T) {
	for _, c := range []struct {
		links int
		want  string
	}{
		{2, "a-rather-long-link-00  a-rather-long-link-01"},
		{9, " 1  2  3  4  5  6  7  8  9\n"},
		{40, "offer:accept"},
	} {
		s := sample{clients: small.clients[:1], servers: small.servers[:1], cases: small.cases}
		for i := range c.links {
			s.links = append(s.links, fmt.Sprintf("a-rather-long-link-%02d", i))
		}
		out := terminalText(t, s.report(), s.verdicts, TerminalOptions{Width: 80})
		matrix, _, _ := strings.Cut(out, "did what both")
		_, matrix, _ = strings.Cut(matrix, "-> go@1.26\n")
		if !strings.Contains(matrix, c.want) {
			t.Errorf("%d links: no %q in\n%s", c.links, c.want, matrix)
		}
		if w := wrap.LongestLineLen(matrix); w > 80 {
			t.Errorf("%d links: %d columns wide:\n%s", c.links, w, matrix)
		}
	}
}

// Many pairs do not scroll the answer away.
func TestMatrixHeight(t *testing.T) {
	s := sample{cases: small.cases[:1], links: []string{"clean"}}
	for i := range 30 {
		s.clients = append(s.clients, lab.PeerID(fmt.Sprintf("c@%02d", i)))
		s.servers = append(s.servers, lab.PeerID(fmt.Sprintf("s@%02d", i)))
	}
	out := terminalText(t, s.report(), s.verdicts, TerminalOptions{})
	if n := strings.Count(out, "\n"); n > 200 || !strings.Contains(out, "900 of 900 pairs had only what was predicted") {
		t.Errorf("%d lines:\n%s", n, out)
	}
}
