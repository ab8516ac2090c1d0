package reports

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"hybridlab/lab"
	"hybridlab/lab/history"
)

// nights are n runs, one a night, in which things come and go.
func nights(n int) []history.Run {
	peers := []history.Peer{{ID: "go@1.26", Version: "go1.26.3"}, {ID: "nginx@trixie", Version: "nginx/1.26.3"}, {ID: "openssl@trixie", Version: "OpenSSL 3.5.4 30 Sep 2025"}, {ID: "haproxy@trixie", Version: "HAProxy version 3.0.11"}}
	var out []history.Run
	for i := range n {
		r := history.Run{
			Schema: history.Schema, ID: fmt.Sprintf("2026%02d%02d-030000-%04x", 10+i/30, 1+i%30, i*7919%65536), Started: time.Date(2026, 10, 1, 3, 0, 0, 0, time.UTC).AddDate(0, 0, i),
			Seconds: 1200 + float64(i*37%200), Tool: fmt.Sprintf("%012x", 0x5c990e2a0000+i/3), Fabric: "containers", Level: "full", Plan: "4be1f0c2a9d35e77", Cells: 12480, Judged: 12480,
			Unexpected: 24, Times: &history.Times{Sample: 9000, P50: 14 + float64(i*31%7)/3, P95: 210 + float64(i*53%40)},
			Peers: slices.Clone(peers), Findings: []history.Finding{},
		}
		size := 311
		if i > n/2 {
			size = 402
			r.Peers[1].Version = "nginx/1.28.0"
		}
		r.Counts = map[lab.Outcome]int{lab.Hybrid: 5210 - size + i%9, lab.Classical: 2930 - i%9, lab.Refused: 4005, lab.Downgrade: 24, lab.Size: size, lab.Inconclusive: i % 4}
		for c := range peers {
			for s := range peers {
				hybrid := 330 - 15*c - 8*s
				if i > n/2 && s == 1 {
					hybrid -= 90
				}
				r.Pairs = append(r.Pairs, history.Pair{Client: peers[c].ID, Server: peers[s].ID, Sessions: map[lab.Session]int{
					lab.SessionHybrid: hybrid + (i*c+s)%6, lab.SessionClassical: 150, lab.SessionFallback: 12 + s, lab.SessionFailed: 20, lab.SessionRefused: 250,
				}})
			}
		}
		find := func(c, s int, o lab.Outcome, cause lab.Cause, blame, known string, cells int) {
			f := history.Finding{Client: peers[c].ID, Server: peers[s].ID, Outcome: o, Cause: cause, Blame: blame, Known: known, Cells: cells, Example: string(peers[c].ID) + "/" + string(peers[s].ID) + "/x25519mlkem768/mtu1280-icmp-eaten"}
			f.ID = fmt.Sprintf("%s/%s/%s/%s/%s", f.Client, f.Server, o, cause, blame)
			r.Findings = append(r.Findings, f)
		}
		find(0, 2, lab.Size, lab.CausePMTUBlackhole, "link", "", 311)
		find(2, 2, lab.Downgrade, lab.CauseServerPreferredClassical, "server", "openssl-takes-classical", 24)
		if i > n/2 {
			find(0, 1, lab.Size, lab.CauseRSTAfterHello, "server", "", 91)
		}
		if i == n/3 {
			find(1, 3, lab.Failure, lab.CauseOfAlert("handshake_failure"), "server", "", 3)
			r.Judged -= 200
		}
		if i == n-1 {
			find(3, 1, lab.Misroute, lab.CauseWrongServer, "box first-segment-router", "", 12)
		}
		out = append(out, r)
	}
	return out
}

