package peers

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"hybridlab/lab"
	"hybridlab/lab/wire"
)

// weighings are what makes a client say hello once, and again: servers that
// take everything, one group, or ask for a cookie.
var weighings = []struct {
	server lab.PeerID
	accept string
}{
	{"crafted", "default"},
	{"crafted", "secp384r1"},
	{"crafted", "x25519"},
	{"crafted@hrr", "x25519mlkem768+x25519"},
}

// sizesOf weighs a client's hellos; say runs it against a server of this
// process. A line is "OFFER: BYTES" or, where the client was asked for another
// group's share or to return a cookie, "OFFER, GROUP: BYTES then BYTES".
func sizesOf(t *testing.T, p Peer, say func(server lab.PeerID, accept, offer lab.Offer) (toServer, toClient []byte)) (lines []string) {
	t.Helper()
	offers := slices.Clone(triedOffers)
	for _, g := range p.Groups {
		if !slices.Contains(offers, g.Slug()) {
			offers = append(offers, g.Slug())
		}
	}
	for _, offer := range offers {
		o := lab.MustOffer(offer)
		if p.Supports(lab.ClientRole, o) != nil {
			continue
		}
		for i, w := range weighings {
			if i > 0 && offer != "default" && len(o.Listed) < 3 {
				continue // nothing more to ask for
			}
			for range times(p) {
				line := offer + weighed(t, say, w.server, lab.MustOffer(w.accept), o)
				if !slices.Contains(lines, line) {
					lines = append(lines, line)
				}
			}
		}
	}
	if times(p) > 1 {
		slices.Sort(lines) // they came in any order
	}
	return lines
}

// times is how often each hello is weighed: once, or until every size that
// chance may give it has come, of four all but one time in 25,000.
func times(p Peer) int {
	if len(p.Rules.Hello.Chance) > 0 {
		return 40
	}
	return 1
}

// cookie stands for what was asked for where it was no group.
const cookie = "cookie"

func weighed(t *testing.T, say func(server lab.PeerID, accept, offer lab.Offer) (toServer, toClient []byte), server lab.PeerID, accept, offer lab.Offer) string {
	t.Helper()
	toServer, toClient := say(server, accept, offer)
	sent, _ := messages(t, toServer)
	if len(sent) == 1 {
		return fmt.Sprintf(": %d", sent[0].End-sent[0].Offset)
	}
	answers, _ := messages(t, toClient)
	retry, err := wire.ParseServerHello(answers[0].Body)
	if err != nil || !retry.HRR() {
		t.Fatalf("two hellos, and between them %+v, %v", retry, err)
	}
	change := cookie
	if retry.Group != 0 {
		change = retry.Group.Slug()
	}
	return fmt.Sprintf(", %s: %d then %d", change, sent[0].End-sent[0].Offset, sent[1].End-sent[1].Offset)
}

// predictedSizes is a line's bytes by the rules, where chance fell as it was
// seen to.
func predictedSizes(t *testing.T, p Peer, what, saw string) string {
	t.Helper()
	offer, change, again := strings.Cut(what, ", ")
	var first int
	fmt.Sscan(saw, &first)
	h := lab.Predict(lab.NewCell(p.ID, p.ID, lab.MustOffer(offer), lab.Offer{}, "clean"), p.Rules, p.Rules).Hellos.Settled(first)
	if !again {
		return fmt.Sprint(h.First())
	}
	retry := lab.ServerHello{Cookie: len("hybridlab")}
	if change != cookie {
		retry = lab.ServerHello{Group: lab.MustOffer(change).Groups()[0]}
	}
	return fmt.Sprintf("%d then %d", h.First(), h.Second(retry))
}

// checkSizes holds every hello of a connection against what the rules predict.
func (c *tap) checkSizes(t *testing.T, cell lab.Cell, client, server Peer) {
	t.Helper()
	c.mu.Lock()
	toServer, toClient := slices.Clone(c.toServer), slices.Clone(c.toClient)
	c.mu.Unlock()
	h := lab.Predict(cell, client.Rules, server.Rules).Hellos
	check := func(what string, m wire.Message, want int) {
		if got := m.End - m.Offset; want > 0 && got != want {
			t.Errorf("%s: a %s of %d bytes; predicted %d", cell.ID, what, got, want)
		}
	}
	hellos, _ := messages(t, toServer)
	check("ClientHello", hellos[0], h.First())
	first, err := wire.ParseClientHello(hellos[0].Body)
	if err != nil {
		t.Fatal(err)
	}
	session := len(first.SessionID)
	answers, _ := messages(t, toClient)
	for _, m := range answers {
		sh, err := wire.ParseServerHello(m.Body)
		if err != nil {
			t.Fatal(err)
		}
		saw := lab.ServerHello{Version: sh.Selected, Group: sh.Group, Cookie: len(sh.Cookie)}
		if !sh.HRR() {
			check("ServerHello", m, h.ServerHello(saw, &session))
			return
		}
		check("HelloRetryRequest", m, h.Retry(saw, &session))
		if len(hellos) > 1 {
			check("second ClientHello", hellos[1], h.Second(saw))
		}
	}
}

