package browser

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"hybridlab/lab"
)

// preferences keep Firefox from doing anything but what it is told; none of
// them touches TLS. Names other than the server's have no address, so they are
// about time, not about secrecy.
var preferences = []string{
	"app.normandy.enabled=false",
	"browser.aboutwelcome.enabled=false",
	"browser.newtabpage.enabled=false",
	"browser.safebrowsing.provider.mozilla.updateURL=''",
	"browser.sessionstore.resume_from_crash=false",
	"browser.shell.checkDefaultBrowser=false",
	"browser.startup.page=0",
	"datareporting.policy.dataSubmissionEnabled=false",
	"dom.push.connection.enabled=false",
	"extensions.systemAddon.update.enabled=false",
	"media.gmp-manager.updateEnabled=false",
	"network.captive-portal-service.enabled=false",
	"network.connectivity-service.enabled=false",
	"network.dns.native_https_query=false", // it would ask a name server
	"network.http.speculative-parallel-limit=0",
	"network.security.ports.banned.override='" + strings.Join(badPorts, ",") + "'",
	"network.manage-offline-status=false", // a container without a default route is not offline
	"network.trr.mode=5",
	"services.settings.server=''",
	"toolkit.telemetry.enabled=false",
}

// firefox is a running Firefox. The lab's script inside it (the image's
// peer.cfg) connects to a socket of ours and takes orders there, one line of
// JSON each.
type firefox struct {
	*process
	conn net.Conn

	mu    sync.Mutex
	last  int
	calls map[int]chan answer
	gone  bool
}

// order has the page of a URL fetched, or the fetching of that number ended.
type order struct {
	ID   int    `json:"id"`
	URL  string `json:"url,omitempty"`
	Stop bool   `json:"stop,omitempty"`
}

// answer is what became of an order.
type answer struct {
	ID      int    `json:"id"`
	Bytes   int    `json:"bytes"` // of the page
	Error   string `json:"error"`
	Version string `json:"version"`
	Group   string `json:"group"`
	Reached string `json:"reached"`
}

// socketEnv tells the script where to connect.
const socketEnv = "HYBRIDLAB_SOCKET"

func startFirefox(ctx context.Context, k Kind, home string) (engine, error) {
	profile, socket := filepath.Join(home, "profile"), filepath.Join(home, "orders")
	if err := os.WriteFile(filepath.Join(profile, "user.js"), userJS(append(preferences[:len(preferences):len(preferences)], k.Options...)), 0o600); err != nil {
		return nil, err
	}
	ln, err := net.Listen("unix", socket)
	if err != nil {
		return nil, err
	}
	defer ln.Close()
	p, err := startProcess([]string{k.Program, "--headless", "--no-remote", "--profile", profile, "about:blank"}, home, []string{socketEnv + "=" + socket})
	if err != nil {
		return nil, err
	}
	defer context.AfterFunc(ctx, func() { ln.Close() })()
	go func() {
		<-p.done
		ln.Close()
	}()
	conn, err := ln.Accept()
	if err != nil {
		p.stop()
		return nil, p.explain(errors.Join(errors.New("its script did not report"), ctx.Err()))
	}
	f := &firefox{process: p, conn: conn, calls: map[int]chan answer{}}
	go f.read()
	return f, nil
}

// userJS is the profile's file of preferences.
func userJS(prefs []string) []byte {
	var b strings.Builder
	for _, p := range prefs {
		name, value, _ := strings.Cut(p, "=")
		fmt.Fprintf(&b, "user_pref('%s', %s);\n", name, value)
	}
	return []byte(b.String())
}

func (f *firefox) stop() {
	f.process.stop()
	f.conn.Close()
}

// container is a Firefox container: its number isolates what is fetched in it.
type container struct {
	f    *firefox
	id   int
	said chan answer
}

func (f *firefox) open(context.Context) (tab, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.gone {
		return nil, f.explain(errNoBrowser)
	}
	f.last++
	c := &container{f, f.last, make(chan answer, 1)}
	f.calls[c.id] = c.said
	return c, nil
}

func (c *container) close() {
	c.f.mu.Lock()
	defer c.f.mu.Unlock()
	delete(c.f.calls, c.id)
}

func (f *firefox) send(o order) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return json.NewEncoder(f.conn).Encode(o)
}

func (c *container) load(ctx context.Context, url string) lab.End {
	if err := c.f.send(order{ID: c.id, URL: url}); err != nil {
		return lab.End{Error: err.Error()}
	}
	select {
	case <-ctx.Done():
		c.f.send(order{ID: c.id, Stop: true}) // nothing to do about it where that fails
		return lab.End{Error: "the page did not come: " + ctx.Err().Error()}
	case a, ok := <-c.said:
		if !ok {
			return lab.End{Error: "the browser stopped talking"}
		}
		return a.end()
	}
}

// nssGroups are the names of groups in which NSS differs from everybody.
var nssGroups = map[string]string{
	"mlkem768x25519": "X25519MLKEM768",
	"P256":           "secp256r1",
	"P384":           "secp384r1",
	"P521":           "secp521r1",
	"FF 2048":        "ffdhe2048",
	"FF 3072":        "ffdhe3072",
}

func (a answer) end() lab.End {
	group := a.Group
	if name, ok := nssGroups[group]; ok {
		group = name
	}
	return lab.End{Done: a.Version != "", Data: a.Bytes > 0, Group: group, Version: a.Version, Reached: a.Reached, Error: a.Error}
}

func (f *firefox) read() {
	lines := bufio.NewScanner(f.conn)
	lines.Buffer(nil, maxMessage)
	for lines.Scan() {
		var a answer
		if json.Unmarshal(lines.Bytes(), &a) != nil {
			break
		}
		f.deliver(a)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.gone = true
	for id, said := range f.calls {
		close(said)
		delete(f.calls, id)
	}
}

func (f *firefox) deliver(a answer) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if said, ok := f.calls[a.ID]; ok {
		delete(f.calls, a.ID)
		said <- a
	}
}
