package lab

import (
	"crypto/tls"
	"errors"
	"reflect"
	"slices"
	"testing"

	"hybridlab/fixtures"
	"hybridlab/lab/capture"
	"hybridlab/lab/capture/capturetest"
	"hybridlab/lab/wire"
)

// offering is a TLS configuration with these groups and nothing else.
func offering(ids ...tls.CurveID) *tls.Config { return &tls.Config{CurvePreferences: ids} }

func talked(t testing.TB, client, server *tls.Config) []capturetest.Flight {
	t.Helper()
	flights, _, err := capturetest.Talk(client, server)
	if err != nil {
		t.Fatal(err)
	}
	return flights
}

// segmentSize cuts a hybrid hello in two, and leaves a classical one whole.
const segmentSize = 1400

func opened(v6 bool) *capturetest.Path {
	p := capturetest.New(v6)
	p.MSS = [2]uint16{segmentSize, segmentSize}
	p.Open()
	return p
}

// played puts a conversation on a clean path.
func played(v6 bool, flights []capturetest.Flight) *capturetest.Path {
	p := opened(v6)
	p.Play(flights)
	p.Close(capture.ToServer)
	return p
}

func TestWireOfRealHandshakes(t *testing.T) {
	hybrid, classical := offering(tls.X25519MLKEM768), offering(tls.X25519)
	tls12 := &tls.Config{CurvePreferences: []tls.CurveID{tls.CurveP256}, MaxVersion: tls.VersionTLS12}
	picky := offering(tls.X25519)
	picky.VerifyConnection = func(tls.ConnectionState) error { return errors.New("I do not like you") }
	for _, c := range []struct {
		name           string
		client, server *tls.Config
		group          wire.Group
		version        uint16
		hrr            wire.Group
		hellos         int
		segments       int // of the first hello
		alert          string
	}{
		{name: "hybrid", client: hybrid, server: hybrid, group: wire.X25519MLKEM768, version: 0x0304, hellos: 1, segments: 2},
		{name: "classical", client: classical, server: classical, group: wire.X25519, version: 0x0304, hellos: 1, segments: 1},
		{name: "HRR", client: offering(tls.X25519MLKEM768, tls.CurveP256), server: offering(tls.CurveP256),
			group: wire.SecP256r1, version: 0x0304, hrr: wire.SecP256r1, hellos: 2, segments: 2},
		{name: "TLS 1.2", client: tls12, server: offering(tls.X25519, tls.CurveP256), group: wire.SecP256r1, version: 0x0303, hellos: 1, segments: 1},
		{name: "refused", client: hybrid, server: offering(tls.CurveP384), hellos: 1, segments: 2, alert: "handshake_failure"},
		{name: "encrypted alert", client: picky, server: classical, group: wire.X25519, version: 0x0304, hellos: 1, segments: 1},
	} {
		flights := talked(t, c.client, c.server)
		for _, v6 := range []bool{false, true} {
			w := ObserveWire(played(v6, flights).Packets)
			if w.DecodeErr != "" || w.Unseen != 0 || w.OverMSS != 0 || w.Retransmits != 0 || !w.Connected || w.ClientClose != "fin-client" {
				t.Errorf("%s: %+v", c.name, w)
			}
			if len(w.ClientHellos) != c.hellos || !reflect.DeepEqual(unplaced(w.ClientHellos), unplaced(w.AtServer)) {
				t.Fatalf("%s: hellos %+v, at the server %+v; want %d and the same", c.name, w.ClientHellos, w.AtServer, c.hellos)
			}
			if h := w.ClientHellos[0]; h.Segments != c.segments || h.Records != 1 || h.TLS13 != (c.client != tls12) || len(h.SHA256) != 64 {
				t.Errorf("%s: hello %+v", c.name, h)
			}
			if got := summary(w.ServerHello); got != summary(w.FromServer) || got.Group != c.group || got.Version != c.version {
				t.Errorf("%s: ServerHello %+v, as it left %+v", c.name, w.ServerHello, w.FromServer)
			}
			if got := summary(w.HRR); got.Group != c.hrr {
				t.Errorf("%s: HRR %+v, want %s", c.name, w.HRR, c.hrr)
			}
			var alert string
			if len(w.Alerts) == 1 {
				alert = w.Alerts[0].From + " " + w.Alerts[0].Name
			}
			if want := c.alert; want != "" && alert != "server "+want || want == "" && len(w.Alerts) > 0 {
				t.Errorf("%s: alerts %+v, want %q", c.name, w.Alerts, want)
			}
			if failed := c.group == 0; failed != (w.AppToServer == 0) || failed != (w.AppToClient == 0) || failed != (w.HandshakeMS == 0) {
				t.Errorf("%s: %d bytes to the server, %d to the client, %g ms", c.name, w.AppToServer, w.AppToClient, w.HandshakeMS)
			}
		}
	}
}