// TestSizesRecorded holds the sizes that the rules predict against those of
// the real programs. Who is not recorded makes no claim, and the other way round.
func TestSizesRecorded(t *testing.T) {
	recorded := 0
	for _, p := range Table() {
		if p.local != nil || !p.Plays(lab.ClientRole) {
			continue
		}
		file := filepath.Join("testdata", string(p.ID)+".sizes")
		text, err := os.ReadFile(file)
		if known := p.Rules.Hello.Base > 0; known != (err == nil) {
			t.Errorf("%s: Rules.Hello is %+v, and the recording: %v", p.ID, p.Rules.Hello, err)
			continue
		}
		if err != nil {
			continue
		}
		recorded++
		n := 0
		for line := range strings.Lines(string(text)) {
			if strings.HasPrefix(line, "#") {
				continue
			}
			what, saw, _ := strings.Cut(strings.TrimSpace(line), ": ")
			if want := predictedSizes(t, p, what, saw); saw != want {
				t.Errorf("%s %s: %s bytes seen, %s predicted", p.ID, what, saw, want)
			}
			n++
		}
		least := 10
		switch one := expressible(p) == 1; {
		case one && p.Rules.TLS12:
			least = 1
		case one: // a hello alone, and two with a second
			least = 3 * max(1, len(p.Rules.Hello.Chance))
		}
		if n < least {
			t.Errorf("%s: only %d hellos on record", p.ID, n)
		}
	}
	if recorded < 5 {
		t.Errorf("only %d peers on record", recorded)
	}
}

// TestSizesInProcess is the same for the clients of this process, profiles
// included, without a recording.
func TestSizesInProcess(t *testing.T) {
	for _, p := range Table() {
		if p.local == nil || !p.Plays(lab.ClientRole) {
			continue
		}
		t.Run(string(p.ID), func(t *testing.T) {
			if claims := p.Rules.Hello.Base > 0; claims == (p.Rules.Breach.What != "") {
				t.Errorf("breaks the protocol: %q; a claim about its hello: %t", p.Rules.Breach.What, claims)
			}
			if p.Rules.Breach.What != "" {
				return
			}
			for _, line := range sizesOf(t, p, func(server lab.PeerID, accept, offer lab.Offer) (toServer, toClient []byte) {
				c, _, _ := dial(t, p.ID, serve(t, server, Request{Offer: accept}).addr, Request{Offer: offer})
				c.mu.Lock()
				defer c.mu.Unlock()
				return slices.Clone(c.toServer), slices.Clone(c.toClient)
			}) {
				what, saw, _ := strings.Cut(line, ": ")
				if want := predictedSizes(t, p, what, saw); saw != want {
					t.Errorf("%s: %s bytes seen, %s predicted", what, saw, want)
				}
			}
		})
	}
}

// TestSizesMeasured: what is predicted for Go is what was measured of it, with a
// server name of 11 characters (lab/wire measures it live).
func TestSizesMeasured(t *testing.T) {
	goPeer, err := Lookup("go@1.26")
	if err != nil {
		t.Fatal(err)
	}
	if goPeer.Rules.Hello.Base == 0 {
		t.Skipf("this is %s: the sizes were measured with Go 1.26", runtime.Version())
	}
	goPeer.Rules.Hello.Base += len("example.com") - len(ServerName)
	session := 32
	for _, m := range []struct {
		offer, retry  string
		first, second int
		group         wire.Group
		server        int
	}{
		{"default", "secp256r1", 1503, 316, wire.SecP256r1, 160},
		{"default", "secp256r1mlkem768", 1503, 1500, wire.SecP256r1MLKEM768, 1248},
		{"default", "secp384r1mlkem1024", 1503, 1916, wire.SecP384r1MLKEM1024, 1760},
		{"x25519mlkem768", "x25519mlkem768", 1455, 1455, wire.X25519MLKEM768, 1215},
		{"secp256r1mlkem768", "x25519", 1488, 271, wire.X25519, 127},
		{"secp384r1mlkem1024", "x25519", 1904, 271, wire.X25519, 127},
		{"x25519", "x25519", 271, 271, wire.X25519, 127},
	} {
		h := lab.Predict(lab.NewCell(goPeer.ID, goPeer.ID, lab.MustOffer(m.offer), lab.Offer{}, "clean"), goPeer.Rules, goPeer.Rules).Hellos
		retry := lab.ServerHello{Group: lab.MustOffer(m.retry).Groups()[0]}
		got := []int{h.First(), h.Retry(retry, &session), h.Second(retry), h.ServerHello(lab.ServerHello{Version: 0x0304, Group: m.group}, &session)}
		if want := []int{m.first, 93, m.second, m.server}; !slices.Equal(got, want) {
			t.Errorf("%s, then %s: predicted %v, measured %v", m.offer, m.retry, got, want)
		}
	}
}
