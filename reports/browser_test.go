//go:build browser

package reports

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	devtools "github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"hybridlab/lab"
	"hybridlab/lab/stats"
)

// These tests need Chromium (Debian: apt-get install chromium); make test runs
// them where it is.

// browser is one Chromium for all tests, each of which has a tab.
var (
	browser     context.Context
	startOnce   sync.Once
	errStarting error
)

func TestMain(m *testing.M) {
	var stop context.CancelFunc
	browser, stop = chromedp.NewContext(context.Background(), chromedp.WithAllocatorOptions(chromedp.NoSandbox, chromedp.Flag("hide-scrollbars", true)))
	code := m.Run()
	stop()
	os.Exit(code)
}

// tab is an open page, and what it did that it must not.
type tab struct {
	testing.TB
	ctx context.Context

	mu      sync.Mutex
	trouble []string
}

// open loads a page at a width in pixels.
func open(t testing.TB, html, state string, width int64) *tab {
	t.Helper()
	startOnce.Do(func() { errStarting = chromedp.Do(browser) })
	if errStarting != nil {
		t.Fatalf("start Chromium (apt-get install chromium): %v", errStarting)
	}
	file := filepath.Join(t.TempDir(), "index.html")
	if err := os.WriteFile(file, []byte(html), 0o644); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := chromedp.NewContext(browser)
	t.Cleanup(cancel)
	tb := &tab{TB: t, ctx: ctx}
	tb.do(chromedp.EmulateViewport(width, 900))
	if err := chromedp.Listen(ctx, tb.notice); err != nil {
		t.Fatal(err)
	}
	if _, err := chromedp.Call(ctx, network.Enable, network.EnableParams{}); err != nil {
		t.Fatal(err)
	}
	tb.do(chromedp.Navigate("file://" + file + "#" + state))
	return tb
}

// notice books whatever a page of ours does not do: say something on the
// console, fail, ask for anything but itself, open a dialog.
func (tb *tab) notice(ev any) {
	said := ""
	switch ev := ev.(type) {
	case *runtime.EventConsoleAPICalled:
		said = fmt.Sprint("console: ", ev.Type)
		for _, a := range ev.Args {
			said += " " + string(a.Value)
		}
	case *runtime.EventExceptionThrown:
		said = fmt.Sprint("exception: ", ev.ExceptionDetails.Text, ev.ExceptionDetails.Exception)
	case *log.EventEntryAdded:
		said = "log: " + ev.Entry.Text
	case *network.EventRequestWillBeSent:
		if !strings.HasPrefix(ev.Request.URL, "file:///") || !strings.HasSuffix(ev.Request.URL, "/index.html") {
			said = "request: " + ev.Request.URL
		}
	case *devtools.EventJavascriptDialogOpening:
		said = "dialog: " + ev.Message
		go func() {
			_, _ = chromedp.Call(tb.ctx, devtools.HandleJavaScriptDialog, devtools.HandleJavaScriptDialogParams{})
		}()
	}
	if said != "" {
		tb.mu.Lock()
		defer tb.mu.Unlock()
		tb.trouble = append(tb.trouble, said)
	}
}

func (tb *tab) troubles() []string {
	tb.mu.Lock()
	defer tb.mu.Unlock()
	return slices.Clone(tb.trouble)
}

// calm fails the test if the page did anything it must not.
func (tb *tab) calm() {
	tb.Helper()
	for _, s := range tb.troubles() {
		tb.Errorf("the page made trouble: %.300s", s)
	}
}

func (tb *tab) do(steps ...chromedp.Action[chromedp.Void]) {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.ctx, time.Minute)
	defer cancel()
	if _, err := chromedp.Run(tb.ctx, chromedp.Steps()); err != nil { // not under the timeout: it would end the tab
		tb.Fatal(err)
	}
	if err := chromedp.Do(ctx, steps...); err != nil {
		tb.Fatal(err)
	}
}

// eval runs a script in the page; a promise is waited for.
func eval[T any](tb *tab, script string) T {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.ctx, time.Minute)
	defer cancel()
	v, err := chromedp.Run(ctx, chromedp.Evaluate[T](script, chromedp.EvalAwaitPromise))
	if err != nil {
		tb.Fatalf("%v in %.200s", err, script)
	}
	return v
}