// unplaced are hellos without where in the capture they are.
func unplaced(hellos []Hello) []Hello {
	out := slices.Clone(hellos)
	for i := range out {
		out[i].Packets = nil
	}
	return out
}

// OpenSSL cuts, orders and fills its hellos in its own way.
func TestWireOfRecordedFlows(t *testing.T) {
	for _, c := range []struct {
		name    string
		group   wire.Group
		version uint16
		hrr     wire.Group
		alert   string
	}{
		{"openssl-default", wire.X25519MLKEM768, 0x0304, 0, ""},
		{"openssl-hrr", wire.SecP521r1, 0x0304, wire.SecP521r1, ""},
		{"openssl-mlkem768", wire.MLKEM768, 0x0304, 0, ""},
		{"openssl-refused", 0, 0, 0, "handshake_failure"},
		{"openssl-tls12", wire.SecP384r1, 0x0303, 0, ""},
		{"go-hrr", wire.SecP384r1MLKEM1024, 0x0304, wire.SecP384r1MLKEM1024, ""},
	} {
		f, p := fixtures.Get(c.name), opened(true)
		p.Play([]capturetest.Flight{{Data: f.Client}, {Dir: capture.ToClient, Data: f.Server}})
		w := ObserveWire(p.Packets)
		sh, hrr := summary(w.ServerHello), summary(w.HRR)
		if sh.Group != c.group || sh.Version != c.version || hrr.Group != c.hrr || w.DecodeErr != "" {
			t.Errorf("%s: ServerHello %+v, HRR %+v, error %q", c.name, sh, hrr, w.DecodeErr)
		}
		if len(w.Alerts) != min(1, len(c.alert)) || c.alert != "" && w.Alerts[0].Name != c.alert {
			t.Errorf("%s: alerts %+v, want %q", c.name, w.Alerts, c.alert)
		}
		if hellos := 1 + min(1, int(c.hrr)); len(w.ClientHellos) != hellos || !reflect.DeepEqual(unplaced(w.ClientHellos), unplaced(w.AtServer)) {
			t.Errorf("%s: hellos %+v, want %d", c.name, w.ClientHellos, hellos)
		}
	}
}

func summary(h *ServerHello) ServerHello {
	if h == nil {
		return ServerHello{}
	}
	return *h
}

