//go:build browser

package reports

import (
	"testing"

	"hybridlab/lab"
	"hybridlab/lab/history"
)

// TestTrendInBrowser: the page makes no trouble, fits every width but for the
// table, which scrolls by itself, and its pictures show every run.
func TestTrendInBrowser(t *testing.T) {
	for _, n := range []int{1, mostRuns + 5} {
		page := trendText(t, nights(n))
		for _, width := range []int64{320, 400, 1280, 2560} {
			tb := open(t, page, "", width)
			if over := eval[int](tb, `document.scrollingElement.scrollWidth - document.scrollingElement.clientWidth`); over > 0 {
				t.Errorf("%d runs at %d px: %d px too wide", n, width, over)
			}
			if outside := eval[int](tb, `[...document.querySelectorAll(".plot")].filter((p) => { const r = p.getBoundingClientRect(); return [...p.children].some((e) => { const s = e.getBoundingClientRect(); return s.left < r.left - 4 || s.right > r.right + 4 || s.top < r.top - 4 || s.bottom > r.bottom + 4; }); }).length`); outside > 0 {
				t.Errorf("%d runs at %d px: %d pictures have something outside", n, width, outside)
			}
			shown := min(n, mostRuns)
			if got := tb.count(".runs tbody tr"); got != shown {
				t.Errorf("%d rows for %d runs", got, shown)
			}
			if got := tb.count("figure:last-child circle"); got != 2*shown {
				t.Errorf("%d values in the picture of times, want two of %d runs", got, shown)
			}
			tb.calm()
		}
	}
}

// What names bring in stays text.
func TestTrendHostileInBrowser(t *testing.T) {
	runs := nights(2)
	for _, s := range hostile {
		id := lab.PeerID(s)
		runs[1].Pairs = append(runs[1].Pairs, history.Pair{Client: id, Server: id, Sessions: map[lab.Session]int{lab.SessionHybrid: 1}})
		runs[1].Findings = append(runs[1].Findings, history.Finding{ID: s, Client: id, Server: id, Outcome: lab.Outcome(s), Cause: lab.Cause(s), Cells: 1, Example: s})
	}
	tb := open(t, trendText(t, runs), "", 400)
	if got := tb.count(".found li"); got == 0 {
		t.Error("no finding is shown")
	}
	tb.calm()
}
