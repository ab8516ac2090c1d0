// Package reports renders a run for those who act on it: Terminal for the
// engineer who just ran it, HTML for everybody after that, JUnit for a CI
// system, Markdown for its job summary, CSV for a spreadsheet, Prometheus and
// OTLP for what collects numbers, Trend for the history of many runs, and the
// published JSON schemas of the two files all of them are made from. Account
// tells one finding to somebody who has none of this, for lab/evidence to pack.
//
// Every renderer takes a lab.Report and the run's verdicts, and decides
// nothing: outcome, cause and blame are the judge's. What this package adds
// is words, grouping and order. Output depends only on what is passed in, and
// not on the order in which cells finished.
//
// Nothing a peer, a packet or a file sent is believed to be text. All of it
// goes through clean, which leaves printable characters only: no escape
// sequence reaches a terminal, no bidi control reorders a line, no control
// character breaks an XML file. Escaping for the format (HTML, XML, JSON,
// Markdown) comes on top of that, never instead.
//
// Verdicts are streamed. A renderer keeps the groups, the axes and one letter
// per cell, so that ten thousand cells and more cost a few megabytes.
package reports

import (
	"fmt"
	"iter"

	"hybridlab/lab"
)

// Verdicts yields the verdicts of a run, as reading verdicts.jsonl does. HTML
// and JUnit state counts before the cells and therefore range over it twice:
// each range must start from the beginning. An error ends the sequence.
type Verdicts = iter.Seq2[lab.Verdict, error]

// Slice makes Verdicts of what is in memory already.
func Slice(vs []lab.Verdict) Verdicts {
	return func(yield func(lab.Verdict, error) bool) {
		for _, v := range vs {
			if !yield(v, nil) {
				return
			}
		}
	}
}

// each calls f for every verdict, and stops at the first error of either.
func each(verdicts Verdicts, f func(lab.Verdict) error) error {
	n := 0
	for v, err := range verdicts {
		n++
		if err != nil {
			return fmt.Errorf("read verdict %d: %w", n, err)
		}
		if err := f(v); err != nil {
			return fmt.Errorf("render cell %q: %w", v.Cell, err)
		}
	}
	return nil
}