// The sizes are those of the standards: a share of X25519MLKEM768 is 1,216
// bytes from the client and 1,120 from the server.
func TestWireSizes(t *testing.T) {
	flights := talked(t, offering(tls.X25519MLKEM768), offering(tls.X25519MLKEM768))
	w := ObserveWire(played(false, flights).Packets)
	small := ObserveWire(played(false, talked(t, offering(tls.X25519), offering(tls.X25519))).Packets)
	hello := w.ClientHellos[0]
	if !slices.Equal(hello.Groups, []wire.Group{wire.X25519MLKEM768}) || !slices.Equal(hello.Shares, hello.Groups) {
		t.Errorf("groups %v, shares %v", hello.Groups, hello.Shares)
	}
	if want := len(flights[0].Data); hello.Bytes != want {
		t.Errorf("hello is %d bytes, the client wrote %d", hello.Bytes, want)
	}
	if d := hello.Bytes - small.ClientHellos[0].Bytes; d != 1216-32 {
		t.Errorf("the hybrid hello is %d bytes larger, want %d", d, 1216-32)
	}
	if d := w.ServerHello.Bytes - small.ServerHello.Bytes; d != 1120-32 {
		t.Errorf("the hybrid ServerHello is %d bytes larger, want %d", d, 1120-32)
	}
	if w.MaxPayload != segmentSize {
		t.Errorf("largest payload %d, want %d", w.MaxPayload, segmentSize)
	}
	// SYN at 1 ms; ACK, two segments of hello, an ACK, the server's flight;
	// then the client's Finished. One millisecond each.
	server := (len(flights[1].Data) + segmentSize - 1) / segmentSize
	if want := float64(2 + 2 + 1 + server + 1 + 1); w.HandshakeMS != want {
		t.Errorf("handshake took %g ms, want %g", w.HandshakeMS, want)
	}
	if again := ObserveWire(played(false, flights).Packets); !reflect.DeepEqual(w, again) {
		t.Error("the same packets gave two answers")
	}
}

// The clock stops at the client's Finished and at nothing before it.
func TestHandshakeTime(t *testing.T) {
	tls12 := &tls.Config{MaxVersion: tls.VersionTLS12}
	early := talked(t, offering(tls.X25519), offering(tls.X25519))
	early = slices.Insert(early, 1, capturetest.Flight{Data: wire.AppendRecord(nil, wire.RecordApplicationData, 0x0303, []byte("early data"))})
	for _, c := range []struct {
		name    string
		flights []capturetest.Flight
		is      func(before []wire.Record, r wire.Record) bool // the client's record that ends the handshake
	}{
		{"TLS 1.3 with early data", early, func(before []wire.Record, r wire.Record) bool {
			return r.Type == wire.RecordApplicationData && len(before) > 2
		}},
		{"TLS 1.2", talked(t, tls12, tls12), func(before []wire.Record, r wire.Record) bool {
			return r.Type == wire.RecordHandshake && len(before) > 0 && before[len(before)-1].Type == wire.RecordChangeCipherSpec
		}},
	} {
		p := opened(false)
		syn, want := p.Packets[0].At, 0.0
		var before []wire.Record
		for _, f := range c.flights {
			recs, _, err := wire.ReadRecords(f.Data)
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range recs { // one packet each
				p.Send(f.Dir, wire.AppendRecord(nil, r.Type, r.Version, r.Fragment))
				sent := p.Packets[len(p.Packets)-4].At
				if f.Dir == capture.ToServer && want == 0 && c.is(before, r) {
					want = float64((sent - syn).Milliseconds())
				}
				if f.Dir == capture.ToServer {
					before = append(before, r)
				}
			}
		}
		if w := ObserveWire(p.Packets); want == 0 || w.HandshakeMS != want {
			t.Errorf("%s: %g ms, want %g", c.name, w.HandshakeMS, want)
		}
	}
}

// lossy plays a hybrid handshake of which the path treats the ClientHello's
// segments as edit says.
func lossy(t *testing.T, edit func(*capturetest.Path, []capturetest.Segment)) Wire {
	t.Helper()
	flights := talked(t, offering(tls.X25519MLKEM768), offering(tls.X25519MLKEM768))
	p := capturetest.New(false)
	p.Open()
	edit(p, p.Cut(capture.ToServer, flights[0].Data, 1000))
	return ObserveWire(p.Packets)
}

