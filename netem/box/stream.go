package box

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"slices"
	"sync"
	"time"

	"hybridlab/lab/capture"
)

// Conn is a connection that ends at a box.
type Conn interface {
	net.Conn
	CloseWrite() error
	Reset()
}

// Site is where a box that ends TCP stands.
type Site struct {
	Port uint16 // the server's
	Now  func() time.Duration
	Luck func(seed uint64) float64
	Deed func(action string) // books an action before it shows
	Dial func(ctx context.Context, decoy bool) (Conn, error)
	TLS  Identity // of layer tls
}

// firstRead is how long after the first bytes a box comes round to read() them:
// what came by then is what its first read() returns. Two segments sent one
// right behind the other are one read, as they mostly are.
const firstRead = 10 * time.Millisecond

// Serve is a box of layer stream or tls on one connection: it reads until its
// conditions are decided, does what then is to be done, and passes on the rest
// in both directions. It returns when the connection is over, at the latest
// some time after ctx ends.
func (m *Machine) Serve(ctx context.Context, client Conn, s Site) {
	defer client.Close()
	defer context.AfterFunc(ctx, client.Reset)()
	v := &visit{Flow: m.NewFlow(s.Port, s.Luck), site: s, client: client}
	actions, ok := v.decide()
	if !ok {
		return
	}
	if v.act(actions) {
		v.forward(ctx)
	}
}

// visit is a connection through such a box.
type visit struct {
	*Flow
	site   Site
	client Conn
	read   int // bytes that the first read() returned

	decoy    bool
	truncate bool
	edits    []Action // of the hello as it passes
	legs     *legs    // of layer tls: it decrypts
}

// decide reads until the conditions are; false: the client ended before.
func (v *visit) decide() ([]Action, bool) {
	for {
		err := v.next()
		switch v.all(v.machine.whole, &Seen{}) {
		case yes:
			return v.machine.program.Do, true
		case no:
			return v.machine.program.Otherwise, true
		}
		if err != nil {
			return nil, false
		}
	}
}

// next is one read().
func (v *visit) next() error {
	buf := make([]byte, maxSniffed)
	n, err := v.client.Read(buf)
	if v.read == 0 && err == nil {
		n = v.more(buf, n)
		v.read = n
	}
	p := Seen{Dir: capture.ToServer, TCP: true, Seq: uint32(len(v.stream().data)), Payload: buf[:n]}
	v.learn(v.site.Now(), &p)
	if err == nil && v.stream().spent() {
		err = io.ErrShortBuffer // nothing but data, and no decision
	}
	return err
}

func (v *visit) stream() *half { return &v.halves[capture.ToServer] }

// more waits for what else comes within the time of the first read.
func (v *visit) more(buf []byte, n int) int {
	v.client.SetReadDeadline(time.Now().Add(firstRead))
	defer v.client.SetReadDeadline(time.Time{})
	for n < len(buf) {
		k, err := v.client.Read(buf[n:])
		n += k
		if err != nil {
			break // the deadline; anything else comes again
		}
	}
	return n
}

// act does what is done before anything is passed on, and reports whether
// anything is.
func (v *visit) act(actions []Action) bool {
	for _, a := range actions {
		if a.Name == "probabilistic" {
			if v.luck(a.Seed) >= a.P {
				return true
			}
			continue
		}
		v.site.Deed(a.Text)
		switch a.Name {
		case "RST":
			if slices.Contains(a.Ends, capture.ToClient) {
				v.client.Reset()
			}
			return false
		case "FIN":
			if slices.Contains(a.Ends, capture.ToClient) {
				v.client.CloseWrite()
				io.Copy(io.Discard, v.client)
			}
			return false
		case "hang":
			io.Copy(io.Discard, v.client)
			return false
		case "alert":
			v.client.Write(alertRecord(a))
		case "misroute":
			v.decoy = true
		case "truncate":
			v.truncate = true
		case "strip", "rewrite", "reencrypt":
			v.edit(a)
		case "leak":
			v.machine.leak(a.N)
		}
	}
	return true
}

func alertRecord(a Action) []byte { return []byte{21, 3, 3, 0, 2, a.Level, a.Code} }

// edit notes what is to be done to the hello, all of which has to be there.
func (v *visit) edit(a Action) {
	for !v.hello.whole && v.later() == unknown && v.next() == nil {
	}
	if v.machine.program.Layer == TLS {
		v.legs = legsOf(a)
		return
	}
	v.edits = append(v.edits, a)
}

// forward connects to the server, passes on what was read, and then all that
// comes.
func (v *visit) forward(ctx context.Context) {
	server, err := v.site.Dial(ctx, v.decoy)
	if err != nil {
		v.client.Reset()
		return
	}
	defer server.Close()
	defer context.AfterFunc(ctx, server.Reset)()
	if v.legs != nil {
		v.decrypt(ctx, server)
		return
	}
	head := v.stream().data
	if v.truncate {
		head = head[:v.read]
	}
	for _, a := range v.edits {
		head = v.hello.edited(head, a)
	}
	if _, err := server.Write(head); err != nil {
		v.client.Reset()
		return
	}
	var rest io.Writer = server
	if v.truncate {
		rest = io.Discard
	}
	splice(v.client, server, rest)
}

// splice passes on what comes on either connection until both have ended. What
// the client sends goes to toServer.
func splice(client, server Conn, toServer io.Writer) {
	var wg sync.WaitGroup
	wg.Go(func() { pass(toServer, client, server) })
	wg.Go(func() { pass(client, server, client) })
	wg.Wait()
}

// pass copies from one connection to another: its end is passed on as well,
// a reset as a reset.
func pass(to io.Writer, from net.Conn, far Conn) {
	_, err := io.Copy(to, from)
	if err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		far.CloseWrite()
		return
	}
	far.Reset()
}
