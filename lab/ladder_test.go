package lab

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"slices"
	"strings"
	"testing"

	"hybridlab/lab/capture"
	"hybridlab/lab/capture/capturetest"
	"hybridlab/lab/wire"
)

// told is a ladder in one line a rung: "> ClientHello 1-1400/1718 x loss".
func told(l Ladder) []string {
	var out []string
	for _, r := range l.Rungs {
		s := map[string]string{"to server": ">", "to client": "<"}[r.Dir]
		for _, p := range r.TLS {
			s += " " + p.What
			switch {
			case p.Count > 0:
				s += fmt.Sprintf(" x%d", p.Count)
			case p.To-p.From+1 < p.Of:
				s += fmt.Sprintf(" %d-%d/%d", p.From, p.To, p.Of)
			}
			if p.Records > 0 {
				s += fmt.Sprintf(" in %d records", p.Records)
			}
		}
		for _, w := range []string{r.Proto, r.Flags} {
			if w != "" {
				s += " " + w
			}
		}
		if r.MSS > 0 {
			s += fmt.Sprintf(" mss %d", r.MSS)
		}
		if r.Resent {
			s += " again"
		}
		if r.Made {
			s += " made"
		}
		if r.Drop != "" {
			s += " x " + r.Drop
		}
		if n := len(r.Arrived); n > 1 {
			s += fmt.Sprintf(" arrived %d times", n)
		}
		for _, n := range r.Notes {
			s += " (" + n + ")"
		}
		if r.Conn > 1 {
			s += fmt.Sprintf(" conn %d", r.Conn)
		}
		out = append(out, s)
	}
	return out
}

func checkTold(t *testing.T, name string, l Ladder, want ...string) {
	t.Helper()
	got := told(l)
	for i := range max(len(got), len(want)) {
		g, w := "", ""
		if i < len(got) {
			g = got[i]
		}
		if i < len(want) {
			w = want[i]
		}
		if g != w {
			t.Errorf("%s, rung %d:\n got %q\nwant %q", name, i+1, g, w)
		}
	}
}

func TestLadderOfHandshakes(t *testing.T) {
	hybrid := offering(tls.X25519MLKEM768)
	flights := talked(t, hybrid, hybrid)
	for _, v6 := range []bool{false, true} {
		l := NewLadder(played(v6, flights).Packets)
		n, m := len(flights[0].Data), 0 // of the ClientHello, of the ServerHello
		for _, h := range l.Rungs {
			for _, p := range h.TLS {
				if p.What == "ServerHello" {
					m = p.Of
				}
			}
		}
		got := told(l)
		for i, want := range []string{
			"> SYN mss 1400", "< SYN ACK mss 1400", ">",
			fmt.Sprintf("> ClientHello 1-1400/%d", n), fmt.Sprintf("> ClientHello 1401-%d/%d", n, n), "<",
		} {
			if got[i] != want {
				t.Errorf("rung %d: %q, want %q", i+1, got[i], want)
			}
		}
		if m < 1100 || got[len(got)-1] != ">" || got[len(got)-2] != "< FIN ACK" || got[len(got)-3] != "> FIN ACK" {
			t.Errorf("ServerHello of %d bytes, the end is %q", m, got[len(got)-3:])
		}
		if r := l.Rungs[4]; r.Seq != 1400 || r.Payload != n-1400 || r.Sent.Packet != 9 || r.Arrived[0].Packet != 10 || r.Arrived[0].US-r.Sent.US != 100 {
			t.Errorf("second segment: %+v", r)
		}
	}
}

func TestLadderOfRetryAndRefusal(t *testing.T) {
	retry := talked(t, offering(tls.X25519MLKEM768, tls.CurveP256), offering(tls.CurveP256))
	var whats []string
	for _, r := range NewLadder(played(false, retry).Packets).Rungs {
		for _, p := range r.TLS {
			if !slices.Contains(whats, p.What) {
				whats = append(whats, p.What)
			}
		}
	}
	if got := strings.Join(whats, " "); got != "ClientHello HelloRetryRequest change_cipher_spec ServerHello application_data" {
		t.Errorf("retry: %s", got)
	}
	refused := talked(t, offering(tls.X25519), offering(tls.CurveP384))
	if got := told(NewLadder(played(false, refused).Packets)); !slices.Contains(got, "< alert handshake_failure") {
		t.Errorf("refusal: %q", got)
	}
	old := talked(t, &tls.Config{MaxVersion: tls.VersionTLS12}, offering(tls.X25519))
	got := strings.Join(told(NewLadder(played(false, old).Packets)), "\n")
	for _, want := range []string{"ServerHello Certificate ServerKeyExchange ServerHelloDone", "ClientKeyExchange change_cipher_spec encrypted handshake", "encrypted alert"} {
		if !strings.Contains(got, want) {
			t.Errorf("TLS 1.2: no %q in\n%s", want, got)
		}
	}
}

