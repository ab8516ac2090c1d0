package browser

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"hybridlab/lab"
)

// switches start Chromium without a screen, driven over a pipe, and keep it
// from doing anything but what it is told; none of them touches TLS. What has a
// policy is set by the image.
var switches = []string{
	"--headless=new", "--remote-debugging-pipe",
	"--no-sandbox", // it refuses to run as root otherwise, and the container is the sandbox
	"--disable-gpu", "--disable-dev-shm-usage", "--disable-crash-reporter",
	// One process for a tab, not three: there is nothing to keep apart in one page.
	"--disable-site-isolation-trials", "--disable-features=IsolateOrigins,site-per-process,SpareRendererForSitePerProcess",
	"--no-first-run", "--no-default-browser-check", "--no-service-autorun", "--noerrdialogs",
	"--disable-background-networking", "--disable-component-update", "--disable-default-apps", "--disable-extensions", "--disable-sync",
	"--password-store=basic",
	"--explicitly-allowed-ports=" + strings.Join(badPorts, ","),
}

// chromium is a running Chromium, driven by the Chrome DevTools Protocol.
type chromium struct {
	*process
	wire *devtools
}

func startChromium(ctx context.Context, k Kind, home string) (engine, error) {
	orders, toBrowser, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	fromBrowser, answers, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	argv := slices.Concat([]string{k.Program, "--user-data-dir=" + filepath.Join(home, "profile")}, switches, k.Options)
	p, err := startProcess(argv, home, nil, orders, answers) // as file descriptors 3 and 4
	orders.Close()
	answers.Close()
	if err != nil {
		toBrowser.Close()
		fromBrowser.Close()
		return nil, err
	}
	c := &chromium{p, newDevtools(toBrowser, fromBrowser)}
	if err := c.wire.call(ctx, "", "Browser.getVersion", nil, nil); err != nil {
		c.stop()
		return nil, p.explain(err)
	}
	return c, nil
}

func (c *chromium) stop() {
	c.process.stop()
	c.wire.close()
}

// page is a tab that nobody sees, in a profile of its own that is never
// written to disk.
type page struct {
	wire                     *devtools
	profile, target, session string
	events                   chan event
}

func (c *chromium) open(ctx context.Context) (tab, error) {
	p := &page{wire: c.wire}
	var made struct{ BrowserContextID, TargetID, SessionID string }
	err := c.wire.call(ctx, "", "Target.createBrowserContext", nil, &made)
	p.profile = made.BrowserContextID
	if err == nil { // hidden: no window is made, which would take longer than all the rest
		err = c.wire.call(ctx, "", "Target.createTarget", params{"url": "about:blank", "browserContextId": p.profile, "hidden": true}, &made)
	}
	p.target = made.TargetID
	if err == nil {
		err = c.wire.call(ctx, "", "Target.attachToTarget", params{"targetId": p.target, "flatten": true}, &made)
	}
	if err == nil {
		p.session = made.SessionID
		p.events = c.wire.listen(p.session)
		err = c.wire.call(ctx, p.session, "Network.enable", nil, nil)
	}
	if err != nil {
		p.close()
		return nil, c.explain(fmt.Errorf("open a tab: %w", err))
	}
	return p, nil
}

// close takes the tab, its profile and its connections away.
func (p *page) close() {
	p.wire.unlisten(p.session)
	if p.profile == "" {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), OpenTime)
	defer cancel()
	p.wire.call(ctx, "", "Target.closeTarget", params{"targetId": p.target}, nil)
	p.wire.call(ctx, "", "Target.disposeBrowserContext", params{"browserContextId": p.profile}, nil) // a browser that is gone has none
}

// arrived is what the events about a page's document say.
type arrived struct {
	Type      string
	RequestID string
	ErrorText string
	Response  struct {
		SecurityDetails *struct{ Protocol, KeyExchangeGroup, SubjectName string }
	}
}

// load follows one document. The servers end an answer by closing, some
// without a word, and so the answer's head counts, whatever comes after it.
func (p *page) load(ctx context.Context, url string) (said lab.End) {
	go p.wire.call(ctx, p.session, "Page.navigate", params{"url": url}, nil) // its answer says less than the events
	document := ""
	for {
		select {
		case <-ctx.Done():
			said.Error = "the page did not come: " + ctx.Err().Error()
			return said
		case e, ok := <-p.events:
			var a arrived
			if !ok || json.Unmarshal(e.Params, &a) != nil {
				said.Error = "the browser stopped talking"
				return said
			}
			switch {
			case e.Method == "Network.responseReceived" && a.Type == "Document":
				document = a.RequestID
				said.Done, said.Data = true, true
				if s := a.Response.SecurityDetails; s != nil {
					said.Version, said.Group, said.Reached = s.Protocol, s.KeyExchangeGroup, s.SubjectName
				}
			case e.Method == "Network.loadingFinished" && a.RequestID == document:
				return said
			case e.Method == "Network.loadingFailed" && a.Type == "Document":
				said.Error = a.ErrorText
				return said
			}
		}
	}
}
