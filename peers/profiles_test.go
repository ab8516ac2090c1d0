package peers

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"hybridlab/lab"
	"hybridlab/lab/wire"
)

// trials are the cases every profile is tried with: each group alone whose
// share has the flaw; where there is none, one hybrid and one classical group.
func trials(p Peer) (cases []lab.Case) {
	for _, g := range p.Groups {
		flawed := p.Rules.Breach.What != "" && g.PostQuantum() != p.Rules.Breach.Classical
		sound := p.Rules.Breach.What == "" && (g == wire.X25519MLKEM768 || g == wire.X25519)
		if !flawed && !sound {
			continue
		}
		alone := lab.Offer{Listed: []lab.ListedGroup{{Group: g}}}
		offer := alone
		if p.ID == "crafted@reversed" { // takes two
			offer = lab.MustOffer("*" + alone.String() + "+*x25519")
		}
		cases = append(cases, lab.Case{Offer: offer, Accept: alone})
	}
	return cases
}

func allowed(client, server Peer, c lab.Case) []string {
	return lab.Predict(lab.NewCell(client.ID, server.ID, c.Offer, c.Accept, "clean"), client.Rules, server.Rules).Strings()
}

// verdictOn says what came of a connection, and whether a correct server may
// do so.
func verdictOn(allowed []string, c *tap, end lab.End) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	text := answerIn(c.toClient, end)
	if !slices.Contains(allowed, text) {
		text += "; want " + strings.Join(allowed, " or ")
	}
	return text
}

// answerIn is a server's answer in the words of lab.Result, where it is one.
func answerIn(toClient []byte, end lab.End) string {
	recs, _, _ := wire.ReadRecords(toClient)
	msgs, _, _ := wire.ReadHandshake(recs)
	if len(msgs) > 0 {
		hello, _ := wire.ParseServerHello(msgs[len(msgs)-1].Body)
		switch {
		case !hello.HRR() && end.Data:
			kind := lab.Classical
			if hello.Group.PostQuantum() {
				kind = lab.Hybrid
			}
			return lab.Result{Outcome: kind, Group: hello.Group, HRR: len(msgs) > 1}.String()
		case !hello.HRR():
			return fmt.Sprintf("ServerHello for %v, which came to nothing", hello.Group)
		}
	}
	for _, r := range recs {
		if a, err := wire.ParseAlert(r.Fragment); r.Type == wire.RecordAlert && err == nil {
			return lab.Result{Outcome: lab.Refused, Alert: a.Name()}.String()
		}
	}
	if end.TimedOut {
		return "silence"
	}
	return "closed without an alert"
}

// answersOf runs every client profile against a server; up is given what the
// server is to accept and says where it listens.
func answersOf(t *testing.T, server Peer, up func(lab.Offer) netip.AddrPort) (lines []string) {
	t.Helper()
	for _, id := range Profiles(lab.ClientRole) {
		client, err := Lookup(id)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range trials(client) {
			if server.Supports(lab.ServerRole, c.Accept) != nil {
				continue
			}
			conn, end, _ := dial(t, id, up(c.Accept), Request{Offer: c.Offer, Timeout: 5 * time.Second})
			conn.checkSizes(t, lab.NewCell(id, server.ID, c.Offer, c.Accept, "clean"), client, server)
			lines = append(lines, fmt.Sprintf("%s %s: %s", id, c.Accept, verdictOn(allowed(client, server, c), conn, end)))
		}
	}
	return lines
}

