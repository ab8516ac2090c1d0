package reports

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/url"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/html"

	"hybridlab/lab"
)

func pageText(t testing.TB, rep lab.Report, vs Verdicts) string {
	t.Helper()
	return sourced(t, rep, vs, nil)
}

// sourced is the page of a run that kept more than its verdicts.
func sourced(t testing.TB, rep lab.Report, vs Verdicts, src Source) string {
	t.Helper()
	var b bytes.Buffer
	if err := HTML(&b, rep, vs, src); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func nodes(t *testing.T, page string) []*html.Node {
	t.Helper()
	doc, err := html.Parse(strings.NewReader(page))
	if err != nil {
		t.Fatal(err)
	}
	var out []*html.Node
	for n := range doc.Descendants() {
		if n.Type == html.ElementNode {
			out = append(out, n)
		}
	}
	return out
}

func attr(n *html.Node, key string) string {
	for _, a := range n.Attr {
		if a.Key == key {
			return a.Val
		}
	}
	return ""
}

// The policy allows the one style and the one script in the page, by hash,
// and nothing else.
func TestPolicy(t *testing.T) {
	var policy string
	for _, n := range nodes(t, pageText(t, small.report(), small.verdicts)) {
		if attr(n, "http-equiv") == "Content-Security-Policy" {
			policy = attr(n, "content")
		}
		if n.Data != "style" && n.Data != "script" || attr(n, "type") == "application/json" {
			continue
		}
		sum := sha256.Sum256([]byte(n.FirstChild.Data))
		want := n.Data + "-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "';"
		if !strings.Contains(policy, want) {
			t.Errorf("policy %q does not allow the page's own %s: want %s", policy, n.Data, want)
		}
	}
	if !strings.HasPrefix(policy, "default-src 'none';") || strings.Contains(policy, "unsafe") || strings.Contains(policy, "http") {
		t.Errorf("policy %q is not closed", policy)
	}
}

// A page of hostile text is made of the same elements and attributes as a
// page of harmless text, and leads nowhere.
func TestHTMLHostile(t *testing.T) {
	vocabulary := func(page string) (list []string) {
		for _, n := range nodes(t, page) {
			list = append(list, n.Data)
			for _, a := range n.Attr {
				list = append(list, n.Data+" "+a.Key)
			}
		}
		slices.Sort(list)
		return slices.Compact(list)
	}
	rep, vs := spikedRun()
	page := pageText(t, rep, vs)
	tame := sample{clients: small.clients, servers: small.servers, cases: square("x25519", "x25519mlkem768"), links: large.links, boxes: []string{"b"}}
	known := append(vocabulary(pageText(t, large.report(), large.verdicts)), vocabulary(pageText(t, tame.report(), tame.verdicts))...)
	// What only occurs where a peer has an image or is not available.
	known = append(known, "em", "small")
	for _, v := range vocabulary(page) {
		if !slices.Contains(known, v) {
			t.Errorf("hostile text made %q", v)
		}
	}
	scripts := 0
	for _, n := range nodes(t, page) {
		if href := attr(n, "href"); href != "" && !strings.HasPrefix(href, "#") {
			t.Errorf("link to %q", href)
		}
		if n.Data == "script" {
			scripts++
		}
	}
	if scripts != 3 {
		t.Errorf("%d script elements, want the data twice and the code", scripts)
	}
	if strings.ContainsAny(page, "\x1b\x00\u202e\u2028\u200b\u009b") {
		t.Error("a control character made it into the page")
	}
}

// readCells reads the data block back as page.js does.
func readCells(t *testing.T, page string) [][]any {
	t.Helper()
	var block string
	for _, n := range nodes(t, page) {
		if attr(n, "id") == "cells" {
			block = n.FirstChild.Data
		}
	}
	var data struct {
		Again    string
		Outcomes [][3]string
		Rows     [][]any
	}
	if err := json.Unmarshal([]byte(block), &data); err != nil {
		t.Fatal(err)
	}
	known := []any{""}
	resolve := func(v any) any {
		if i, ok := v.(float64); ok {
			return known[int(i)]
		}
		known = append(known, v)
		return v
	}
	numbers := []int{13, 14, 15, 16, 17, 19, 27, 28, 34}
	for _, row := range data.Rows {
		for i, v := range row {
			switch v := v.(type) {
			case []any:
				for k := range v {
					if i != 26 && (i != 29 || k%3 == 0) {
						v[k] = resolve(v[k])
					}
				}
			default:
				if i > 0 && !slices.Contains(numbers, i) {
					row[i] = resolve(v)
				}
			}
		}
	}
	return data.Rows
}

func TestCells(t *testing.T) {
	repeated := func(yield func(lab.Verdict, error) bool) {
		for v, err := range large.verdicts {
			if v.Link == "rtt100" {
				v.Traced, v.TriageRuns, v.Like, v.Trigger = "1,449 bytes and more", 7, "like", lab.TriggerMTU
				v.Triage = []lab.Trial{{Changed: "X25519 only", Cell: "other", Outcome: lab.Classical}, {Changed: "one segment", Cell: "jumbo", Outcome: lab.Failure, Cause: lab.CausePacketLoss}}
				v.Reused = "20261122-000000-0000"
				v.Cert, v.PredictedBytes, v.Fallback = "rsa4096-chain", 1449, true
				v.Attempts = append(v.Attempts, lab.Attempt{Outcome: v.Outcome, HandshakeMS: 1.5})
			}
			if !yield(v, err) {
				return
			}
		}
	}
	rows := readCells(t, pageText(t, large.report(), repeated))
	i := 0
	for v := range repeated {
		controls := []any{}
		for _, c := range v.Control {
			controls = append(controls, c.Kind, string(c.Outcome), c.Cell)
		}
		attempts, times, hellos := []any{}, []float64{}, []any{}
		for _, a := range v.Attempts {
			attempts = append(attempts, string(a.Outcome), string(a.Cause))
			times = append(times, a.HandshakeMS)
		}
		if slices.Max(times) == 0 {
			times = times[:0]
		}
		trials := []any{}
		for _, x := range v.Triage {
			trials = append(trials, x.Changed, string(x.Outcome), x.Cell, string(x.Cause))
		}
		for _, h := range v.Hellos {
			hellos = append(hellos, h.Message, h.Bytes, h.Predicted)
		}
		predicted := []any{}
		for _, p := range v.Predicted {
			predicted = append(predicted, p)
		}
		want := []any{v.Cell, string(v.Client), string(v.Server), v.Offer.String(), v.Accept.String(), v.Link, []any{},
			string(v.Outcome), string(v.Cause), v.Blame, predicted, v.Group, v.Version, float64(threeWay(v.HRR)),
			float64(v.HelloBytes), float64(v.HelloSegments), float64(v.HelloRecords), v.HandshakeMS,
			string(v.Trigger), float64(v.Threshold), v.Why, v.Remedy, controls, attempts, v.Capture, v.Cert, times, bit(v.Fallback), v.PredictedBytes, hellos, v.Known, v.Traced, trials, v.Trigger.Unit(), v.TriageRuns, v.Like, v.Reused}
		got, _ := json.Marshal(rows[i])
		if w, _ := json.Marshal(want); string(got) != string(w) {
			t.Fatalf("row %d:\n%s\nwant\n%s", i, got, w)
		}
		i++
	}
	if i != len(rows) {
		t.Errorf("%d rows for %d verdicts", len(rows), i)
	}
}

// The examples of a finding open their cell, whatever is in its name.
func TestCellLinks(t *testing.T) {
	v := judged(lab.NewCell("go@1.26", "a&cell=b#%", lab.MustOffer("x25519+~x25519mlkem768"), lab.MustOffer("x25519"), "clean"), 1)
	v.Outcome = lab.Failure
	found := false
	for _, n := range nodes(t, pageText(t, small.report(), Slice([]lab.Verdict{v}))) {
		if state, ok := strings.CutPrefix(attr(n, "href"), "#cell="); ok {
			found = true
			if got, err := url.QueryUnescape(state); err != nil || got != v.Cell || strings.ContainsAny(state, "&+#") {
				t.Errorf("link %q opens %q, %v; want %q", state, got, err, v.Cell)
			}
		}
	}
	if !found {
		t.Error("no link to the finding's cell")
	}
}

func BenchmarkHTML(b *testing.B) {
	for b.Loop() {
		if err := HTML(io.Discard, large.report(), large.verdicts, nil); err != nil {
			b.Fatal(err)
		}
	}
}
