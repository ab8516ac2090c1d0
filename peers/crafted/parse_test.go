package crafted

import (
	"bytes"
	"errors"
	"io"
	"net"
	"slices"
	"testing"
	"time"

	"hybridlab/lab/wire"
)

func testHello(t testing.TB) *clientHello {
	t.Helper()
	h, err := newClientHello([]wire.Group{wire.X25519, wire.SecP256r1}, "hybridlab.test")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := h.offer([]wire.Group{wire.X25519}); err != nil {
		t.Fatal(err)
	}
	return h
}

func testServerHello() *serverHello {
	return &serverHello{random: bytes.Repeat([]byte{7}, 32), sessionID: []byte{1, 2}, suite: 0x1301, version: tls13, group: wire.X25519, share: make([]byte, 32)}
}

func TestHelloRoundTrip(t *testing.T) {
	for _, shape := range []Shape{{}, {GREASE: true}, {PadTo: 900}, {SigAlgs: []uint16{0x0904}}} {
		h := testHello(t)
		h.cookie = []byte("cookie")
		m, err := h.marshal(shape)
		if err != nil {
			t.Fatal(err)
		}
		got, err := parseClientHello(m)
		if err != nil {
			t.Fatal(err)
		}
		if got.serverName != h.serverName || !bytes.Equal(got.random, h.random) || !bytes.Equal(got.sessionID, h.sessionID) ||
			!bytes.Equal(got.cookie, h.cookie) {
			t.Errorf("%+v: got %+v", shape, got)
		}
		if share, ok := got.share(wire.X25519); !ok || !bytes.Equal(share, h.shares[0].data) {
			t.Errorf("%+v: share lost", shape)
		}
		if greased := slices.Contains(got.groups, wire.Group(grease)); greased != shape.GREASE || slices.Contains(got.suites, grease) != greased {
			t.Errorf("%+v: groups %v, suites %04x", shape, got.groups, got.suites)
		}
	}
	retry := testServerHello()
	retry.retry, retry.random, retry.share, retry.cookie = true, retryRandom, nil, []byte("c")
	for _, h := range []*serverHello{testServerHello(), retry} {
		m, err := h.marshal()
		if err != nil {
			t.Fatal(err)
		}
		got, err := parseServerHello(m)
		if err != nil || got.group != h.group || got.retry != h.retry || !bytes.Equal(got.share, h.share) || !bytes.Equal(got.cookie, h.cookie) {
			t.Errorf("got %+v, %v; want %+v", got, err, h)
		}
	}
}

// TestEveryPrefixIsRefused: a message cut short is an error, never a shorter
// message.
func TestEveryPrefixIsRefused(t *testing.T) {
	client, err := testHello(t).marshal(Shape{})
	if err != nil {
		t.Fatal(err)
	}
	server, err := testServerHello().marshal()
	if err != nil {
		t.Fatal(err)
	}
	for n := 4; n < len(client); n++ {
		if _, err := parseClientHello(client[:n]); err == nil {
			t.Fatalf("took the first %d of %d bytes for a ClientHello", n, len(client))
		}
	}
	for n := 4; n < len(server); n++ {
		if _, err := parseServerHello(server[:n]); err == nil {
			t.Fatalf("took the first %d of %d bytes for a ServerHello", n, len(server))
		}
	}
}

func TestHelloTooLargeIsAnError(t *testing.T) {
	h := testHello(t)
	if _, err := h.marshal(Shape{PadTo: 70000}); err == nil {
		t.Error("a 70,000-byte hello fits no extension, and was built")
	}
}

// script is a connection whose other end says what was written down
// beforehand and hangs up.
type script struct {
	net.Conn
	in  io.Reader
	out bytes.Buffer
}

func (s *script) Read(b []byte) (int, error)  { return s.in.Read(b) }
func (s *script) Write(b []byte) (int, error) { return s.out.Write(b) }
func (s *script) SetDeadline(time.Time) error { return nil }
func (s *script) Close() error                { return nil }
func (s *script) alert() (level, code byte, ok bool) {
	out := s.out.Bytes()
	if len(out) < 7 || out[len(out)-7] != typeAlert {
		return 0, 0, false
	}
	return out[len(out)-2], out[len(out)-1], true
}

func record(typ uint8, body []byte) []byte {
	return append([]byte{typ, 3, 3, byte(len(body) >> 8), byte(len(body))}, body...)
}

