package browser

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"hybridlab/lab"
)

// pretender is an engine that loads pages as it is told.
type pretender struct {
	pages  func(ctx context.Context, url string) lab.End
	dead   chan struct{}
	opened int
}

func (p *pretender) open(context.Context) (tab, error) { p.opened++; return p, nil }
func (p *pretender) ended() <-chan struct{}            { return p.dead }
func (p *pretender) stop()                             {}
func (p *pretender) close()                            {}

func (p *pretender) load(ctx context.Context, url string) lab.End { return p.pages(ctx, url) }

// kept starts a keeper whose browsers are made by start, and returns how to
// ask it.
func kept(t *testing.T, start func() (engine, error)) func(Visit) (Report, error) {
	t.Helper()
	keys, w := testKeys(t)
	fmt.Fprintln(w, "CLIENT_RANDOM of another")
	keys.settle(t.Context(), 0, true)
	k := &keeper{hosts: testHosts(t), keys: keys, start: func(context.Context) (engine, error) { return start() }}
	socket := filepath.Join(t.TempDir(), "s")
	ln, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	served := make(chan error)
	go func() { served <- k.serve(ctx, ln) }()
	t.Cleanup(func() {
		stop()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	return func(v Visit) (Report, error) {
		v.Name, v.Path = "hybridlab.test", "x"
		return Ask(context.Background(), socket, v)
	}
}

func TestVisit(t *testing.T) {
	good := lab.End{Done: true, Data: true, Group: "X25519MLKEM768", Version: "TLS 1.3", Reached: "server-1"}
	ask := kept(t, func() (engine, error) {
		return &pretender{dead: make(chan struct{}), pages: func(ctx context.Context, url string) lab.End {
			switch url {
			case "https://hybridlab.test:2001/x":
				return good
			case "https://hybridlab.test:2002/x":
				<-ctx.Done()
				return lab.End{Error: "it did not come"}
			}
			return lab.End{Error: "refused"}
		}}, nil
	})
	for port, want := range map[uint16]lab.End{2001: good, 2002: {Error: "it did not come", TimedOut: true}, 2003: {Error: "refused"}} {
		v := Visit{Addr: netip.AddrPortFrom(netip.MustParseAddr("198.18.0.5"), port), Timeout: 50 * time.Millisecond}
		got, err := ask(v)
		if err != nil || got.End != want || len(got.KeyLog) != 0 {
			t.Errorf("port %d: %+v, %v; want %+v and none of another's secrets", port, got, err, want)
		}
	}
}

// A browser that died is replaced for the next visit, and one that does not
// start is said to.
func TestBrowserIsStartedAgain(t *testing.T) {
	var started []*pretender
	ask := kept(t, func() (engine, error) {
		if len(started) == 2 {
			return nil, errors.New("out of memory")
		}
		p := &pretender{dead: make(chan struct{})}
		p.pages = func(context.Context, string) lab.End { return lab.End{Done: true, Data: true} }
		started = append(started, p)
		return p, nil
	})
	v := Visit{Addr: netip.MustParseAddrPort("198.18.0.5:2001"), Timeout: time.Second}
	visit := func() string {
		t.Helper()
		got, err := ask(v)
		if err != nil {
			t.Fatal(err)
		}
		return got.Error
	}
	if e := visit() + visit(); e != "" || len(started) != 1 || started[0].opened != 2 {
		t.Errorf("two visits: %q, browsers %+v", e, started)
	}
	close(started[0].dead)
	if e := visit(); e != "" || len(started) != 2 || started[1].opened != 1 {
		t.Errorf("after its death: %q, browsers %+v", e, started)
	}
	close(started[1].dead)
	if e := visit(); e != "start the browser: out of memory" {
		t.Errorf("it does not start: %q", e)
	}
}

func TestAskNobody(t *testing.T) {
	if _, err := Ask(t.Context(), filepath.Join(t.TempDir(), "none"), Visit{Timeout: time.Second}); err == nil || !strings.HasPrefix(err.Error(), "ask the browser:") {
		t.Errorf("%v", err)
	}
}

func TestKeepUnknownBrowser(t *testing.T) {
	if err := Keep(t.Context(), Kind{Program: "lynx"}, t.TempDir(), "s", nil, nil); err == nil || !strings.Contains(err.Error(), `"lynx"`) {
		t.Errorf("%v", err)
	}
}

// testFirefox is a Firefox whose script is the test.
func testFirefox(t *testing.T) (*firefox, net.Conn) {
	t.Helper()
	ours, script := net.Pipe()
	f := &firefox{process: &process{}, conn: ours, calls: map[int]chan answer{}}
	go f.read()
	t.Cleanup(func() { ours.Close(); script.Close() })
	return f, script
}

func TestFirefoxLoads(t *testing.T) {
	f, script := testFirefox(t)
	orders := json.NewDecoder(script)
	for _, tt := range []struct {
		says string
		want lab.End
	}{
		{`"bytes":10,"version":"TLS 1.3","group":"mlkem768x25519","reached":"server-1"`, lab.End{Done: true, Data: true, Version: "TLS 1.3", Group: "X25519MLKEM768", Reached: "server-1"}},
		{`"bytes":10,"version":"TLS 1.2","group":"P256"`, lab.End{Done: true, Data: true, Version: "TLS 1.2", Group: "secp256r1"}},
		{`"error":"SSL_ERROR_NO_CYPHER_OVERLAP"`, lab.End{Error: "SSL_ERROR_NO_CYPHER_OVERLAP"}},
	} {
		c, err := f.open(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		done := make(chan lab.End)
		go func() { done <- c.load(context.Background(), "https://hybridlab.test:2001/x") }()
		var o order
		if err := orders.Decode(&o); err != nil || o.URL != "https://hybridlab.test:2001/x" || o.Stop {
			t.Fatalf("ordered %+v, %v", o, err)
		}
		fmt.Fprintf(script, `{"id":%d,"bytes":1}`+"\n"+`{"id":%d,%s}`+"\n", o.ID+100, o.ID, tt.says) // somebody else's first
		if got := <-done; got != tt.want {
			t.Errorf("it says %s: %+v, want %+v", tt.says, got, tt.want)
		}
		c.close()
	}
}

func TestFirefoxIsTold(t *testing.T) {
	f, script := testFirefox(t)
	orders := json.NewDecoder(bufio.NewReader(script))
	c, err := f.open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan lab.End)
	go func() { done <- c.load(ctx, "https://hybridlab.test:2001/x") }()
	var first, second order
	orders.Decode(&first)
	cancel()
	if err := orders.Decode(&second); err != nil || !second.Stop || second.ID != first.ID {
		t.Errorf("at the end of its time it is told %+v, %v", second, err)
	}
	if got := <-done; got.Data || got.Error == "" {
		t.Errorf("and the visit ends as %+v", got)
	}
}

func TestFirefoxEnds(t *testing.T) {
	f, script := testFirefox(t)
	c, err := f.open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan lab.End)
	go func() { done <- c.load(context.Background(), "https://hybridlab.test:2001/x") }()
	json.NewDecoder(script).Decode(new(order))
	fmt.Fprintln(script, "}{")
	if got := <-done; got.Data || got.Error == "" {
		t.Errorf("a visit that was under way: %+v", got)
	}
	if _, err := f.open(t.Context()); !errors.Is(err, errNoBrowser) {
		t.Errorf("afterwards: %v", err)
	}
}

func TestUserJS(t *testing.T) {
	if got := string(userJS([]string{"a.b=false", "c='x=y'"})); got != "user_pref('a.b', false);\nuser_pref('c', 'x=y');\n" {
		t.Errorf("%q", got)
	}
}
