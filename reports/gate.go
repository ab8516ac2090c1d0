package reports

import (
	"bufio"
	"fmt"
	"io"
	"strconv"

	"hybridlab/lab/compare"
	"hybridlab/lab/gate"
)

// Gate writes an answer and what it rests on for a terminal.
func Gate(w io.Writer, before, after gate.Side, d gate.Decision, c *compare.Comparison, o TerminalOptions) error {
	buf := bufio.NewWriter(w)
	t := &terminal{w: buf, width: o.width(w), color: o.color(w)}
	t.para("", t.paint("1", text(d.Sentence(before, after))))
	for _, m := range d.Measured {
		t.para("  ", measured(m))
	}
	for i, r := range d.Reasons {
		if i > 0 {
			t.para("  ", "also: "+text(r))
		}
	}
	for _, n := range d.Notes {
		t.para("  ", "note: "+text(n))
	}
	t.line("")
	if err := buf.Flush(); err != nil {
		return err
	}
	return Diff(w, c, o)
}

// GateMarkdown writes the same for a pull request.
func GateMarkdown(w io.Writer, before, after gate.Side, d gate.Decision, c *compare.Comparison) error {
	b := bufio.NewWriter(w)
	fmt.Fprintf(b, "## hybridlab gate: %s\n\n", prose(text(d.Sentence(before, after))))
	for _, m := range d.Measured {
		fmt.Fprintf(b, "- %s\n", prose(measured(m)))
	}
	for _, r := range d.Reasons[min(1, len(d.Reasons)):] {
		fmt.Fprintf(b, "- also: %s\n", prose(text(r)))
	}
	for _, n := range d.Notes {
		fmt.Fprintf(b, "- note: %s\n", prose(text(n)))
	}
	fmt.Fprintln(b)
	if err := b.Flush(); err != nil {
		return err
	}
	return DiffMarkdown(w, c)
}

func measured(m gate.Measure) string {
	share := func(f float64) string { return strconv.FormatFloat(float64(int(f*10000+0.5))/100, 'f', -1, 64) + "%" }
	ok := "ok"
	if !m.OK {
		ok = "NOT ok"
	}
	return fmt.Sprintf("%s %s of %s, limit %s: %s", m.What, share(m.Value), count(m.Cells, "handshake"), share(m.Limit), ok)
}