// text is what a reader sees of an element.
func (tb *tab) text(selector string) string {
	tb.Helper()
	return eval[string](tb, `(document.querySelector(`+strconv.Quote(selector)+`) || {innerText: ""}).innerText.replace(/\s+/g, " ").trim()`)
}

func (tb *tab) count(selector string) int {
	tb.Helper()
	return eval[int](tb, `document.querySelectorAll(`+strconv.Quote(selector)+`).length`)
}

// until waits for what the page does after a key was pressed.
func (tb *tab) until(condition string) {
	tb.Helper()
	eval[bool](tb, `new Promise((done) => { const look = () => (`+condition+`) ? done(true) : setTimeout(look, 5); look(); })`)
}

// goTo changes the fragment and waits until the page has done what it does.
func (tb *tab) goTo(state string) {
	tb.Helper()
	eval[bool](tb, `new Promise((done) => { addEventListener("hashchange", () => done(true), {once: true}); location.hash = `+strconv.Quote(state)+`; })`)
}

// The control: what must not happen is noticed when it does.
func TestTroubleIsNoticed(t *testing.T) {
	tb := open(t, `<!doctype html><meta http-equiv="Content-Security-Policy" content="default-src 'none'; script-src 'unsafe-inline'">
		<img src="http://evil.example/x.png"><script>console.error("said"); fetch("file:///etc/hostname").catch(() => {}); alert("boo"); missing()</script>`, "", 800)
	got := strings.Join(tb.troubles(), "\n")
	for _, want := range []string{"said", "evil.example", "boo", "missing"} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in what was noticed:\n%s", want, got)
		}
	}
}

func TestPageInBrowser(t *testing.T) {
	tb := open(t, sourced(t, small.report(), small.verdicts, evidenced()), "", 1280)
	for _, c := range []struct {
		state, shown, list, dialog string
		tiles                      int
	}{
		{"x", "24 cells", "24 cells, the most serious first", "", 4 + 6},
		{"client=go%401.26", "12 of 24 cells", "12 cells, the most serious first", "", 2 + 6},
		{"outcome=findings&link=clean", "2 of 24 cells", "2 cells, the most serious first", "", 2 + 1},
		{"hello=1449", "8 of 24 cells", "8 cells, the most serious first", "", 4 + 2},
		{"q=blackhole", "4 of 24 cells", "4 cells, the most serious first", "", 4 + 1},
		{"client=nobody", "0 of 24 cells", "No cell is like that", "", 0},
		{"cell=go%401.26%2Fgo%401.26%2Fx25519mlkem768%2Fmtu1280-icmp-eaten", "24 cells", "24 cells, the most serious first", "pmtu-blackhole", 4 + 6},
		{"cell=nothing", "24 cells", "24 cells, the most serious first", "", 4 + 6},
	} {
		tb.goTo(c.state)
		tiles, dialog := tb.count(".tile"), tb.text("#cell")
		if tb.count("#cell[open]") == 0 {
			dialog = ""
		}
		if tb.text("#shown") != c.shown || tb.text("#list-title") != c.list || tiles != c.tiles ||
			!strings.Contains(dialog, c.dialog) || (dialog == "") != (c.dialog == "") {
			t.Errorf("#%s: %q, %q, %d tiles, dialog %q", c.state, tb.text("#shown"), tb.text("#list-title"), tiles, dialog)
		}
	}
	tb.calm()
}

// A link opens what it names at once.
func TestLinkInBrowser(t *testing.T) {
	tb := open(t, pageText(t, small.report(), small.verdicts), "link=clean&cell="+url.QueryEscape("go@1.26/openssl@trixie/x25519/clean"), 1280)
	if tb.text("#shown") != "12 of 24 cells" || tb.text("#cell-title") != "go@1.26 → openssl@trixie" {
		t.Errorf("%q, %q", tb.text("#shown"), tb.text("#cell-title"))
	}
	tb.calm()
}