// keepAnswers compares with the recording, or with -update makes it.
func keepAnswers(t *testing.T, server Peer, version string, lines []string) {
	t.Helper()
	file := "testdata/profiles/" + string(server.ID) + ".txt"
	got := strings.Join(lines, "\n") + "\n"
	if *update {
		if err := os.WriteFile(file, []byte("# "+version+"\n"+got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if _, want, _ := strings.Cut(string(text), "\n"); got != want {
		t.Errorf("%s, which calls itself %q, does otherwise than recorded:\n%s", server.ID, version, got)
	}
}

// TestProfiles holds the servers of this process to their recordings; the
// docker-tagged TestRecordProfiles does so with all others.
func TestProfiles(t *testing.T) {
	for _, id := range inProcessIDs {
		t.Run(string(id), func(t *testing.T) {
			local, err := InProcess(id)
			if err != nil {
				t.Fatal(err)
			}
			servers := map[string]served{}
			keepAnswers(t, local.peer, local.Version(), answersOf(t, local.peer, func(o lab.Offer) netip.AddrPort {
				if _, up := servers[o.String()]; !up {
					servers[o.String()] = serve(t, id, Request{Offer: o})
				}
				return servers[o.String()].addr
			}))
		})
	}
}

// TestProfileRecordings: what is recorded as wrong is what the rules call
// wrong today.
func TestProfileRecordings(t *testing.T) {
	names, err := filepath.Glob("testdata/profiles/*.txt")
	if err != nil || len(names) < 2 {
		t.Fatalf("recordings: %v, %v", names, err)
	}
	for _, name := range names {
		server, err := Lookup(lab.PeerID(strings.TrimSuffix(filepath.Base(name), ".txt")))
		if err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			what, saw, ok := strings.Cut(strings.TrimSpace(line), ": ")
			id, group, _ := strings.Cut(what, " ")
			client, err := Lookup(lab.PeerID(id))
			if strings.HasPrefix(line, "#") {
				continue
			}
			if !ok || err != nil {
				t.Fatalf("%s: cannot read %q: %v", name, line, err)
			}
			saw, _, marked := strings.Cut(saw, "; want ")
			for _, c := range trials(client) {
				if may := allowed(client, server, c); c.Accept.String() == group && slices.Contains(may, saw) == marked {
					t.Errorf("%s: %s: %s is marked as wrong: %t; the rules allow %q", name, what, saw, marked, may)
				}
			}
		}
	}
}

// TestProfileServers: every stock client follows a HelloRetryRequest that it
// did not need; a server's hello may be cut; those that die do as they say.
func TestProfileServers(t *testing.T) {
	offer := lab.MustOffer("x25519mlkem768")
	for _, id := range Profiles(lab.ServerRole) {
		server, err := Lookup(id)
		if err != nil {
			t.Fatal(err)
		}
		running := serve(t, id, Request{Offer: offer})
		for _, client := range inProcessIDs {
			c, end, _ := dial(t, client, running.addr, Request{Offer: offer, Timeout: time.Second})
			want := map[lab.PeerID]string{"crafted@hrr-reset": "closed without an alert", "crafted@hrr-silent": "silence", "crafted@hrr-alert": "refused illegal_parameter"}[id]
			if want == "" {
				p, err := Lookup(client)
				if err != nil {
					t.Fatal(err)
				}
				want = lab.Predict(lab.NewCell(client, id, offer, offer, "clean"), p.Rules, server.Rules).Strings()[0]
			}
			c.mu.Lock()
			if got := answerIn(c.toClient, end); got != want {
				t.Errorf("%s to %s: %s, want %s: %+v", client, id, got, want, end)
			}
			c.mu.Unlock()
		}
	}
}

// TestProfileOnTheWire: the profile reaches the wire by its name alone, in
// this process and as a process of its own.
func TestProfileOnTheWire(t *testing.T) {
	p, err := Lookup("crafted@pad-4000")
	if err != nil {
		t.Fatal(err)
	}
	cmd, err := p.Command(Request{Role: lab.ClientRole, Addr: serve(t, "crafted", Request{}).addr})
	if err != nil || !slices.Equal(cmd.Argv, []string{Binary, "peer", "crafted@pad-4000"}) {
		t.Errorf("runs %q, %v", cmd.Argv, err)
	}
	c, end, _ := dial(t, p.ID, serve(t, "go@1.26", Request{}).addr, Request{})
	recs, _, err := wire.ReadRecords(c.toServer)
	if err != nil || !end.Data || len(recs[0].Fragment) != 4000-5 {
		t.Errorf("hello of %d bytes: %v %+v", len(recs[0].Fragment), err, end)
	}
	if _, err := Lookup("crafted@nonsense"); err == nil || !strings.Contains(err.Error(), "crafted@pad-4000") {
		t.Errorf("an unknown profile: %v does not name the known ones", err)
	}
}