// TestMisbehavingServer: answers to a ClientHello that a client must refuse,
// and the alert it must send (RFC 8446 sections 4.1.3, 4.1.4 and 6).
func TestMisbehavingServer(t *testing.T) {
	change := func(f func(*serverHello)) []byte {
		h := testServerHello()
		h.sessionID = nil
		f(h)
		m, err := h.marshal()
		if err != nil {
			t.Fatal(err)
		}
		return record(typeHandshake, m)
	}
	for _, r := range []struct {
		name   string
		answer []byte
		alert  byte
	}{
		{"not TLS", []byte("HTTP/1.0 400 Bad Request\r\n\r\n"), alertProtocolVersion},
		{"record too large", []byte{22, 3, 3, 0xff, 0xff}, alertRecordOverflow},
		{"unknown record type", record(99, []byte{0}), alertUnexpectedMessage},
		{"application data", record(23, []byte{0}), alertUnexpectedMessage},
		{"wrong message", record(22, []byte{msgFinished, 0, 0, 0}), alertUnexpectedMessage},
		{"huge message", record(22, []byte{msgServerHello, 0xff, 0xff, 0xff}), alertDecodeError},
		{"truncated message", record(22, []byte{msgServerHello, 0, 0, 2, 3, 3}), alertDecodeError},
		{"wrong session id", change(func(h *serverHello) { h.sessionID = []byte{1} }), alertIllegalParameter},
	} {
		t.Run(r.name, func(t *testing.T) {
			s := &script{in: bytes.NewReader(r.answer)}
			_, err := Client(s, clientConfig([]wire.Group{wire.X25519}, nil))
			if err == nil {
				t.Fatal("client took it")
			}
			if level, code, ok := s.alert(); !ok || level != 2 || code != r.alert {
				t.Errorf("sent alert %d/%d (%v), want 2/%d; error: %v", level, code, ok, r.alert, err)
			}
		})
	}
	s := &script{in: bytes.NewReader(nil)}
	if _, err := Client(s, clientConfig([]wire.Group{wire.X25519}, nil)); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("silence, then FIN: %v, want unexpected EOF", err)
	}
	if _, _, ok := s.alert(); ok {
		t.Error("alerted a connection that is gone")
	}
}

// TestMisbehavingRetry: HelloRetryRequests a client must refuse, beside one it
// must follow.
func TestMisbehavingRetry(t *testing.T) {
	for _, r := range []struct {
		name   string
		group  wire.Group
		cookie []byte
		ok     bool
	}{
		{"good", wire.SecP256r1, nil, true},
		{"cookie alone", 0, []byte("c"), true},
		{"no change", 0, nil, false},
		{"share was sent", wire.X25519, nil, false},
		{"group not offered", wire.SecP384r1, nil, false},
	} {
		t.Run(r.name, func(t *testing.T) {
			h := testHello(t)
			openers := map[wire.Group]opener{wire.X25519: nil}
			c := &Conn{}
			_, err := c.followRetry(h, &serverHello{retry: true, group: r.group, cookie: r.cookie}, openers)
			if (err == nil) != r.ok {
				t.Fatalf("err %v", err)
			}
			var a alertError
			if err != nil && (!errors.As(err, &a) || a.code != alertIllegalParameter) {
				t.Errorf("%v is not illegal_parameter", err)
			}
		})
	}
}

// FuzzClient feeds a client whatever for an answer: it must end with an
// error, without panic and without having taken the handshake for done.
func FuzzClient(f *testing.F) {
	hello, err := testServerHello().marshal()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(record(typeHandshake, hello))
	f.Add(record(typeAlert, []byte{2, 40}))
	f.Add(append(record(typeChangeCipherSpec, []byte{1}), record(typeHandshake, hello[:20])...))
	cfg := clientConfig([]wire.Group{wire.X25519, wire.SecP256r1}, nil)
	f.Fuzz(func(t *testing.T, answer []byte) {
		c, err := Client(&script{in: bytes.NewReader(answer)}, cfg)
		if err == nil || c.State.Done {
			t.Fatal("a handshake out of nothing")
		}
	})
}

// FuzzServer does the same to a server, which must besides not believe a
// hello it cannot parse twice alike.
func FuzzServer(f *testing.F) {
	for _, shape := range []Shape{{}, {GREASE: true, PadTo: 700}} {
		m, err := testHello(f).marshal(shape)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(record(typeHandshake, m))
		f.Add(append(record(typeHandshake, m[:9]), record(typeHandshake, m[9:])...))
	}
	cfg := serverConfig(wire.X25519, wire.SecP256r1)
	f.Fuzz(func(t *testing.T, stream []byte) {
		c, err := Server(&script{in: bytes.NewReader(stream)}, cfg)
		if err == nil || c.State.Done {
			t.Fatal("a handshake out of nothing")
		}
	})
}

// FuzzCutAndRejoin: however the messages are cut into records, the same
// messages come out.
func FuzzCutAndRejoin(f *testing.F) {
	f.Add([]byte("some message"), uint16(3), uint16(7))
	f.Fuzz(func(t *testing.T, body []byte, cut1, cut2 uint16) {
		body = body[:min(len(body), 40000)]
		want, err := message(msgFinished, raw(body))
		if err != nil {
			t.Fatal(err)
		}
		w := newRecords(nil)
		w.append(typeHandshake, want, int(min(cut1, cut2)), int(max(cut1, cut2)))
		r := newRecords(&script{in: bytes.NewReader(w.flight)})
		got, err := r.message()
		if err != nil || !bytes.Equal(got, want) {
			t.Fatalf("got %d bytes, %v; want %d", len(got), err, len(want))
		}
	})
}