func TestCellInBrowser(t *testing.T) {
	tb := open(t, sourced(t, small.report(), small.verdicts, evidenced()), "cell=go%401.26%2Fgo%401.26%2Fx25519mlkem768%2Fmtu1280-icmp-eaten", 1280)
	got := tb.text("#cell")
	for _, want := range []string{
		"Predicted hybrid X25519MLKEM768", "Observed no ServerHello", "clean link, same groups hybrid",
		"Client handshake not complete, exit 1, i/o timeout", "Server handshake not complete, x25519, stopped by the lab at its deadline", "proxysg-rst: RST(client), 2 times",
		"SYN MSS 1,460", "SYN, ACK", "ClientHello bytes 1–1,420 of 1,718", "Dropped: too large for the path, and no ICMP told the sender. 1472 bytes, MTU 1280.",
		"ClientHello bytes 1,421–1,718 of 1,718", "203 ms later", "sent again", "ICMP made by the path: too big, MTU 1280", "and 3 more packets in the capture",
		"The server received another message.", "supported_groups X25519MLKEM768, x25519 x25519", "padding not there 12 bytes: 0000000000000000…",
		"hybridlab run --fabric containers --seed 7 --cell 'go@1.26/go@1.26/x25519mlkem768/mtu1280-icmp-eaten'", "opens decrypted in Wireshark",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("the cell does not say %q:\n%s", want, got)
		}
	}
	if n := tb.count(".ladder .way.lost"); n != 2 {
		t.Errorf("%d arrows end on the way, want 2", n)
	}
	if n := tb.count(".hello .changed"); n != 2 {
		t.Errorf("%d lines of the hello are marked, want 2", n)
	}
	tb.goTo("cell=" + url.QueryEscape("go@1.26/go@1.26/x25519/clean"))
	if got := tb.text("#cell"); !strings.Contains(got, "No capture is kept of a cell like this one") {
		t.Errorf("a cell without a capture: %s", got)
	}
	tb.calm()
}

func TestKeyboard(t *testing.T) {
	tb := open(t, pageText(t, large.report(), large.verdicts), "x", 1280)
	press := func(keys string) { tb.do(chromedp.KeyEvent(keys)) }
	focused := func() string {
		return eval[string](tb, `document.activeElement.dataset.row || document.activeElement.name || document.activeElement.className || document.activeElement.id`)
	}
	eval[bool](tb, `document.querySelector("#list [data-row]").focus(), true`)
	for _, k := range []struct{ key, want string }{{kb.ArrowDown, "1"}, {kb.ArrowDown, "2"}, {kb.ArrowUp, "1"}, {kb.End, "10499"}, {kb.Home, "0"}} {
		if press(k.key); focused() != k.want {
			t.Errorf("focus is at row %q, want %s", focused(), k.want)
		}
	}
	const where = `(document.querySelector("#cell[open] .where") || {innerText: ""}).innerText`
	press(kb.Enter)
	tb.until(where + ` !== ""`)
	first := eval[string](tb, where)
	press(kb.ArrowRight)
	tb.until(where + ` !== ` + strconv.Quote(first))
	press(kb.Escape)
	tb.until(`!document.querySelector("#cell[open]") && !location.hash.includes("cell=")`)
	press("/")
	tb.until(`document.activeElement.name === "q"`)
	press("haproxy rst")
	if got := eval[string](tb, `new Promise((done) => setTimeout(() => done(document.getElementById("shown").innerText), 300))`); !strings.Contains(got, " of 10,500 cells") {
		t.Errorf("the search shows %q", got)
	}
	tb.calm()
}

