package lab

import (
	"bytes"
	"crypto/tls"
	"reflect"
	"slices"
	"strings"
	"testing"

	"hybridlab/lab/capture"
	"hybridlab/lab/capture/capturetest"
	"hybridlab/lab/wire"
)

func TestClientClose(t *testing.T) {
	hello := talked(t, offering(tls.X25519), offering(tls.X25519))[0]
	for want, end := range map[string]func(*capturetest.Path){
		"":           func(*capturetest.Path) {},
		"fin-client": func(p *capturetest.Path) { p.Close(capture.ToServer) },
		"fin-server": func(p *capturetest.Path) { p.Close(capture.ToClient) },
		"rst-client": func(p *capturetest.Path) { p.Reset(capture.ToServer); p.Close(capture.ToClient) },
		"rst-server": func(p *capturetest.Path) { p.Reset(capture.ToClient); p.Close(capture.ToServer) },
	} {
		p := capturetest.New(false)
		p.Open()
		p.Play([]capturetest.Flight{hello})
		end(p)
		if w := ObserveWire(p.Packets); w.ClientClose != want {
			t.Errorf("closed by %q, want %q", w.ClientClose, want)
		}
	}
	p := capturetest.New(false)
	p.Put(capturetest.Segment{Flags: capture.SYN})
	p.Reset(capture.ToClient)
	if w := ObserveWire(p.Packets); w.ClientClose != "rst-server" || w.Connected {
		t.Errorf("refused: closed by %q, connected %t", w.ClientClose, w.Connected)
	}
}

// What says the capture cannot be trusted.
func TestWireOfBadEvidence(t *testing.T) {
	flights := talked(t, offering(tls.X25519MLKEM768), offering(tls.X25519MLKEM768))
	p := played(false, flights)
	if w := ObserveWire(p.Packets); w.OverMSS != 0 || w.Unseen != 0 {
		t.Fatalf("control: %+v", w)
	}
	lost := slices.Clone(p.Packets)
	lost = slices.DeleteFunc(lost, func(x capture.Packet) bool { return len(x.Data) == 40+segmentSize && x.Dir == capture.ToServer })
	if w := ObserveWire(lost); w.Unseen != segmentSize {
		t.Errorf("without the hello's first segment %d bytes unseen, want %d", w.Unseen, segmentSize)
	}
	leaked := opened(false)
	leaked.MSS[1] = 9000 // the server said 1,400 before
	leaked.Play(flights[:1])
	if w := ObserveWire(leaked.Packets); w.OverMSS != 1 || w.MaxPayload != len(flights[0].Data) {
		t.Errorf("one segment of %d bytes over an MSS of 1400: over %d, largest %d", len(flights[0].Data), w.OverMSS, w.MaxPayload)
	}
	silent := capturetest.New(false)
	silent.MSS = [2]uint16{}
	silent.Open()
	silent.MSS[1] = 9000
	silent.Play(flights[:1])
	if w := ObserveWire(silent.Packets); w.OverMSS != 0 {
		t.Errorf("no MSS was announced and %d segments are over it", w.OverMSS)
	}
}

// A box that rewrites the hello and keeps the connection.
func TestRewrittenHello(t *testing.T) {
	flights := talked(t, offering(tls.X25519MLKEM768), offering(tls.X25519MLKEM768))
	p := opened(false)
	for _, s := range p.Cut(capture.ToServer, flights[0].Data, 1000) {
		s.Drop = "box"
		p.Put(s)
		s.Payload = bytes.ReplaceAll(s.Payload, []byte{0x11, 0xec}, []byte{0x11, 0xeb})
		p.Packets = append(p.Packets, capture.Packet{At: p.Now, Side: capture.ServerSide, Data: p.Packet(capture.ServerSide, s)})
	}
	w := ObserveWire(p.Packets)
	if w.ClientHellos[0].SHA256 == w.AtServer[0].SHA256 || !slices.Contains(w.AtServer[0].Groups, wire.SecP256r1MLKEM768) {
		t.Errorf("sent %+v, arrived %+v", w.ClientHellos, w.AtServer)
	}
}

// A box answers in the server's name: the client sees another ServerHello
// than the server sent, and an alert nobody sent.
func TestForgedAnswers(t *testing.T) {
	flights := talked(t, offering(tls.X25519), offering(tls.X25519))
	p := capturetest.New(false)
	p.Open()
	p.Play(flights[:1])
	alert := wire.AppendRecord(nil, wire.RecordAlert, 0x0303, []byte{2, 40})
	p.Packets = append(p.Packets, capture.Packet{At: p.Now, Side: capture.ClientSide, Dir: capture.ToClient,
		Data: p.Packet(capture.ClientSide, capturetest.Segment{Dir: capture.ToClient, Flags: capture.ACK, Payload: alert})})
	for _, s := range p.Cut(capture.ToClient, flights[1].Data, 1460) {
		s.Drop = "box"
		p.Put(s)
	}
	w := ObserveWire(p.Packets)
	if w.ServerHello != nil || w.FromServer == nil || w.FromServer.Group != wire.X25519 {
		t.Errorf("received %+v, sent %+v", w.ServerHello, w.FromServer)
	}
	if want := []Alert{{"server", "handshake_failure", 40, 11}}; !slices.Equal(w.Alerts, want) {
		t.Errorf("alerts %+v, want %+v", w.Alerts, want)
	}
}