func trendText(t testing.TB, runs []history.Run) string {
	t.Helper()
	var b bytes.Buffer
	if err := Trend(&b, runs); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestTrendGolden(t *testing.T) {
	for file, runs := range map[string][]history.Run{"trend.html": nights(12), "trend-one.html": nights(1), "trend-none.html": nil} {
		golden(t, file, hashes.ReplaceAllString(strings.ReplaceAll(trendText(t, runs), trendCSS, ""), "-src HASH"))
	}
}

// The page has no script, asks for nothing, and its policy says so.
func TestTrendPolicy(t *testing.T) {
	page := trendText(t, nights(40))
	for _, n := range nodes(t, page) {
		if n.Data == "script" || n.Data == "link" || n.Data == "img" || n.Data == "iframe" || attr(n, "src") != "" || attr(n, "href") != "" || attr(n, "style") != "" {
			t.Errorf("element %s %v", n.Data, n.Attr)
		}
		if p := attr(n, "content"); attr(n, "http-equiv") == "Content-Security-Policy" && (!strings.HasPrefix(p, "default-src 'none'; style-src "+source(trendCSS)) || strings.Contains(p, "script") || strings.Contains(p, "unsafe")) {
			t.Errorf("policy %q", p)
		}
	}
	if !strings.Contains(page, "Content-Security-Policy") {
		t.Error("there is no policy")
	}
}

// What came from elsewhere makes no element that harmless text does not make.
func TestTrendHostile(t *testing.T) {
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
	known := append(vocabulary(trendText(t, nights(100))), vocabulary(trendText(t, nights(1)))...)
	runs := nights(2)
	for _, s := range hostile {
		id := lab.PeerID(s)
		runs[1].Peers = append(runs[1].Peers, history.Peer{ID: id, Version: s})
		runs[1].Pairs = append(runs[1].Pairs, history.Pair{Client: id, Server: id, Sessions: map[lab.Session]int{lab.SessionHybrid: 1, lab.Session(s): 1}})
		runs[1].Findings = append(runs[1].Findings, history.Finding{ID: s, Client: id, Server: id, Outcome: lab.Outcome(s), Cause: lab.Cause(s), Blame: s, Known: s, Cells: 1, Example: s})
		runs[1].Counts[lab.Outcome(s)] = 1
	}
	runs[1].ID, runs[1].Tool, runs[1].Fabric, runs[1].Level = hostile[0], hostile[1], hostile[2], hostile[3]
	page := trendText(t, runs)
	for _, v := range vocabulary(page) {
		if !slices.Contains(known, v) {
			t.Errorf("hostile text made %q", v)
		}
	}
	for _, r := range page {
		if r == 0x1b || r == 0x202e || r == 0x9b || r == 0 {
			t.Errorf("%U is in the page", r)
		}
	}
}

// The page says what is in the history: what is new, gone and different, once
// each.
func TestTrendSaysWhatChanged(t *testing.T) {
	page := trendText(t, nights(12))
	for text, times := range map[string]int{
		"<h1>1 new finding in the last run.</h1>": 1,
		"connection reached":                      0,
		"<h4>New</h4>":                            3, // a failure, what nginx does from then on, and the last night's
		"<h4>Gone</h4>":                           1, // the failure
		"nginx@trixie is nginx/1.28.0 now; it was nginx/1.26.3.": 1,
		"In 7 runs nothing was new and nothing gone.":            1,
		`<tr class="incomplete">`:                                1,
		"12,280 of 12,480":                                       1,
		"there are older":                                        0,
	} {
		if got := strings.Count(page, text); got != times {
			t.Errorf("%q is there %d times, want %d", text, got, times)
		}
	}
	long := trendText(t, nights(mostRuns+5))
	if !strings.Contains(long, "5 older are in the history file") || strings.Count(long, "<tr><th>2")+strings.Count(long, "<tr><th>")+strings.Count(long, `<tr class="incomplete"><th>`) < mostRuns {
		t.Error("a long history is not cut, or is cut too short")
	}
}

func TestTrendOnAFullDisk(t *testing.T) {
	if err := Trend(&full{room: 100}, nights(3)); !errors.Is(err, errFull) {
		t.Errorf("error %v", err)
	}
}

func TestCurve(t *testing.T) {
	values := append(slices.Repeat([]float64{unknown}, 16), 1, unknown, .5, 0)
	lines, dots := curve(values, between(0, 1), "q0", func(i int) string { return fmt.Sprint(i) })
	if len(lines) != 1 || len(dots) != 3 || dots[0].Y != "4.00%" || dots[2].Y != "96.00%" || dots[0].X != "82.50%" || lines[0].X1 != "92.50%" || lines[0].X2 != "97.50%" || dots[0].Quiet || !dots[1].Quiet || dots[2].Quiet {
		t.Errorf("lines %v, dots %v: a gap is not bridged, the ends are in the picture, and what stands alone is seen", lines, dots)
	}
	if x := place(0, 1); math.Abs(x-100*13.5/leastSlots) > 1e-9 {
		t.Errorf("the only run stands at %f%%", x)
	}
	if s := logarithmic(10, 1000); s(10) != 0 || s(1000) != 1 || math.Abs(s(100)-.5) > 1e-9 {
		t.Errorf("logarithmic: 10 at %f, 100 at %f, 1,000 at %f", s(10), s(100), s(1000))
	}
	if _, _, ok := extent(unknown, unknown); ok {
		t.Error("what is not known has an extent")
	}
}
