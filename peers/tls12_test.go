package peers

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"hybridlab/lab"
	"hybridlab/lab/wire"
)

// The experiments with TLS 1.2, in which one end or the other is held to it:
// no key shares, and so a few lists say it all.
var (
	offers12  = []string{"default", "x25519", "secp256r1", "x25519mlkem768", "x25519mlkem768+x25519", "x25519mlkem768+x25519+secp256r1", "x25519+secp256r1"}
	accepts12 = []string{"default", "x25519", "x25519mlkem768", "x25519mlkem768+x25519", "x25519mlkem768>x25519", "secp256r1+x25519"}
)

const (
	new12 lab.PeerID = "go@1.26"       // speaks both versions
	old12 lab.PeerID = "go-tls12@1.26" // is held to TLS 1.2
)

// TestTLS12Recorded holds lab.Predict against what real programs were seen
// doing where TLS 1.2 is the only common version. The docker-tagged test writes
// testdata/tls12/PEER.txt; a line is "server ACCEPT, offered OFFER by PEER:
// RESULT" or "client OFFER to PEER: GROUPS; RESULT".
func TestTLS12Recorded(t *testing.T) {
	names, err := filepath.Glob("testdata/tls12/*.txt")
	if err != nil || len(names) == 0 {
		t.Fatalf("recordings: %v, %v", names, err)
	}
	for _, name := range names {
		id := lab.PeerID(strings.TrimSuffix(filepath.Base(name), ".txt"))
		t.Run(string(id), func(t *testing.T) {
			text, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			for line := range strings.Lines(string(text)) {
				hold12(t, id, strings.TrimSpace(line))
			}
		})
	}
}

func hold12(t *testing.T, id lab.PeerID, line string) {
	if strings.HasPrefix(line, "#") {
		return
	}
	peer, err := Lookup(id)
	if err != nil {
		t.Fatal(err)
	}
	what, saw, ok := strings.Cut(line, ": ")
	f := strings.FieldsFunc(what, func(c rune) bool { return c == ' ' || c == ',' })
	var want string
	switch {
	case ok && len(f) == 6 && f[0] == "server":
		want = expected12(t, lab.PeerID(f[5]), id, f[3], f[1])
	case ok && len(f) == 4 && f[0] == "client":
		want = fmt.Sprintf("%v; %s", peer.hello(lab.MustOffer(f[1])), expected12(t, id, lab.PeerID(f[3]), f[1], "default"))
	default:
		t.Fatalf("cannot read %q", line)
	}
	if saw != want {
		t.Errorf("%s: seen %q, predicted %q", what, saw, want)
	}
}

func expected12(t *testing.T, client, server lab.PeerID, offer, accept string) string {
	t.Helper()
	c, err := Lookup(client)
	if err != nil {
		t.Fatal(err)
	}
	s, err := Lookup(server)
	if err != nil {
		t.Fatal(err)
	}
	cell := lab.NewCell(client, server, lab.MustOffer(offer), lab.MustOffer(accept), "clean")
	return strings.Join(lab.Predict(cell, c.Rules, s.Rules).Strings(), " or ")
}

// hello are the groups of a client's hello.
func (p Peer) hello(o lab.Offer) []string {
	if o.Default() {
		o = p.Rules.Default
	}
	return p.noted(slices.DeleteFunc(without(o.Groups(), p.Rules.Withdrawn...), func(g wire.Group) bool { return !p.Rules.Has(g) }))
}

// TestTLS12EveryPeer: no row is without its recording.
func TestTLS12EveryPeer(t *testing.T) {
	for _, p := range Table() {
		if p.local != nil || p.Missing != "" {
			continue // TestRulesInProcess
		}
		if _, err := os.Stat("testdata/tls12/" + string(p.ID) + ".txt"); err != nil {
			t.Errorf("%s is not recorded (go test -tags docker -run TestRecordTLS12/%[1]s ./peers -update): %v", p.ID, err)
		}
	}
}