// The whole corpus in every field: every cell is opened, nothing runs, nothing
// is asked for, and the reader sees the string.
func TestCorpusInBrowser(t *testing.T) {
	rep, src := badRun()
	tb := open(t, sourced(t, rep, src.verdicts, src), "", 1280)
	var ids []string
	for i, s := range corpus {
		ids = append(ids, name(fmt.Sprintf("bad %d %s", i, s)))
	}
	list, _ := json.Marshal(ids)
	missing := eval[[]string](tb, `(async () => {
		const missing = [];
		for (const id of `+string(list)+`) {
			const changed = new Promise((done) => addEventListener("hashchange", done, {once: true}));
			location.hash = "#" + new URLSearchParams({cell: id});
			await changed;
			const said = document.querySelector("#cell .says");
			if (!said || !document.querySelector("#cell .ladder") || !document.querySelector("#cell .hello")) missing.push(id);
		}
		return missing;
	})()`)
	if len(missing) > 0 {
		t.Errorf("%d cells do not open, the first is %q", len(missing), missing[0])
	}
	if eval[bool](tb, `"pwned" in window`) {
		t.Error("a hostile string was executed")
	}
	if n := tb.count("img, iframe, object, embed, base, link, video, math, template, [onerror], [onload]"); n > 0 {
		t.Errorf("hostile strings made %d elements", n)
	}
	if n := tb.count("script"); n != 3 {
		t.Errorf("%d scripts, want 3", n)
	}
	id := ids[1]
	tb.goTo("cell=" + url.QueryEscape(id))
	if got, want := eval[string](tb, `document.querySelector("#cell .says").textContent`), text(corpus[1]); got != want {
		t.Errorf("the cell says %q, want %q", got, want)
	}
	tb.fits()
	tb.calm()
}

// fits fails the test if the page is wider than the screen.
func (tb *tab) fits() {
	tb.Helper()
	if over := eval[int](tb, `document.scrollingElement.scrollWidth - document.scrollingElement.clientWidth`); over > 0 {
		tb.Errorf("the page is %d pixels wider than the screen", over)
	}
}

func TestWidthsInBrowser(t *testing.T) {
	for _, width := range []int64{400, 768, 1280, 2560} {
		tb := open(t, sourced(t, large.report(), large.verdicts, kept{verdicts: large.verdicts, ladder: blackhole()}), "", width)
		tb.fits()
		tb.goTo("cell=" + url.QueryEscape("curl@trixie/caddy@2.10/x25519mlkem768/mtu1280-icmp-eaten"))
		if over := eval[int](tb, `(() => { const d = document.getElementById("cell"); return d.scrollWidth - d.clientWidth; })()`); over > 0 {
			t.Errorf("at %d the open cell is %d pixels too wide", width, over)
		}
		tb.calm()
	}
}

// On paper the list is finite, and an open cell stands alone.
func TestPrintInBrowser(t *testing.T) {
	tb := open(t, pageText(t, large.report(), large.verdicts), "", 1280)
	pages := func() int {
		res, err := chromedp.Call(tb.ctx, devtools.PrintToPDF, devtools.PrintToPDFParams{})
		if err != nil {
			t.Fatal(err)
		}
		return strings.Count(string(res.Data), "/Type /Page\n") + strings.Count(string(res.Data), "/Type /Page ")
	}
	if n := pages(); n < 3 || n > 40 {
		t.Errorf("10,500 cells are printed on %d pages", n)
	}
	tb.goTo("cell=" + url.QueryEscape("curl@trixie/caddy@2.10/x25519mlkem768/mtu1280-icmp-eaten"))
	if n := pages(); n < 1 || n > 3 {
		t.Errorf("one cell is printed on %d pages", n)
	}
	tb.calm()
}

// The times in the page are those of lab/stats.
func TestTimesInBrowser(t *testing.T) {
	var sample []float64
	var vs []lab.Verdict
	for i := range 400 {
		v := judged(lab.NewCell("go@1.26", "go@1.26", lab.MustOffer("x25519"), lab.MustOffer("x25519"), "rtt100"), 1)
		v.Cell += strconv.Itoa(i)
		for k := range 1 + i%3 {
			ms := 100 + float64((i*7919+k*104729)%100000)/1000
			v.Attempts = append(v.Attempts, lab.Attempt{Outcome: lab.Classical, HandshakeMS: ms})
			sample = append(sample, ms)
		}
		vs = append(vs, v)
		v.Cell, v.Link, v.HandshakeMS = "few"+strconv.Itoa(i), "clean", float64(1+i)/10
		if i < 40 {
			vs = append(vs, v)
		}
	}
	for i := range vs {
		if vs[i].Link == "clean" {
			vs[i].Attempts = nil
		}
	}
	rep := large.report()
	tb := open(t, pageText(t, rep, Slice(vs)), "link=rtt100", 1280)
	want := fmt.Sprintf("x25519 100 ms %s", number(len(sample)))
	for _, q := range stats.Quantiles {
		i, ok := stats.Quantile(sample, q)
		if !ok {
			t.Fatalf("no quantile %g of %d", q, len(sample))
		}
		want += fmt.Sprintf(" %.0f ms %.0f–%.0f ms", i.Value, i.Low, i.High)
	}
	if got := tb.text(".times tbody tr"); got != want {
		t.Errorf("times:\n%s\nwant\n%s", got, want)
	}
	tb.goTo("link=clean")
	if got, want := tb.text(".times tbody tr"), "x25519 0 ms 40"; !strings.HasPrefix(got, want) || !strings.HasSuffix(got, fmt.Sprintf("n too small 40 of %d n too small 40 of %d", stats.Need(0.95), stats.Need(0.99))) {
		t.Errorf("a small sample: %s", got)
	}
	tb.calm()
}

