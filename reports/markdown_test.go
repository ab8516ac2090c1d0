package reports

import (
	"bytes"
	"strings"
	"testing"
)

func TestCodeSpan(t *testing.T) {
	for in, want := range map[string]string{
		"go@1.26":  "`go@1.26`",
		"":         "unknown",
		"a`b":      "`` a`b ``",
		"a```b``":  "```` a```b`` ````",
		"<b>x</b>": "`<b>x</b>`",
		"a\nb":     "`a b`",
	} {
		if got := code(in); got != want {
			t.Errorf("code(%q) = %s, want %s", in, got, want)
		}
	}
}

func TestProse(t *testing.T) {
	if got, want := prose("a *b* [c](d) <e> `f` | g & #1"), "a \\*b\\* \\[c\\]\\(d\\) \\<e\\> \\`f\\` \\| g \\& \\#1"; got != want {
		t.Errorf("prose: %s, want %s", got, want)
	}
}

// Outside its code spans a summary of hostile text has no markup but its own.
func TestMarkdownHostile(t *testing.T) {
	rep, vs := spikedRun()
	var b bytes.Buffer
	if err := Markdown(&b, rep, vs); err != nil {
		t.Fatal(err)
	}
	for line := range strings.SplitSeq(b.String(), "\n") {
		if strings.HasPrefix(line, "<") || strings.Contains(line, "**<") {
			t.Errorf("markup of a peer's: %q", line)
		}
	}
	if b.Len() > 32<<10 {
		t.Errorf("a short summary of %d bytes", b.Len())
	}
}
