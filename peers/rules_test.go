package peers

import (
	"crypto/tls"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"hybridlab/lab"
	"hybridlab/lab/wire"
)

// The experiments: which offers and which lists a stack's rules are tried
// with. Where a stack cannot express one, Supports must say so.
var (
	triedOffers = []string{
		"default",
		"x25519", "secp256r1", "secp384r1", "secp521r1", "x25519mlkem768", "secp256r1mlkem768", "secp384r1mlkem1024", "mlkem768",
		"x25519mlkem768+x25519", "x25519+x25519mlkem768", "x25519mlkem768>x25519", "secp256r1mlkem768+secp256r1",
		"*x25519mlkem768+*x25519", "*x25519+*x25519mlkem768", "x25519+~x25519mlkem768", "secp256r1+~secp256r1mlkem768",
		"*x25519mlkem768+*secp256r1mlkem768", "~x25519mlkem768+~x25519",
		"x25519mlkem768+secp256r1", "secp384r1+x25519+secp256r1", "secp521r1+secp256r1+x25519", "x25519mlkem768+secp256r1mlkem768+secp256r1",
		"secp384r1mlkem1024+secp384r1+x25519", "*x25519+*secp256r1",
	}
	triedAccepts = []string{
		"default",
		"x25519", "secp256r1", "x25519mlkem768", "secp256r1mlkem768", "mlkem768",
		"x25519mlkem768+x25519", "x25519+x25519mlkem768", "x25519mlkem768>x25519", "x25519>x25519mlkem768",
		"x25519+secp256r1", "secp256r1+x25519", "secp256r1>x25519", "secp521r1>secp256r1+x25519", "secp256r1mlkem768+secp256r1",
		"x25519mlkem768+secp256r1mlkem768+x25519+secp256r1",
	}
)

// TestRulesInProcess tries every offer on every list between the stacks that
// run here, and holds the bytes against lab.Predict.
func TestRulesInProcess(t *testing.T) {
	ids := slices.Concat(inProcessIDs, []lab.PeerID{"go-tls12@1.26"})
	for _, server := range ids {
		for _, accept := range triedAccepts {
			t.Run(string(server)+"/"+accept, func(t *testing.T) {
				s, err := Lookup(server)
				if err != nil {
					t.Fatal(err)
				}
				if err := s.Supports(lab.ServerRole, lab.MustOffer(accept)); err != nil {
					t.Logf("not tried: %v", err)
					return
				}
				running := serve(t, server, Request{Offer: lab.MustOffer(accept)})
				for _, client := range ids {
					for _, offer := range triedOffers {
						tryRules(t, running, client, s, offer, accept)
					}
				}
			})
		}
	}
}

func tryRules(t *testing.T, running served, client lab.PeerID, s Peer, offer, accept string) {
	c, err := Lookup(client)
	if err != nil {
		t.Fatal(err)
	}
	if c.Supports(lab.ClientRole, lab.MustOffer(offer)) != nil {
		return
	}
	cell := lab.NewCell(c.ID, s.ID, lab.MustOffer(offer), lab.MustOffer(accept), "clean")
	want := lab.Predict(cell, c.Rules, s.Rules)
	conn, end, _ := dial(t, client, running.addr, Request{Offer: cell.Offer})
	conn.checkSizes(t, cell, c, s)
	got := conn.look(t)
	if got.result != want.Allowed[0] || !slices.Equal(got.shares, want.Shares) {
		t.Errorf("%s: shares %v, %v; predicted shares %v, %v", cell.ID, got.shares, got.result, want.Shares, want.Allowed[0])
	}
	if completed := got.result.Outcome != lab.Refused; end.Done != completed || end.Data != completed || (end.Exit == 0) != completed {
		t.Errorf("%s: %v, and the client says %+v", cell.ID, got.result, end)
	}
	if end.Done && end.Group != got.result.Group.String() {
		t.Errorf("%s: client claims %s, wire says %v", cell.ID, end.Group, got.result.Group)
	}
	said := running.await(t, conn.LocalAddr())
	if said.end.Done && (said.end.Group != end.Group || said.end.Version != tls.VersionName(got.version) || !said.end.Data) {
		t.Errorf("%s: server says %+v", cell.ID, said.end)
	}
}

