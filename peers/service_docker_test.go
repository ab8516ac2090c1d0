//go:build docker

package peers

import (
	"bytes"
	"flag"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path"
	"strings"
	"sync"
	"testing"
	"time"

	"hybridlab/lab"
	"hybridlab/peers/agent"
)

// chosenServices limits the experiments to some peers.
var chosenServices = flag.String("services", "*", "pattern of peer ids for the experiments with long-lived servers")

// services are the peers whose servers stay up and report in words of their own.
func services() (ps []Peer) {
	for _, p := range Table() {
		if _, ok := p.driver.(reporter); ok && !p.Rules.TLS12 { // TestRecordTLS12
			ps = append(ps, p)
		}
	}
	return ps
}

// TestRecordServices tries the rules of every long-lived server by
// experiment, as TestRecordRules does OpenSSL's: crafted offers everything.
// The lines of its log are kept with what they were said about.
func TestRecordServices(t *testing.T) {
	for _, p := range services() {
		if ok, err := path.Match(*chosenServices, string(p.ID)); err != nil || !ok {
			continue
		}
		t.Run(string(p.ID), func(t *testing.T) {
			costly(t, p)
			c := startContainer(t, p)
			res := c.run(t, p.Version())
			version, err := VersionText(res)
			if err != nil {
				t.Fatalf("%v: %s", err, res.Stderr)
			}
			t.Log(version)
			var lines []string
			for _, accept := range triedAccepts {
				if err := p.Supports(lab.ServerRole, lab.MustOffer(accept)); err != nil {
					t.Logf("not tried: %v", err)
					continue
				}
				lines = append(lines, tryService(t, p, c, accept)...)
			}
			for _, offer := range triedOffers {
				if p.Supports(lab.ClientRole, lab.MustOffer(offer)) == nil {
					lines = append(lines, fmt.Sprintf("client %s: %s", offer, helloOf(t, p, c, offer)))
				}
			}
			nonsense := command(t, p, Request{Role: lab.ServerRole, Addr: freePort(t), Offer: Nonsense, Identity: identity(t, "x")})
			end, _ := p.Parse(Request{Role: lab.ServerRole}, c.run(t, nonsense))
			if end.Unsupported == "" {
				t.Error("it does not refuse nonsense")
			}
			lines = append(lines, "# nonsense: "+end.Unsupported)
			keepRules(t, p, version, lines)
		})
	}
}

func keepRules(t *testing.T, p Peer, version string, lines []string) {
	got := "# " + version + ", seen on the wire. Written by: go test -tags docker -run TestRecordServices -update ./peers\n" +
		strings.Join(lines, "\n") + "\n"
	if *update {
		if err := os.WriteFile("testdata/"+string(p.ID)+".rules", []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile("testdata/" + string(p.ID) + ".rules")
	if err != nil {
		t.Fatal(err)
	}
	_, was, _ := strings.Cut(string(want), "\n")
	if _, is, _ := strings.Cut(got, "\n"); is != was {
		t.Errorf("%s does otherwise than recorded:\n%s", version, is)
	}
}

// tryService starts the server once and connects with every offer.
func tryService(t *testing.T, p Peer, c *container, accept string) (lines []string) {
	t.Helper()
	addr := freePort(t)
	crafted, err := Lookup("crafted")
	if err != nil {
		t.Fatal(err)
	}
	said := c.up(t, command(t, p, Request{Role: lab.ServerRole, Addr: addr, Offer: lab.MustOffer(accept), Identity: identity(t, "one")}), addr)
	for _, offer := range triedOffers {
		conn, end, _ := dial(t, "crafted", addr, Request{Offer: lab.MustOffer(offer)})
		conn.checkSizes(t, lab.NewCell(crafted.ID, p.ID, lab.MustOffer(offer), lab.MustOffer(accept), "clean"), crafted, p)
		result := conn.look(t).result
		lines = append(lines, fmt.Sprintf("server %s, offered %s: %v", accept, offer, result))
		if completed := result.Outcome != lab.Refused; end.Data != completed {
			t.Errorf("server %s, offered %s: %v, and the client says %+v", accept, offer, result, end)
		}
		checkLine(t, p, said, result)
	}
	return lines
}

// checkLine holds the server's line of the latest connection against the wire.
func checkLine(t *testing.T, p Peer, said *saidLines, result lab.Result) {
	t.Helper()
	if p.driver.(service).quiet && result.Outcome == lab.Refused {
		return
	}
	line := said.next(p.LineFrom(netip.MustParseAddr("127.0.0.1")))
	end, err := p.ParseLine(line)
	switch {
	case err != nil || line == "":
		t.Errorf("%v: it said %q, %v", result, line, err)
	case result.Outcome == lab.Refused && (end.Done || end.Error == ""):
		t.Errorf("%v: it said %q: %+v", result, line, end)
	case result.Outcome != lab.Refused && (!end.Data || end.Version != "TLS 1.3" || end.Group != "" && end.Group != result.Group.String()):
		t.Errorf("%v: it said %q: %+v", result, line, end)
	}
}

// saidLines are what a server printed so far.
type saidLines struct {
	mu   sync.Mutex
	text bytes.Buffer
	more chan struct{}
	read int
}

func (s *saidLines) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	close(s.more)
	s.more = make(chan struct{})
	return s.text.Write(b)
}

// next is the next line that contains text; empty: none came.
func (s *saidLines) next(text string) string {
	timeout := time.After(3 * time.Second)
	for {
		s.mu.Lock()
		for {
			rest := s.text.Bytes()[s.read:]
			n := bytes.IndexByte(rest, '\n')
			if n < 0 {
				break
			}
			s.read += n + 1
			if bytes.Contains(rest[:n], []byte(text)) {
				s.mu.Unlock()
				return string(rest[:n])
			}
		}
		more := s.more
		s.mu.Unlock()
		select {
		case <-more:
		case <-timeout:
			return ""
		}
	}
}

// up starts a server that stays, and waits until it takes connections.
func (c *container) up(t *testing.T, cmd agent.Command, addr netip.AddrPort) *saidLines {
	t.Helper()
	x, _ := c.prepare(t, cmd)
	said := &saidLines{more: make(chan struct{})}
	x.Stdout, x.Stderr = said, said
	if err := x.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stop(x) })
	for range 1000 {
		if conn, err := net.Dial("tcp", addr.String()); err == nil {
			conn.Close()
			said.next(p127)
			return said
		}
		<-time.After(10 * time.Millisecond)
	}
	t.Fatalf("server is not up: %s", &said.text)
	return nil
}

const p127 = "127.0.0.1"

func stop(x *exec.Cmd) {
	x.Process.Kill()
	x.Wait()
}
