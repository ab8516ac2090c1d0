//go:build browser

package reports

import (
	"context"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/html"

	"hybridlab/lab"
)

// open loads a page in headless Chromium (Debian: apt-get install chromium)
// and returns the document its script made, and what the console said.
func open(t *testing.T, rep lab.Report, vs Verdicts, state string) (dom []*html.Node, console string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "index.html")
	if err := os.WriteFile(file, []byte(pageText(t, rep, vs)), 0o644); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "chromium", "--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr",
		"--user-data-dir="+t.TempDir(), "--virtual-time-budget=2000", "--dump-dom", "file://"+file+"#"+state)
	var said strings.Builder
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("run chromium: %v\n%s", err, &said)
	}
	for line := range strings.SplitSeq(said.String(), "\n") {
		if strings.Contains(line, "CONSOLE") {
			console += line + "\n"
		}
	}
	return nodes(t, string(out)), console
}

func wordsOf(n *html.Node) string {
	var b strings.Builder
	for d := range n.Descendants() {
		if d.Type == html.TextNode {
			b.WriteString(d.Data + " ")
		}
	}
	return strings.Join(strings.Fields(b.String()), " ")
}

func find(dom []*html.Node, want func(*html.Node) bool) []*html.Node {
	return slices.DeleteFunc(slices.Clone(dom), func(n *html.Node) bool { return !want(n) })
}

func byID(dom []*html.Node, id string) string {
	for _, n := range find(dom, func(n *html.Node) bool { return attr(n, "id") == id }) {
		return wordsOf(n)
	}
	return ""
}

func TestPageInBrowser(t *testing.T) {
	for _, c := range []struct {
		state, shown, list, dialog string
		tiles                      int
	}{
		{"", "24 cells", "24 cells, the most serious first", "", 4 + 6},
		{"client=go%401.26", "12 of 24 cells", "12 cells, the most serious first", "", 2 + 6},
		{"outcome=findings&link=clean", "2 of 24 cells", "2 cells, the most serious first", "", 2 + 1},
		{"q=blackhole", "4 of 24 cells", "4 cells, the most serious first", "", 4 + 1},
		{"client=nobody", "0 of 24 cells", "No cell is like that", "", 0},
		{"cell=go%401.26%2Fgo%401.26%2Fx25519mlkem768%2Fmtu1280-icmp-eaten", "24 cells", "24 cells, the most serious first", "pmtu-blackhole", 4 + 6},
		{"cell=nothing", "24 cells", "24 cells, the most serious first", "", 4 + 6},
	} {
		dom, console := open(t, small.report(), small.verdicts, c.state)
		tiles := find(dom, func(n *html.Node) bool { return strings.HasPrefix(attr(n, "class"), "tile ") })
		dialog := byID(dom, "cell")
		if byID(dom, "shown") != c.shown || byID(dom, "list-title") != c.list || len(tiles) != c.tiles ||
			!strings.Contains(dialog, c.dialog) || (dialog == "") != (c.dialog == "") || console != "" {
			t.Errorf("#%s: %q, %q, %d tiles, dialog %q, console %q", c.state, byID(dom, "shown"), byID(dom, "list-title"), len(tiles), dialog, console)
		}
	}
}

// What a script made of hostile text is text: no element that was not made by
// page.js, nothing said on the console, and the cell shows it as it is.
func TestHostilePageInBrowser(t *testing.T) {
	rep, vs := spikedRun()
	dom, console := open(t, rep, vs, "cell="+url.QueryEscape(name("cell "+hostile[0])))
	if console != "" {
		t.Errorf("the console says:\n%s", console)
	}
	for _, n := range find(dom, func(n *html.Node) bool { return n.Data == "img" || n.Data == "iframe" }) {
		t.Errorf("hostile text made an element %s", n.Data)
	}
	if n := len(find(dom, func(n *html.Node) bool { return n.Data == "script" })); n != 2 {
		t.Errorf("%d scripts", n)
	}
	if d := byID(dom, "cell"); !strings.Contains(d, hostile[0]) {
		t.Errorf("the cell does not show %q: %q", hostile[0], d)
	}
}

// Ten thousand cells open, and only what is looked at is in the document.
func TestLargePageInBrowser(t *testing.T) {
	dom, console := open(t, large.report(), large.verdicts, "")
	rows := find(dom, func(n *html.Node) bool {
		return n.Data == "li" && n.Parent != nil && attr(n.Parent, "id") == "list"
	})
	if byID(dom, "shown") != "10,500 cells" || len(rows) != 50 || len(dom) > 3000 || console != "" {
		t.Errorf("%q, %d rows, %d elements, console %q", byID(dom, "shown"), len(rows), len(dom), console)
	}
}