func TestSeveralConnections(t *testing.T) {
	flights := talked(t, offering(tls.X25519), offering(tls.X25519))
	empty := capturetest.New(false)
	empty.Open()
	empty.Reset(capture.ToClient)
	failed := capturetest.New(false)
	failed.Packets, failed.Now, failed.ISN = empty.Packets, empty.Now, [2]uint32{5, 6}
	failed.Open()
	failed.Play(flights[:1])
	failed.Reset(capture.ToClient)
	good := capturetest.New(false)
	good.Packets, good.Now, good.ISN = failed.Packets, failed.Now, [2]uint32{7, 8}
	good.Open()
	good.Play(flights)
	w := ObserveWire(good.Packets)
	if w.ClientClose != "rst-server" || len(w.ClientHellos) != 1 || len(w.AtServer) != 1 || w.ServerHello != nil || w.AppToClient != 0 {
		t.Errorf("the facts are not those of the second connection: %+v", w)
	}
}

func TestWireOfOtherProtocols(t *testing.T) {
	hello := talked(t, offering(tls.X25519), offering(tls.X25519))[0]
	p := capturetest.New(false)
	p.Open()
	p.Play([]capturetest.Flight{hello, {Dir: capture.ToClient, Data: []byte("HTTP/1.0 400 Bad Request\r\n")}})
	w := ObserveWire(p.Packets)
	if !strings.HasPrefix(w.DecodeErr, "client side, to client: ") || len(w.ClientHellos) != 1 {
		t.Errorf("error %q, hellos %+v", w.DecodeErr, w.ClientHellos)
	}
	if w := ObserveWire(nil); !reflect.DeepEqual(w, Wire{}) {
		t.Errorf("nothing gave %+v", w)
	}
}

// A capture that ends early never shows what the whole one does not.
func TestWireOfEveryPrefix(t *testing.T) {
	flights := talked(t, offering(tls.X25519MLKEM768, tls.CurveP256), offering(tls.CurveP256))
	p := played(false, flights)
	whole := ObserveWire(p.Packets)
	for n := range p.Packets {
		w := ObserveWire(p.Packets[:n])
		if w.DecodeErr != "" || w.Unseen != 0 || w.Retransmits != 0 || len(w.Alerts) > 0 {
			t.Fatalf("%d packets: %+v", n, w)
		}
		for i, h := range w.ClientHellos {
			if h.SHA256 != "" && h.SHA256 != whole.ClientHellos[i].SHA256 {
				t.Fatalf("%d packets: hello %d is %+v", n, i, h)
			}
		}
		if w.ServerHello != nil && *w.ServerHello != *whole.ServerHello || w.HRR != nil && *w.HRR != *whole.HRR {
			t.Fatalf("%d packets: ServerHello %+v, HRR %+v", n, w.ServerHello, w.HRR)
		}
		if w.HandshakeMS != 0 && w.HandshakeMS != whole.HandshakeMS {
			t.Fatalf("%d packets: %g ms", n, w.HandshakeMS)
		}
	}
}

// FuzzObserveWire feeds two streams as they would come over a clean path.
func FuzzObserveWire(f *testing.F) {
	for _, c := range []*tls.Config{offering(tls.X25519MLKEM768), offering(tls.CurveP256), {MaxVersion: tls.VersionTLS12}} {
		var up, down []byte
		for _, x := range talked(f, c, offering(tls.X25519MLKEM768, tls.CurveP256)) {
			if x.Dir == capture.ToServer {
				up = append(up, x.Data...)
			} else {
				down = append(down, x.Data...)
			}
		}
		f.Add(up, down, uint16(1460))
	}
	f.Fuzz(func(t *testing.T, up, down []byte, mss uint16) {
		p := capturetest.New(false)
		p.MSS = [2]uint16{mss | 64, mss | 64}
		p.Open()
		p.Play([]capturetest.Flight{{Data: up}, {Dir: capture.ToClient, Data: down}})
		w := ObserveWire(p.Packets)
		for _, h := range w.ClientHellos {
			if h.Bytes > len(up) || h.Segments > h.Bytes || h.Records > h.Bytes || h.Segments == 0 || h.Records == 0 {
				t.Fatalf("%+v from %d bytes", h, len(up))
			}
		}
		if w.AppToServer > len(up) || w.AppToClient > len(down) || w.OverMSS != 0 || w.Unseen != 0 {
			t.Fatalf("%+v", w)
		}
	})
}

func BenchmarkObserveWire(b *testing.B) {
	p := played(false, talked(b, offering(tls.X25519MLKEM768), offering(tls.X25519MLKEM768)))
	b.ReportMetric(float64(len(p.Packets)), "packets")
	b.ReportAllocs()
	for b.Loop() {
		if w := ObserveWire(p.Packets); w.ServerHello == nil {
			b.Fatal("no ServerHello")
		}
	}
}
