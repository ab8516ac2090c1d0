//go:build browser

package reports

import (
	"fmt"
	"strings"
	"testing"

	devtools "github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"

	"hybridlab/lab"
)

// pdf prints the open page and counts the sheets.
func (tb *tab) pdf() int {
	tb.Helper()
	const mm = 1 / 25.4
	res, err := chromedp.Call(tb.ctx, devtools.PrintToPDF, devtools.PrintToPDFParams{PaperWidth: 210 * mm, PaperHeight: 297 * mm, PreferCSSPageSize: new(true)})
	if err != nil {
		tb.Fatal(err)
	}
	return strings.Count(string(res.Data), "/Type /Page\n") + strings.Count(string(res.Data), "/Type /Page ")
}

// The summary of a finding is one sheet of A4, fits every screen, and asks for
// nothing; and there is no more to a finding than fits.
func TestSummaryInBrowser(t *testing.T) {
	f := reset()
	f.Verdict.Why, f.Verdict.Traced, f.Verdict.Remedy = strings.Repeat("a RST reached the client ", 40), strings.Repeat("x25519 alone passes; ", 99), strings.Repeat("Update it. ", 9)
	for i := range 20 {
		f.Verdict.Evidence = append(f.Verdict.Evidence, i)
		f.Verdict.Triage = append(f.Verdict.Triage, lab.Trial{Changed: "x25519 alone, padded to 400 bytes, its first segment 20 bytes", Cell: fmt.Sprint(i), Outcome: lab.Size, Cause: lab.CauseRSTAfterHello})
		f.Capture.Packets = append(f.Capture.Packets, f.Capture.Packets[6])
	}
	full := open(t, accounted(t, f)[summaryFile], "", 900)
	if n, rows := full.pdf(), full.count("tbody tr"); n != 1 || rows != mostSteps+mostCompared {
		t.Errorf("a full one has %d rows on %d sheets", rows, n)
	}
	page := accounted(t, reset())[summaryFile]
	for _, width := range []int64{400, 900, 2560} {
		tb := open(t, page, "", width)
		tb.fits()
		if n := tb.pdf(); n != 1 {
			t.Errorf("it is printed on %d sheets", n)
		}
		if got := tb.text("h1"); got != "The ClientHello was answered with a TCP reset" {
			t.Errorf("the title is %q", got)
		}
		tb.calm()
	}
}

// The whole corpus in the summary, each string in one of its fields: nothing
// runs, nothing is asked for, and the page stays in its frame.
func TestCorpusInSummaryInBrowser(t *testing.T) {
	used := 0
	next := func() string {
		used++
		return corpus[(used-1)%len(corpus)]
	}
	for pages := 0; used < len(corpus); pages++ {
		if pages > 40 {
			t.Fatal("a page takes in too few of the strings")
		}
		tb := open(t, accounted(t, spoken(next))[summaryFile], "", 900)
		if eval[bool](tb, `"pwned" in window`) {
			t.Errorf("page %d: a hostile string was executed", pages)
		}
		if n := tb.count("script, img, iframe, object, embed, base, link, form, video, math, svg, template, input, a, [onerror], [onload], [style]"); n > 0 {
			t.Errorf("page %d: hostile strings made %d elements", pages, n)
		}
		tb.fits()
		if n := tb.pdf(); n > 3 {
			t.Errorf("page %d is printed on %d sheets", pages, n)
		}
		tb.calm()
	}
}
