package reports

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"unicode"

	"hybridlab/lab"
	"hybridlab/lab/compare"
)

func sameID(id string) (string, int) { return id, 0 }

// sampleDiff compares the small sample with what a new OpenSSL made of it.
func sampleDiff(t *testing.T) *compare.Comparison {
	t.Helper()
	after := func(yield func(lab.Verdict, error) bool) {
		n := 0
		for v := range small.verdicts {
			n++
			if v.Server == "openssl@trixie" && v.Outcome == lab.Downgrade { // the server asks now
				v.Outcome, v.Cause, v.Blame, v.Group = lab.Hybrid, "", "", "X25519MLKEM768"
				yes := true
				v.HRR = &yes
			}
			if v.Client == "openssl@trixie" && v.HelloBytes > 1000 {
				v.HelloBytes += 12
			}
			if n == 3 {
				continue
			}
			if n == 4 {
				v.Outcome, v.Cause, v.Blame = lab.Downgrade, lab.CauseServerPreferredClassical, "server"
			}
			for i := range 100 {
				v.Attempts = append(v.Attempts, lab.Attempt{Outcome: v.Outcome, HandshakeMS: v.HandshakeMS * (1.2 + float64(i%10)/100)})
			}
			if !yield(v, nil) {
				return
			}
		}
	}
	before := func(yield func(lab.Verdict, error) bool) {
		for v := range small.verdicts {
			for i := range 100 {
				v.Attempts = append(v.Attempts, lab.Attempt{Outcome: v.Outcome, HandshakeMS: v.HandshakeMS * (1 + float64(i%10)/100)})
			}
			if !yield(v, nil) {
				return
			}
		}
	}
	rep := small.report()
	rep.Run, rep.Tool = "20261124-044400-0001", "77aa01c"
	rep.Peers = append([]lab.PeerInfo{}, rep.Peers...)
	rep.Peers[1].Version = "OpenSSL 3.6.1 27 Jan 2026"
	c, err := compare.Runs(compare.Side{Report: small.report(), Verdicts: before, Key: sameID}, compare.Side{Report: rep, Verdicts: after, Key: sameID})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func diffText(t *testing.T, c *compare.Comparison) (text, markdown string) {
	t.Helper()
	var b, m bytes.Buffer
	if err := Diff(&b, c, TerminalOptions{Width: 80, Color: ColorNever}); err != nil {
		t.Fatal(err)
	}
	if err := DiffMarkdown(&m, c); err != nil {
		t.Fatal(err)
	}
	return b.String(), m.String()
}

func TestDiffGolden(t *testing.T) {
	text, markdown := diffText(t, sampleDiff(t))
	golden(t, "diff.txt", text)
	golden(t, "diff.md", markdown)
}

func TestEveryKindHasWords(t *testing.T) {
	for _, k := range compare.Kinds {
		if kindWords[k][0] == "" {
			t.Errorf("%s has no words", k)
		}
	}
}

// TestDiffHostile: whatever peers said in either run, there are printable
// characters only, and no markup but ours.
func TestDiffHostile(t *testing.T) {
	rep, _ := spikedRun()
	rep.Peers = nil
	run := func(o lab.Outcome, version string) compare.Side {
		r := rep
		for _, s := range hostile {
			r.Peers = append(r.Peers, lab.PeerInfo{ID: lab.PeerID(s), Version: version + s})
		}
		return compare.Side{Report: r, Key: sameID, Verdicts: func(yield func(lab.Verdict, error) bool) {
			for i, s := range hostile {
				v := spiked(s, o)
				v.Cell, v.HelloBytes = fmt.Sprintf("%d %s", i, s), 100+len(version)
				if !yield(v, nil) {
					return
				}
			}
		}}
	}
	c, err := compare.Runs(run(lab.Hybrid, "1"), run(lab.Failure, "22"))
	if err != nil {
		t.Fatal(err)
	}
	text, markdown := diffText(t, c)
	for _, out := range []string{text, markdown} {
		for line := range strings.SplitSeq(out, "\n") {
			if strings.ContainsFunc(line, func(r rune) bool { return !unicode.IsPrint(r) }) {
				t.Errorf("%q", line)
			}
		}
	}
	for line := range strings.SplitSeq(markdown, "\n") {
		if strings.Contains(strings.Split(line, "`")[0], "<") && !strings.Contains(line, `\<`) {
			t.Errorf("markup of a peer's: %q", line)
		}
	}
}