// TestRulesRecorded holds lab.Predict against what the real programs were seen
// doing. The docker-tagged test writes testdata/PEER.rules; a line is
// "client OFFER: GROUPS; shares SHARES" or "server ACCEPT, offered OFFER: RESULT".
func TestRulesRecorded(t *testing.T) {
	names, err := filepath.Glob("testdata/*.rules")
	if err != nil || len(names) == 0 {
		t.Fatalf("recorded rules: %v, %v", names, err)
	}
	for _, name := range names {
		id := strings.TrimSuffix(filepath.Base(name), ".rules")
		t.Run(id, func(t *testing.T) {
			peer, err := Lookup(lab.PeerID(id))
			if err != nil {
				t.Fatal(err)
			}
			holdRules(t, peer, name)
		})
	}
}

func holdRules(t *testing.T, peer Peer, file string) {
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	crafted, err := Lookup("crafted")
	if err != nil {
		t.Fatal(err)
	}
	counted := map[string]int{}
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		role, rest, _ := strings.Cut(line, " ")
		what, saw, ok := strings.Cut(rest, ": ")
		if strings.HasPrefix(line, "#") {
			continue
		}
		if !ok {
			t.Fatalf("%s: cannot read %q", file, line)
		}
		var want string
		switch role {
		case "client":
			want = predictedClient(peer, lab.MustOffer(what))
		case "server":
			accept, offer, _ := strings.Cut(what, ", offered ")
			cell := lab.NewCell("crafted", peer.ID, lab.MustOffer(offer), lab.MustOffer(accept), "clean")
			want = lab.Predict(cell, crafted.Rules, peer.Rules).Allowed[0].String()
		default:
			t.Fatalf("%s: cannot read %q", file, line)
		}
		if saw != want {
			t.Errorf("%s %s: seen %q, predicted %q", role, what, saw, want)
		}
		counted[role]++
	}
	if peer.Plays(lab.ClientRole) && counted["client"] < min(5, expressible(peer)) || peer.Plays(lab.ServerRole) && counted["server"] < 50 {
		t.Errorf("only %v experiments on record", counted)
	}
}

// expressible is how many of the offers that are tried the client can make:
// all, or a browser one.
func expressible(p Peer) (n int) {
	for _, offer := range triedOffers {
		if p.Supports(lab.ClientRole, lab.MustOffer(offer)) == nil {
			n++
		}
	}
	return n
}

// predictedClient is a client's hello by its rules.
func predictedClient(p Peer, o lab.Offer) string {
	listed := o
	if o.Default() {
		listed = p.Rules.Default
	}
	cell := lab.NewCell(p.ID, p.ID, o, o, "clean")
	text := fmt.Sprintf("%v; shares %v", p.hello(listed), p.noted(lab.Predict(cell, p.Rules, p.Rules).Shares))
	if p.Rules.Shuffles && o.Default() {
		text += orderVaries
	}
	return text
}

// orderVaries is noted where two hellos have their extensions in different
// order.
const orderVaries = "; extensions in another order each time"

// greased stands for all reserved values.
const greased = "GREASE"

// noted is how a list of groups is recorded.
func noted(gs []wire.Group) []string {
	names := []string{}
	for _, g := range gs {
		if wire.GREASE(uint16(g)) {
			names = append(names, greased)
			continue
		}
		names = append(names, g.String())
	}
	return names
}

// noted is how a list that the client sends is.
func (p Peer) noted(gs []wire.Group) []string {
	if p.Rules.GREASE {
		return slices.Insert(noted(gs), 0, greased)
	}
	return noted(gs)
}