// speed is how fast a page of ten thousand cells is, in milliseconds: from
// the start of loading to the first paint, and the slowest of some filters,
// layout included. What a busy machine adds is no cost of the page: each is the
// least of three tries, and of as many more as it takes, up to twenty, where the
// machine was too busy to tell.
func speed(tb *tab) (paint, filter float64) {
	const filters = `["client=go%401.26", "outcome=findings", "link=mtu1280&server=go%401.26", "q=haproxy", "hello=1449", "outcome=hybrid", "x"]`
	paint = 1e9
	for i := 0; i < 3 || i < 10 && paint > 2000; i++ {
		tb.do(chromedp.Reload())
		paint = min(paint, eval[float64](tb, `new Promise((done) => {
			const look = () => { const e = performance.getEntriesByName("first-contentful-paint")[0]; e ? done(e.startTime) : requestAnimationFrame(look); };
			look();
		})`))
	}
	filter = eval[float64](tb, `(async () => {
		let slowest = 0;
		for (const state of `+filters+`) {
			let best = 1e9;
			for (let i = 0; i < 3 || i < 20 && best > 100; i++) {
				await new Promise((done) => setTimeout(done, 0));
				const changed = new Promise((done) => addEventListener("hashchange", done, {once: true}));
				location.hash = state + "&y=" + i;
				const start = performance.now();
				await changed;
				document.body.offsetHeight;
				best = Math.min(best, performance.now() - start);
			}
			slowest = Math.max(slowest, best);
		}
		return slowest;
	})()`)
	return paint, filter
}

// Ten thousand cells open in two seconds, filter in a tenth, and only what is
// looked at is in the document.
func TestLargePageInBrowser(t *testing.T) {
	html := sourced(t, large.report(), large.verdicts, kept{verdicts: large.verdicts, ladder: blackhole()})
	tb := open(t, html, "", 1280)
	rows := tb.count("#list [data-row]")
	if elements := tb.count("*"); tb.text("#shown") != "10,500 cells" || rows < 10 || rows > 60 || elements > 4000 {
		t.Errorf("%q, %d rows, %d elements", tb.text("#shown"), rows, elements)
	}
	eval[bool](tb, `document.getElementById("list").scrollTop = 1e9, new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done(true))))`)
	if last, n := eval[int](tb, `Math.max(...[...document.querySelectorAll("#list [data-row]")].map((r) => r.dataset.row))`), tb.count("#list [data-row]"); last != 10499 || n > 60 {
		t.Errorf("at the end of the list row %d is the last of %d", last, n)
	}
	paint, filter := speed(tb)
	t.Logf("page of %d KiB: first paint after %.0f ms, slowest filter %.0f ms", len(html)>>10, paint, filter)
	if paint > 2000 || filter > 100 {
		t.Errorf("first paint after %.0f ms, want 2000; slowest filter %.0f ms, want 100", paint, filter)
	}
	tb.calm()
}

func BenchmarkPageInBrowser(b *testing.B) {
	html := sourced(b, large.report(), large.verdicts, kept{verdicts: large.verdicts, ladder: blackhole()})
	tb := open(b, html, "", 1280)
	for b.Loop() {
		paint, filter := speed(tb)
		b.ReportMetric(paint, "paint-ms")
		b.ReportMetric(filter, "filter-ms")
	}
	b.ReportMetric(float64(len(html)>>10), "page-KiB")
	tb.calm()
}
