//go:build docker

package peers

import (
	"fmt"
	"net"
	"testing"

	"hybridlab/lab"
)

// TestRecordCerts shows every kind of certificate to every client that runs in
// a container only, and has every such server show it: what a row says about
// ML-DSA is seen on the wire, too.
func TestRecordCerts(t *testing.T) {
	for _, p := range Table() {
		if p.local != nil || p.Rules.TLS12 {
			continue // TestCertsInProcess; the crafted peer speaks TLS 1.3
		}
		t.Run(string(p.ID), func(t *testing.T) {
			costly(t, p)
			c := startContainer(t, p)
			version, err := VersionText(c.run(t, p.Version()))
			if err != nil {
				t.Fatal(err)
			}
			var lines []string
			for _, kind := range CertKinds() {
				if p.Plays(lab.ServerRole) {
					lines = append(lines, fmt.Sprintf("server %s: %s", kind, c.shows(t, p, kind)))
				}
				if p.Plays(lab.ClientRole) {
					lines = append(lines, fmt.Sprintf("client %s: %s", kind, c.verifies(t, p, kind)))
				}
			}
			keep(t, p, "certs", "What becomes of kinds of certificate at "+version, "TestRecordCerts", lines)
		})
	}
}

// shows is what came of a handshake with a client that verifies every kind.
func (c *container) shows(t *testing.T, p Peer, kind string) string {
	t.Helper()
	addr := freePort(t)
	cmd := command(t, p, Request{Role: lab.ServerRole, Addr: addr, Identity: certificate(t, kind)})
	cmd.Ready = fmt.Sprintf("tcp:%d", addr.Port()) // whatever it prints, and wherever
	c.start(t, cmd)
	conn, err := net.Dial("tcp", addr.String())
	if err != nil {
		return certNo // it did not start
	}
	client := lab.PeerID("go@1.26") // it lists every signature there is but ML-DSA, and some servers look
	if certKinds[kind].mldsa != "" {
		client = "crafted@ml-dsa"
	}
	_, end, _ := talk(t, client, conn, Request{})
	return didCert(end)
}

// verifies is what came of a handshake with a server that shows the kind.
func (c *container) verifies(t *testing.T, p Peer, kind string) string {
	t.Helper()
	r := Request{Role: lab.ClientRole, Addr: serve(t, "crafted", Request{Identity: certificate(t, kind)}).addr}
	end, _ := p.Parse(r, c.run(t, command(t, p, r)))
	t.Logf("%s, %s: %+v", p.ID, kind, end)
	return didCert(end)
}
