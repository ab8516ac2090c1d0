//go:build docker

package peers

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync"
	"testing"

	"hybridlab/lab"
)

// TestRecordSizes weighs the hellos of every client that runs in a container
// only.
func TestRecordSizes(t *testing.T) {
	for _, p := range Table() {
		if p.local != nil || !p.Plays(lab.ClientRole) {
			continue // TestSizesInProcess
		}
		t.Run(string(p.ID), func(t *testing.T) {
			costly(t, p)
			c := startContainer(t, p)
			version, err := VersionText(c.run(t, p.Version()))
			if err != nil {
				t.Fatal(err)
			}
			lines := sizesOf(t, p, func(server lab.PeerID, accept, offer lab.Offer) (toServer, toClient []byte) {
				return c.hellos(t, p, server, accept, offer)
			})
			keep(t, p, "sizes", "Bytes of the ClientHellos of "+version, "TestRecordSizes", lines)
		})
	}
}

// hellos is what the client sends to a server of this process.
func (c *container) hellos(t *testing.T, p Peer, server lab.PeerID, accept, offer lab.Offer) (toServer, toClient []byte) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	tapped := &tapListener{Listener: ln, conns: make(chan *tap, 1)}
	local, err := InProcess(server)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := local.Serve(ctx, tapped, Request{Offer: accept, Identity: identity(t, "one")}, func(netip.AddrPort, lab.End, []byte) {}); err != nil {
			t.Error(err)
		}
	})
	res := c.run(t, command(t, p, Request{Role: lab.ClientRole, Addr: netip.MustParseAddrPort(ln.Addr().String()), Offer: offer}))
	stop()
	wg.Wait()
	conn := <-tapped.conns
	if len(conn.toClient) == 0 {
		t.Fatalf("%s, %s: no hello came: %+v", p.ID, offer, res)
	}
	return conn.toClient, conn.toServer // named from the server's side the other way round
}

// keep compares with the recording testdata/PEER.KIND, or with -update makes it.
func keep(t *testing.T, p Peer, kind, head, test string, lines []string) {
	t.Helper()
	file := "testdata/" + string(p.ID) + "." + kind
	got := fmt.Sprintf("# %s, seen on the wire. Written by: go test -tags docker -run %s/%s ./peers -update\n%s\n", head, test, p.ID, strings.Join(lines, "\n"))
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	_, was, _ := strings.Cut(string(text), "\n")
	if _, is, _ := strings.Cut(got, "\n"); is != was {
		t.Errorf("%s does otherwise than recorded:\n%s", head, is)
	}
}
