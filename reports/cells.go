package reports

import (
	"bufio"
	"encoding/json"
	"fmt"
	"slices"

	"hybridlab/lab"
)

// The cells travel in the page as one JSON data block, a line each:
//
//	{"again": "hybridlab run ... --cell ", "outcomes": [["hybrid", "H", "pass"], ...], "links": [["clean", rtt, mss], ...], "rows": [
//	["go@1.26/...", "go@1.26", ...],
//	...]}
//
// Most strings repeat, so a string is written out once and is a number
// afterwards: its place among the strings written out before it. Zero is the
// empty string, that is "not known". In places that hold numbers a number is
// a number. The names of the places are in page.js.
type dictionary struct{ known map[string]int }

func newDictionary() *dictionary { return &dictionary{map[string]int{"": 0}} }

// ref is s in a row: itself the first time, its number from then on.
func (d *dictionary) ref(s string) any {
	if i, ok := d.known[s]; ok {
		return i
	}
	d.known[s] = len(d.known)
	return s
}

func (d *dictionary) refs(ss []string) []any {
	out := make([]any, len(ss))
	for i, s := range ss {
		out[i] = d.ref(s)
	}
	return out
}

func (d *dictionary) hellos(hs []lab.HelloSeen) []any {
	out := []any{}
	for _, h := range hs {
		out = append(out, d.ref(name(h.Message)), h.Bytes, h.Predicted)
	}
	return out
}

// row is a verdict as the page's script reads it: strings in the order of
// the row, or the numbers would be of others.
func (d *dictionary) row(v lab.Verdict) []any {
	var controls, attempts, trials []string
	times := []float64{}
	for _, c := range v.Control {
		controls = append(controls, name(c.Kind), name(c.Outcome), name(c.Cell))
	}
	for _, a := range v.Attempts {
		attempts = append(attempts, name(a.Outcome), name(a.Cause))
		times = append(times, a.HandshakeMS)
	}
	for _, t := range v.Triage {
		trials = append(trials, text(t.Changed), name(t.Outcome), name(t.Cell), name(t.Cause))
	}
	if !slices.ContainsFunc(times, func(ms float64) bool { return ms > 0 }) {
		times = times[:0] // not measured by attempt
	}
	return []any{
		name(v.Cell), // unique: not worth a place among the known
		d.ref(name(v.Client)), d.ref(name(v.Server)), d.ref(name(v.Offer.String())), d.ref(name(v.Accept.String())),
		d.ref(name(v.Link)), d.refs(names(v.Boxes)),
		d.ref(name(v.Outcome)), d.ref(name(v.Cause)), d.ref(name(v.Blame)),
		d.refs(names(v.Predicted)), d.ref(name(v.Group)), d.ref(name(v.Version)), threeWay(v.HRR),
		v.HelloBytes, v.HelloSegments, v.HelloRecords, v.HandshakeMS,
		d.ref(name(v.Trigger)), v.Threshold, d.ref(text(v.Why)), d.ref(text(v.Remedy)),
		d.refs(controls), d.refs(attempts), d.ref(capture(v)),
		d.ref(cert(v)), times, bit(v.Fallback), v.PredictedBytes, d.hellos(v.Hellos), d.ref(name(v.Known)),
		d.ref(text(v.Traced)), d.refs(trials), d.ref(v.Trigger.Unit()), v.TriageRuns, d.ref(name(v.Like)), d.ref(name(v.Reused)),
	}
}

// cert is the kind of the server's certificate; empty: the usual one.
func cert(v lab.Verdict) string {
	if v.Cert == lab.DefaultCert {
		return ""
	}
	return name(v.Cert)
}

// threeWay is 0 unknown, 1 no, 2 yes.
func threeWay(b *bool) int {
	switch {
	case b == nil:
		return 0
	case *b:
		return 2
	}
	return 1
}

// writeCells streams the data block. json.Marshal escapes <, >, & and the
// line separators, so no string in it can end the script element.
func writeCells(b *bufio.Writer, rep lab.Report, verdicts Verdicts) error {
	again, err := json.Marshal(againBase(rep))
	if err != nil {
		return fmt.Errorf("encode cells: %w", err)
	}
	outcomes, err := json.Marshal(outcomeTable())
	if err != nil {
		return fmt.Errorf("encode cells: %w", err)
	}
	links, err := json.Marshal(linkTable(rep.Links))
	if err != nil {
		return fmt.Errorf("encode cells: %w", err)
	}
	fmt.Fprintf(b, `<script type="application/json" id="cells">{"again":%s,"outcomes":%s,"links":%s,"rows":[`, again, outcomes, links)
	d, first := newDictionary(), true
	err = each(verdicts, func(v lab.Verdict) error {
		line, err := json.Marshal(d.row(v))
		if err != nil {
			return err
		}
		if !first {
			b.WriteByte(',')
		}
		first = false
		b.WriteByte('\n')
		_, err = b.Write(line)
		return err
	})
	if err != nil {
		return err
	}
	_, err = b.WriteString("]}</script>\n")
	return err
}

// linkTable is name, round trip in milliseconds and MSS of every link.
func linkTable(links []lab.LinkInfo) [][3]any {
	out := [][3]any{}
	for _, l := range links {
		out = append(out, [3]any{name(l.Name), l.RTTMS, mss(l)})
	}
	return out
}

// ethernet is the MTU of what is no jumbo link, bytes.
const ethernet = 1500

// mss is the TCP payload that fits one packet on the link, without options.
func mss(l lab.LinkInfo) int {
	mtu, headers := l.MTU, 40
	if mtu == 0 {
		mtu = ethernet
	}
	if l.IPv6 {
		headers = 60
	}
	return max(mtu-headers, 0)
}

// outcomeTable is name, letter and kind of every outcome, in report order.
func outcomeTable() [][3]string {
	var out [][3]string
	for _, o := range lab.Outcomes {
		kind := "neither"
		switch {
		case o.Pass():
			kind = "pass"
		case o.Finding():
			kind = "finding"
		}
		out = append(out, [3]string{string(o), o.Letter(), kind})
	}
	return out
}
