//go:build docker

package peers

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"hybridlab/lab"
)

// TestRecordTLS12 tries what every peer does where TLS 1.2 is the only common
// version: its server with a client that is held to it, or with one that is
// not where the server itself is; its client likewise.
func TestRecordTLS12(t *testing.T) {
	for _, p := range Table() {
		if p.local != nil {
			continue // TestRulesInProcess
		}
		t.Run(string(p.ID), func(t *testing.T) {
			costly(t, p)
			c := startContainer(t, p)
			version, err := VersionText(c.run(t, p.Version()))
			if err != nil {
				t.Fatal(err)
			}
			keep12(t, p, version, append(servers12(t, p, c), clients12(t, p, c)...))
		})
	}
}

func servers12(t *testing.T, p Peer, c *container) (lines []string) {
	up := c.servers(t, p)
	clients := []lab.PeerID{old12}
	if p.Rules.TLS12 {
		clients = []lab.PeerID{new12, old12}
	}
	for _, accept := range accepts12 {
		if p.Supports(lab.ServerRole, lab.MustOffer(accept)) != nil {
			continue
		}
		for _, client := range clients {
			for _, offer := range offers12 {
				conn, _, _ := dial(t, client, up(lab.MustOffer(accept)), Request{Offer: lab.MustOffer(offer)})
				lines = append(lines, fmt.Sprintf("server %s, offered %s by %s: %v", accept, offer, client, conn.look(t).result))
			}
		}
	}
	return lines
}

func clients12(t *testing.T, p Peer, c *container) (lines []string) {
	servers := []lab.PeerID{old12}
	if p.Rules.TLS12 {
		servers = []lab.PeerID{new12, old12}
	}
	for _, offer := range offers12 {
		if p.Supports(lab.ClientRole, lab.MustOffer(offer)) != nil {
			continue
		}
		for _, server := range servers {
			saw := against(t, p, c, offer, server)
			lines = append(lines, fmt.Sprintf("client %s to %s: %v; %v", offer, server, noted(saw.groups), saw.result))
		}
	}
	return lines
}

// keep12 compares with the recording, or with -update makes it.
func keep12(t *testing.T, p Peer, version string, lines []string) {
	t.Helper()
	file := "testdata/tls12/" + string(p.ID) + ".txt"
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
		t.Errorf("%s, which calls itself %q, does otherwise than recorded:\n%s", p.ID, version, got)
	}
}
