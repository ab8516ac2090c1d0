package peers

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"hybridlab/lab"
)

func certificate(t testing.TB, kind string) Identity {
	t.Helper()
	id, err := testAuthority().Issue("server-9", kind)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// What came of a kind of certificate.
const (
	certYes = "yes"
	certNo  = "no"
)

func didCert(end lab.End) string {
	if end.Done && end.Data && (end.Reached == "" || end.Reached == "server-9") {
		return certYes
	}
	return certNo
}

// knows is what the row says of it.
func knows(p Peer, role lab.Role, kind string) string {
	cell := lab.NewCell("crafted@ml-dsa", "crafted", lab.Offer{}, lab.Offer{}, "clean").WithCert(kind)
	if role == lab.ServerRole {
		cell.Server = p.ID
	} else {
		cell.Client = p.ID
	}
	if len(lab.Expand(lab.Matrix{Clients: []lab.PeerID{cell.Client}, Servers: []lab.PeerID{cell.Server}, Cases: []lab.Case{{}},
		Links: []string{"clean"}, Certs: []string{kind}}, rows{}).Cells) == 1 {
		return certYes
	}
	return certNo
}

// rows is the table as the planner sees it, without what it cannot express.
type rows struct{}

func (rows) Rules(id lab.PeerID) lab.Rules {
	p, _ := Lookup(id)
	return p.Rules
}

func (rows) Unsupported(lab.PeerID, lab.Role, lab.Offer) string { return "" }

// TestCertsRecorded: which kinds of certificate a row says the peer can show
// and verify is what its real program was seen doing.
func TestCertsRecorded(t *testing.T) {
	names, err := filepath.Glob("testdata/*.certs")
	if err != nil || len(names) < 10 {
		t.Fatalf("recordings: %v, %v", names, err)
	}
	for _, name := range names {
		p, err := Lookup(lab.PeerID(strings.TrimSuffix(filepath.Base(name), ".certs")))
		if err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for line := range strings.Lines(string(text)) {
			if strings.HasPrefix(line, "#") {
				continue
			}
			what, saw, _ := strings.Cut(strings.TrimSpace(line), ": ")
			role, kind, _ := strings.Cut(what, " ")
			if says := knows(p, lab.Role(role), kind); says != saw {
				t.Errorf("%s as a %s, %s: its row says %s, and it was seen: %s", p.ID, role, kind, says, saw)
			}
			n++
		}
		if n != len(CertKinds())*len(p.Roles) {
			t.Errorf("%s: %d kinds on record", p.ID, n)
		}
	}
	for _, p := range Table() {
		recorded := slices.Contains(names, "testdata/"+string(p.ID)+".certs")
		if !recorded && p.local == nil && slices.ContainsFunc(p.Rules.Certs, func(kind string) bool { return !slices.Contains(classicalCerts, kind) }) {
			t.Errorf("%s: its row says it knows ML-DSA, and that is not recorded (go test -tags docker -run TestRecordCerts/%[1]s ./peers -update)", p.ID)
		}
	}
}

// TestCertsInProcess is the same for the stacks of this process.
func TestCertsInProcess(t *testing.T) {
	for _, id := range append(slices.Clone(inProcessIDs), "crafted@ml-dsa") {
		p, err := Lookup(id)
		if err != nil {
			t.Fatal(err)
		}
		for _, kind := range CertKinds() {
			_, end, _ := dial(t, id, serve(t, "crafted", Request{Identity: certificate(t, kind)}).addr, Request{})
			if says := knows(p, lab.ClientRole, kind); says != didCert(end) {
				t.Errorf("%s verifies %s: its row says %s, seen: %+v", id, kind, says, end)
			}
			if !p.Plays(lab.ServerRole) {
				continue
			}
			_, end, _ = dial(t, "crafted@ml-dsa", serve(t, id, Request{Identity: certificate(t, kind)}).addr, Request{})
			if says := knows(p, lab.ServerRole, kind); says != didCert(end) {
				t.Errorf("%s shows %s: its row says %s, seen: %+v", id, kind, says, end)
			}
		}
	}
}