func TestTable(t *testing.T) {
	ids := []string{}
	for _, p := range Table() {
		ids = append(ids, string(p.ID))
		if (p.Missing == "") != (p.Folder != "" && p.Suite != "") || p.driver == nil || len(p.Groups) == 0 || p.Rules.NoMatch == "" || p.Rules.Default.Default() {
			t.Errorf("%s: its row is not complete", p.ID)
		}
		if _, err := os.Stat("../docker/" + p.Folder + "/Dockerfile"); err != nil && p.Missing == "" {
			t.Errorf("%s: %v", p.ID, err)
		}
		for _, g := range p.Rules.Default.Groups() {
			if !slices.Contains(p.Groups, g) {
				t.Errorf("%s: its default offers %v, which it does not declare", p.ID, g)
			}
		}
	}
	if !slices.IsSorted(ids) {
		t.Errorf("rows are not sorted: %v", ids)
	}
	if _, err := Lookup("nginx@mine"); err == nil || !strings.Contains(err.Error(), "crafted, ") {
		t.Errorf("unknown peer: %v does not name the known ones", err)
	}
	if _, err := InProcess("openssl@trixie"); err == nil || !strings.Contains(err.Error(), "crafted, go-tls12@1.26, go@1.26") {
		t.Errorf("openssl in process: %v does not name those that can", err)
	}
}

func TestSupports(t *testing.T) {
	for _, r := range []struct {
		peer  lab.PeerID
		role  lab.Role
		offer string
		why   string // part of the reason; empty: supported
	}{
		{"go@1.26", lab.ClientRole, "default", ""},
		{"go@1.26", lab.ClientRole, "x25519mlkem768+x25519", ""},
		{"go@1.26", lab.ClientRole, "*x25519mlkem768+*x25519", ""},
		{"go@1.26", lab.ClientRole, "*x25519mlkem768+~secp256r1", ""},
		{"go@1.26", lab.ClientRole, "x25519+x25519mlkem768", "order of its own"},
		{"go@1.26", lab.ClientRole, "x25519+~x25519mlkem768", "chooses its key shares"},
		{"go@1.26", lab.ClientRole, "~x25519mlkem768+x25519", "chooses its key shares"},
		{"go@1.26", lab.ClientRole, "*x25519mlkem768+~x25519", "chooses its key shares"},
		{"go@1.26", lab.ClientRole, "*x25519mlkem768+*secp256r1mlkem768", "chooses its key shares"},
		{"go@1.26", lab.ClientRole, "mlkem768", "no group MLKEM768"},
		{"go@1.26", lab.ServerRole, "x25519mlkem768>x25519", ""},
		{"go@1.26", lab.ServerRole, "x25519>secp256r1", "no other tiers"},
		{"go@1.26", lab.ServerRole, "*x25519", "client's to send"},
		{"openssl@trixie", lab.ClientRole, "x25519+~x25519mlkem768", ""},
		{"openssl@trixie", lab.ClientRole, "mlkem1024", ""},
		{"openssl@trixie", lab.ServerRole, "x25519>x25519mlkem768+x448", ""},
		{"openssl@trixie", lab.ClientRole, "~x25519+~secp256r1", "always sends"},
		{"openssl@trixie", lab.ClientRole, "*x25519+*secp256r1+*secp384r1+*mlkem512+*mlkem768", "at most 4"},
		{"openssl@trixie", lab.ClientRole, "x25519kyber768draft00", "no group X25519Kyber768Draft00"},
		{"crafted", lab.ClientRole, "~x25519+~secp256r1", ""},
		{"crafted", lab.ClientRole, "x25519kyber768draft00+x25519", ""},
		{"crafted", lab.ClientRole, "0x1234", "no group 0x1234"},
		{"crafted", lab.ServerRole, "secp256r1>x25519", ""},
	} {
		p, err := Lookup(r.peer)
		if err != nil {
			t.Fatal(err)
		}
		err = p.Supports(r.role, lab.MustOffer(r.offer))
		switch {
		case r.why == "" && err != nil:
			t.Errorf("%s as %s, %s: %v", r.peer, r.role, r.offer, err)
		case r.why != "" && !isUnsupportedBecause(err, r.why):
			t.Errorf("%s as %s, %s: %v, want unsupported because %q", r.peer, r.role, r.offer, err, r.why)
		}
	}
}
