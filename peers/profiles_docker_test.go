//go:build docker

package peers

import (
	"net/netip"
	"testing"

	"hybridlab/lab"
	"hybridlab/peers/agent"
)

// TestRecordProfiles sends the crafted peer's hellos to every server of the
// table that runs in a container only, and keeps what it answers.
func TestRecordProfiles(t *testing.T) {
	for _, p := range Table() {
		if p.local != nil || !p.Plays(lab.ServerRole) || p.Rules.TLS12 {
			continue // TestProfiles; no share is looked at in TLS 1.2
		}
		t.Run(string(p.ID), func(t *testing.T) {
			costly(t, p)
			c := startContainer(t, p)
			version, err := VersionText(c.run(t, p.Version()))
			if err != nil {
				t.Fatal(err)
			}
			if lines := answersOf(t, p, c.servers(t, p)); lines != nil {
				keepAnswers(t, p, version, lines)
			}
		})
	}
}

// servers starts a server for a list of groups where none is up that would
// serve one more connection.
func (c *container) servers(t *testing.T, p Peer) func(lab.Offer) netip.AddrPort {
	up := map[string]netip.AddrPort{}
	var ended func() agent.Result
	return func(o lab.Offer) netip.AddrPort {
		if addr, ok := up[o.String()]; ok && !p.Exclusive() {
			return addr
		}
		if ended != nil && p.Exclusive() {
			ended()
		}
		addr := freePort(t)
		cmd := command(t, p, Request{Role: lab.ServerRole, Addr: addr, Offer: o, Identity: identity(t, "one")})
		if _, stays := p.driver.(reporter); stays {
			c.up(t, cmd, addr)
		} else {
			ended = c.start(t, cmd)
		}
		up[o.String()] = addr
		return addr
	}
}