// What the path did is told beside the packet it did it to.
func TestLadderOfThePath(t *testing.T) {
	hello := talked(t, offering(tls.X25519), offering(tls.X25519))[0].Data
	put := func(edit ...func(*capturetest.Segment)) Ladder {
		p := capturetest.New(false)
		segs := p.Cut(capture.ToServer, hello, 200)
		for i := range segs {
			if i < len(edit) && edit[i] != nil {
				edit[i](&segs[i])
			}
			p.Put(segs[i])
		}
		return NewLadder(p.Packets)
	}
	n := len(hello)
	first, second := fmt.Sprintf("> ClientHello 1-200/%d", n), fmt.Sprintf("> ClientHello 201-%d/%d", n, n)
	checkTold(t, "clean", put(), first, second)
	checkTold(t, "lost", put(func(s *capturetest.Segment) { s.Drop = "loss" }), first+" x loss", second)
	checkTold(t, "corrupted", put(nil, func(s *capturetest.Segment) { s.Corrupt = 1 }), first, second+" (corrupted byte 1)")
	checkTold(t, "in fragments", put(func(s *capturetest.Segment) { s.Pieces = 2 }), first+" arrived 2 times (fragment 1/2) (fragment 2/2)", second)

	p := opened(false)
	p.Cut(capture.ToServer, hello, 200)
	made := func(side capture.Side, dir capture.Direction, data []byte, note string) {
		p.Packets = append(p.Packets, capture.Packet{At: p.Now, Side: side, Dir: dir, Data: data, Note: note})
	}
	icmp := capturetest.IP(p.Server[0].Addr(), p.Client[0].Addr(), 1, make([]byte, 8))
	made(capture.ClientSide, capture.ToClient, icmp, "made by the path: too big, MTU 1280")
	rst := p.Packet(capture.ClientSide, capturetest.Segment{Dir: capture.ToClient, Flags: capture.RST})
	made(capture.ClientSide, capture.ToClient, rst, "box x: RST(client)")
	made(capture.ClientSide, capture.ToClient, rst, "box x: RST(client)")
	p.Packets[len(p.Packets)-1].Drop = "loss"
	l := NewLadder(p.Packets[6:])
	checkTold(t, "made by the path", l, "< ICMP made (made by the path: too big, MTU 1280)", "< RST made (box x: RST(client))", "< TCP made x loss (box x: RST(client))")
	if len(l.Rungs[1].Arrived) != 1 || len(l.Rungs[2].Arrived) != 0 || l.Rungs[2].Sent.Packet != 3 {
		t.Errorf("made by a box: %+v", l.Rungs[1:])
	}
}

// A box that ends TCP has a connection of its own to the server.
func TestLadderOfTwoConnections(t *testing.T) {
	near, far := opened(false), capturetest.New(false)
	far.ISN = [2]uint32{77, 78}
	far.Open()
	var packets []capture.Packet
	for i := range far.Packets {
		far.Packets[i].ID += 100
	}
	for i, p := range slices.Concat(near.Packets, far.Packets) {
		if (p.Side == capture.ClientSide) == (i < len(near.Packets)) {
			packets = append(packets, p)
		}
	}
	got := told(NewLadder(packets))
	if len(got) != 6 || got[0] != "> SYN mss 1400" || got[1] != "< SYN ACK mss 1400 made" || got[4] != "< SYN ACK mss 1460 conn 2" {
		t.Errorf("%q", got)
	}
}

func TestLadderIsBounded(t *testing.T) {
	p := opened(false)
	tiny := bytes.Repeat(wire.AppendRecord(nil, wire.RecordAlert, 0x0303, []byte{1, 0}), 20)
	mixed := bytes.Repeat(append(wire.AppendRecord(nil, wire.RecordApplicationData, 0x0303, []byte{1}), tiny[:7]...), 20)
	p.Send(capture.ToServer, tiny)
	p.Send(capture.ToServer, mixed)
	l := NewLadder(p.Packets)
	checkTold(t, "many records", l, "> SYN mss 1400", "< SYN ACK mss 1400", ">",
		"> alert close_notify x20", "<",
		"> application_data alert close_notify application_data alert close_notify application_data alert close_notify application_data more x33", "<")
	for range 300 {
		p.Send(capture.ToServer, []byte("x"))
	}
	if l := NewLadder(p.Packets); len(l.Rungs) != mostRungs || l.Left != 607-mostRungs {
		t.Errorf("%d rungs and %d left of 607 packets", len(l.Rungs), l.Left)
	}
}

func FuzzLadder(f *testing.F) {
	flights := talked(f, offering(tls.X25519MLKEM768, tls.CurveP256), offering(tls.CurveP256))
	for _, fl := range flights {
		f.Add(fl.Data, uint16(100))
	}
	f.Add(flights[0].Data[:60], uint16(7))
	f.Fuzz(func(t *testing.T, stream []byte, size uint16) {
		p := capturetest.New(false)
		for _, s := range p.Cut(capture.ToServer, stream[:min(len(stream), 1<<16)], 1+int(size)%1460) {
			p.Put(s)
		}
		l := NewLadder(p.Packets)
		for _, r := range l.Rungs {
			n := 0
			for _, piece := range r.TLS {
				if piece.From < 1 || piece.To < piece.From || piece.Of < piece.To || len(r.TLS) > mostPieces {
					t.Fatalf("piece %+v of %+v", piece, r)
				}
				n += piece.To - piece.From + 1
			}
			if n != r.Payload {
				t.Fatalf("%d of %d bytes are told: %+v", n, r.Payload, r)
			}
		}
		for _, h := range l.Hellos {
			if !h.Arrived || len(h.Lines) > 2*mostHelloLines {
				t.Fatalf("hello %+v", h)
			}
		}
	})
}
