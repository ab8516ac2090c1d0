package wire

import (
	"bytes"
	"testing"

	"hybridlab/fixtures"
)

func seedBodies(f *testing.F, typ uint8) {
	for _, body := range bodies(f, typ) {
		f.Add(body)
		f.Add(body[:len(body)/2])
	}
}

// A body decoded without error and written again must come out the same.
func FuzzClientHello(f *testing.F) {
	seedBodies(f, HandshakeClientHello)
	f.Fuzz(func(t *testing.T, body []byte) {
		h, err := ParseClientHello(body)
		if h.SNIOffset > h.SNIEnd || h.SNIEnd > len(body) {
			t.Errorf("server_name at %d..%d of %d", h.SNIOffset, h.SNIEnd, len(body))
		}
		if out := h.Marshal(); err == nil && !bytes.Equal(out, body) {
			t.Errorf("in  % x\nout % x", body, out)
		}
	})
}

func FuzzServerHello(f *testing.F) {
	seedBodies(f, HandshakeServerHello)
	f.Fuzz(func(t *testing.T, body []byte) {
		h, err := ParseServerHello(body)
		if len(h.Share) > h.ShareLen {
			t.Errorf("%d bytes of share, announced as %d", len(h.Share), h.ShareLen)
		}
		if out := h.Marshal(); err == nil && !bytes.Equal(out, body) {
			t.Errorf("in  % x\nout % x", body, out)
		}
	})
}

func FuzzServerKeyExchange(f *testing.F) {
	seedBodies(f, HandshakeServerKeyExchange)
	f.Fuzz(func(t *testing.T, body []byte) {
		if g, err := ParseServerKeyExchange(body); err == nil && (len(body) < 4 || body[0] != 3 || g != Group(body[1])<<8|Group(body[2])) {
			t.Errorf("% x is no named curve, got %v", body, g)
		}
	})
}

func FuzzAlert(f *testing.F) {
	f.Add([]byte{2, 40})
	f.Fuzz(func(t *testing.T, fragment []byte) {
		if a, err := ParseAlert(fragment); err == nil && !bytes.Equal(fragment, []byte{a.Level, a.Code}) {
			t.Errorf("% x gives %+v", fragment, a)
		}
	})
}

// Whatever the stream: every byte is in a record or in the rest, and the
// handshake bytes are in messages or in the partial one.
func FuzzStream(f *testing.F) {
	for _, flow := range fixtures.Flows() {
		f.Add(flow.Client)
		f.Add(flow.Server)
	}
	f.Fuzz(func(t *testing.T, stream []byte) {
		recs, rest, _ := ReadRecords(stream)
		var again []byte
		for _, r := range recs {
			again = AppendRecord(again, r.Type, r.Version, r.Fragment)
		}
		if again = append(again, rest...); !bytes.Equal(again, stream) {
			t.Fatalf("records and rest are not the stream")
		}
		if tail, ok := TailRecord(rest, len(stream)); ok {
			recs = append(recs, tail)
		}
		msgs, partial, _ := ReadHandshake(recs)
		size := len(partial)
		for i, m := range msgs {
			size += len(m.Raw)
			if m.Records < 1 || m.Offset < 0 || m.Offset >= m.End || m.End > len(stream) || i > 0 && m.Offset < msgs[i-1].End {
				t.Fatalf("message %d: %d records, %d..%d of %d", i, m.Records, m.Offset, m.End, len(stream))
			}
			if !bytes.Equal(MarshalMessage(m.Type, m.Body), m.Raw) {
				t.Fatalf("message %d: body and raw differ", i)
			}
		}
		if size > len(stream) {
			t.Fatalf("%d bytes of messages from %d bytes", size, len(stream))
		}
	})
}

// One group name from the command line or a report.
func FuzzLookupGroup(f *testing.F) {
	for _, s := range []string{"x25519mlkem768", "0x11ec", "GREASE 0x0a0a", "P-256"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, name string) {
		g, err := LookupGroup(name)
		if err != nil {
			return
		}
		if again, err := LookupGroup(g.Slug()); err != nil || again != g {
			t.Errorf("%q is %v, whose slug %q is %v, %v", name, g, g.Slug(), again, err)
		}
	})
}

// BenchmarkHandshake is the decoder's share of one cell: both directions of a
// hybrid handshake, down to the fields.
func BenchmarkHandshake(b *testing.B) {
	flow := fixtures.Get("go-default")
	b.ReportAllocs()
	for b.Loop() {
		c, _, _ := ReadRecords(flow.Client)
		s, _, _ := ReadRecords(flow.Server)
		cm, _, _ := ReadHandshake(c)
		sm, _, _ := ReadHandshake(s)
		if h, err := ParseClientHello(cm[0].Body); err != nil || len(h.Shares) != 2 {
			b.Fatal(err)
		}
		if h, err := ParseServerHello(sm[0].Body); err != nil || h.Group != X25519MLKEM768 {
			b.Fatal(err)
		}
	}
}