func TestWireOfDamagedHellos(t *testing.T) {
	type segs = []capturetest.Segment
	all := func(p *capturetest.Path, s segs) {
		for _, x := range s {
			p.Put(x)
		}
	}
	for _, c := range []struct {
		name        string
		edit        func(*capturetest.Path, segs)
		atServer    int // bytes of the hello, -1: none
		hash        bool
		segments    int // at the server
		retransmits int
	}{
		{"whole", all, 0, true, 2, 0},
		{"reordered", func(p *capturetest.Path, s segs) { slices.Reverse(s); all(p, s) }, 0, true, 2, 0},
		{"first segment lost", func(p *capturetest.Path, s segs) { s[0].Drop = "loss"; all(p, s) }, -1, false, 0, 0},
		{"second segment lost", func(p *capturetest.Path, s segs) { s[1].Drop = "loss"; all(p, s) }, 1000, false, 1, 0},
		{"second segment lost, then sent again", func(p *capturetest.Path, s segs) {
			s[1].Drop = "loss"
			all(p, s)
			s[1].Drop = ""
			p.Put(s[1])
		}, 0, true, 2, 1},
		{"corrupted, then sent again", func(p *capturetest.Path, s segs) {
			s[0].Corrupt = 77
			all(p, s)
			s[0].Corrupt = 0
			p.Put(s[0])
		}, 0, true, 2, 1},
		{"in IP fragments", func(p *capturetest.Path, s segs) { s[0].Pieces = 2; all(p, s) }, 0, true, 2, 0},
	} {
		w := lossy(t, c.edit)
		if len(w.ClientHellos) != 1 || w.ClientHellos[0].Segments != 2 || w.ClientHellos[0].SHA256 == "" || w.DecodeErr != "" {
			t.Fatalf("%s: as sent %+v, error %q", c.name, w.ClientHellos, w.DecodeErr)
		}
		if w.Retransmits != c.retransmits {
			t.Errorf("%s: %d retransmissions, want %d", c.name, w.Retransmits, c.retransmits)
		}
		if c.atServer < 0 {
			if len(w.AtServer) != 0 {
				t.Errorf("%s: at the server %+v, want none", c.name, w.AtServer)
			}
			continue
		}
		if c.atServer == 0 {
			c.atServer = w.ClientHellos[0].Bytes
		}
		h := w.AtServer[0]
		if h.Bytes != c.atServer || h.Segments != c.segments || (h.SHA256 != "") != c.hash || c.hash && h.SHA256 != w.ClientHellos[0].SHA256 {
			t.Errorf("%s: at the server %+v", c.name, h)
		}
		if !slices.Contains(h.Groups, wire.X25519MLKEM768) {
			t.Errorf("%s: groups %v, and they are in the first segment", c.name, h.Groups)
		}
	}
}

// recut puts the handshake message of one record into records of n bytes.
func recut(t *testing.T, record []byte, n int) []byte {
	t.Helper()
	recs, _, err := wire.ReadRecords(record)
	if err != nil || len(recs) != 1 {
		t.Fatalf("%d records, error %v", len(recs), err)
	}
	var out []byte
	for part := range slices.Chunk(recs[0].Fragment, n) {
		out = wire.AppendRecord(out, recs[0].Type, recs[0].Version, part)
	}
	return out
}

func TestWireRecords(t *testing.T) {
	flights := talked(t, offering(tls.X25519MLKEM768), offering(tls.X25519MLKEM768))
	one := ObserveWire(played(false, flights).Packets).ClientHellos[0]
	for _, n := range []int{1, 100, 700, 1200} {
		cut := slices.Clone(flights)
		cut[0].Data = recut(t, flights[0].Data, n)
		w := ObserveWire(played(false, cut).Packets)
		h := w.ClientHellos[0]
		records := (one.Bytes - 5 + n - 1) / n
		if h.Records != records || h.Bytes != one.Bytes+5*(records-1) || h.SHA256 != one.SHA256 || w.DecodeErr != "" {
			t.Errorf("records of %d: %+v, error %q; want %d records", n, h, w.DecodeErr, records)
		}
		// And cut short in the middle of a later record.
		p := capturetest.New(false)
		p.Open()
		p.Send(capture.ToServer, cut[0].Data[:len(cut[0].Data)-10])
		short := ObserveWire(p.Packets).ClientHellos
		// A record of which only the header is there carries nothing.
		if len(short) != 1 || short[0].Bytes > h.Bytes-10 || short[0].Bytes < h.Bytes-10-5 || short[0].SHA256 != "" {
			t.Errorf("records of %d, ten bytes short: %+v", n, short)
		}
	}
}
