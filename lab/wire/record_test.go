package wire

import (
	"bytes"
	"errors"
	"testing"

	"hybridlab/fixtures"
)

func TestReadRecords(t *testing.T) {
	for _, f := range fixtures.Flows() {
		for side, stream := range [][]byte{f.Client, f.Server} {
			recs, rest, err := ReadRecords(stream)
			if err != nil || rest != nil || len(recs) == 0 {
				t.Fatalf("%s: %d records, %d bytes left, %v", f.Name, len(recs), len(rest), err)
			}
			var again []byte
			for _, r := range recs {
				if r.Offset != len(again) {
					t.Errorf("%s: record at %d says it is at %d", f.Name, len(again), r.Offset)
				}
				again = AppendRecord(again, r.Type, r.Version, r.Fragment)
				if r.End() != len(again) {
					t.Errorf("%s: record ends at %d, says %d", f.Name, len(again), r.End())
				}
			}
			if !bytes.Equal(again, stream) {
				t.Errorf("%s side %d: records do not round-trip", f.Name, side)
			}
		}
	}
}

func TestEveryPrefixOfAStream(t *testing.T) {
	for _, f := range fixtures.Flows() {
		whole, _, _ := ReadRecords(f.Server)
		for n := range f.Server {
			recs, rest, err := ReadRecords(f.Server[:n])
			if err != nil {
				t.Fatalf("%s[:%d]: %v", f.Name, n, err)
			}
			end := 0
			if len(recs) > 0 {
				end = recs[len(recs)-1].End()
			}
			if end+len(rest) != n || len(recs) > len(whole) {
				t.Fatalf("%s[:%d]: %d records end at %d, %d bytes left", f.Name, n, len(recs), end, len(rest))
			}
			if tail, ok := TailRecord(rest, n); ok != (len(rest) > 5) || ok && (tail.Offset != end || tail.End() != n) {
				t.Fatalf("%s[:%d]: tail %+v, %v", f.Name, n, tail, ok)
			}
		}
	}
}

func TestReadRecordsRefusesWhatIsNotTLS(t *testing.T) {
	good := AppendRecord(nil, RecordAlert, 0x0303, []byte{2, 40})
	for name, bad := range map[string][]byte{
		"HTTP":             []byte("HTTP/1.1 400 Bad Request\r\n"),
		"one wrong byte":   {0x00},
		"major version":    {22, 2, 0},
		"record too large": {22, 3, 3, 0x48, 0x01},
		"SSL 2 hello":      {0x80, 0x2e, 1, 0, 2},
	} {
		recs, rest, err := ReadRecords(append(bytes.Clone(good), bad...))
		if err == nil || len(recs) != 1 || !bytes.Equal(rest, bad) {
			t.Errorf("%s: %d records, rest %q, error %v", name, len(recs), rest, err)
		}
		if _, ok := TailRecord(rest, 100); ok {
			t.Errorf("%s: it has no tail record", name)
		}
	}
	if recs, rest, err := ReadRecords([]byte{22, 3, 3, 0x48, 0x00}); err != nil || len(recs) != 0 || len(rest) != 5 {
		t.Errorf("control: the largest record: %v", err)
	}
}

// Each hello, cut at every point into two records and into records of one
// byte, is the same message with its cost in headers added.
func TestCutAndRejoin(t *testing.T) {
	for _, f := range fixtures.Flows() {
		for _, stream := range [][]byte{f.Client, f.Server} {
			msgs := readAll(t, stream)
			if len(msgs) == 0 {
				continue // a bare alert
			}
			m := msgs[0]
			for at := 1; at < len(m.Raw); at++ {
				cut := AppendRecord(nil, RecordHandshake, 0x0301, m.Raw[:at])
				cut = AppendRecord(cut, RecordHandshake, 0x0303, m.Raw[at:])
				checkRejoined(t, f.Name, cut, m, 2)
			}
			var dust []byte
			for _, b := range m.Raw {
				dust = AppendRecord(dust, RecordHandshake, 0x0303, []byte{b})
			}
			checkRejoined(t, f.Name, dust, m, len(m.Raw))
		}
	}
}

func checkRejoined(t *testing.T, name string, stream []byte, want Message, records int) {
	t.Helper()
	got := readAll(t, stream)
	if len(got) != 1 || got[0].Type != want.Type || !bytes.Equal(got[0].Raw, want.Raw) || !bytes.Equal(got[0].Body, want.Body) {
		t.Fatalf("%s in %d records: %d messages, not the one that was cut", name, records, len(got))
	}
	if m := got[0]; m.Records != records || m.Offset != 0 || m.End != len(stream) {
		t.Fatalf("%s: %d records, offsets %d..%d; want %d, 0..%d", name, m.Records, m.Offset, m.End, records, len(stream))
	}
}

func TestMessagesOfEachFlow(t *testing.T) {
	for _, w := range []struct {
		flow           string
		client, server []uint8 // plaintext messages
	}{
		{"go-default", []uint8{1}, []uint8{2}},
		{"go-hrr", []uint8{1, 1}, []uint8{2, 2}},
		{"go-refused", []uint8{1}, nil},
		{"go-tls12", []uint8{1, 16}, []uint8{2, 11, 12, 14}},
		{"openssl-default", []uint8{1}, []uint8{2}},
		{"openssl-hrr", []uint8{1, 1}, []uint8{2, 2}},
		{"openssl-tls12", []uint8{1, 16}, []uint8{2, 11, 12, 14, 4}},
	} {
		f := fixtures.Get(w.flow)
		for side, got := range [][]Message{readAll(t, f.Client), readAll(t, f.Server)} {
			var types []uint8
			for _, m := range got {
				types = append(types, m.Type)
			}
			if want := [][]uint8{w.client, w.server}[side]; !bytes.Equal(types, want) {
				t.Errorf("%s: messages %v, want %v", w.flow, types, want)
			}
		}
	}
}

func TestTwoMessagesInOneRecord(t *testing.T) {
	a, b := MarshalMessage(HandshakeServerHello, []byte{1, 2}), MarshalMessage(11, []byte{3})
	stream := AppendRecord(nil, RecordHandshake, 0x0303, append(bytes.Clone(a), b[:2]...))
	stream = AppendRecord(stream, RecordHandshake, 0x0303, b[2:])
	got := readAll(t, stream)
	if len(got) != 2 || !bytes.Equal(got[0].Raw, a) || !bytes.Equal(got[1].Raw, b) {
		t.Fatalf("got %+v", got)
	}
	if got[0].Offset != 0 || got[0].End != 11 || got[0].Records != 1 || got[1].Offset != 11 || got[1].End != len(stream) || got[1].Records != 2 {
		t.Errorf("offsets %+v", got)
	}
}

func TestPartialHandshake(t *testing.T) {
	stream := fixtures.Get("go-default").Client
	recs, rest, _ := ReadRecords(stream[:1300])
	tail, ok := TailRecord(rest, 1300)
	if !ok {
		t.Fatal("no tail record")
	}
	msgs, partial, err := ReadHandshake(append(recs, tail))
	if err != nil || len(msgs) != 0 || !bytes.Equal(partial, stream[5:1300]) {
		t.Fatalf("%d messages, %d bytes, %v", len(msgs), len(partial), err)
	}
	if h, err := ParseClientHello(partial[4:]); !errors.Is(err, ErrTruncated) || h.ServerName != "hybridlab.test" {
		t.Errorf("server name %q, %v", h.ServerName, err)
	}
}

func TestRecordsBetweenAndBehindMessages(t *testing.T) {
	hello := readAll(t, fixtures.Get("go-x25519").Client)[0].Raw
	hs := func(b []byte) Record { return Record{Type: RecordHandshake, Version: 0x0303, Fragment: b} }
	ccs := Record{Type: RecordChangeCipherSpec, Fragment: []byte{1}}
	app := Record{Type: RecordApplicationData, Fragment: make([]byte, 40)}
	alert := Record{Type: RecordAlert, Fragment: []byte{2, 80}}
	finished := hs(append(make([]byte, 8), "and 32 bytes of AEAD output of TLS 1.2"...))
	for name, c := range map[string]struct {
		recs    []Record
		msgs    int
		partial bool
		fails   bool
	}{
		"second hello behind a dummy ChangeCipherSpec": {[]Record{hs(hello), ccs, hs(hello)}, 2, false, false},
		"second hello, cut, behind early data":         {[]Record{hs(hello), app, hs(hello[:1]), hs(hello[1:])}, 2, false, false},
		"encrypted Finished of TLS 1.2":                {[]Record{hs(hello), ccs, finished}, 1, false, false},
		"ChangeCipherSpec inside a message":            {[]Record{hs(hello[:9]), ccs, hs(hello[9:])}, 0, true, true},
		"alert instead of the rest":                    {[]Record{hs(hello[:9]), alert}, 0, true, false},
		"empty record inside a message":                {[]Record{hs(hello[:9]), hs(nil), hs(hello[9:])}, 1, false, false},
	} {
		msgs, partial, err := ReadHandshake(c.recs)
		if len(msgs) != c.msgs || (len(partial) > 0) != c.partial || (err != nil) != c.fails {
			t.Errorf("%s: %d messages, %d bytes, %v", name, len(msgs), len(partial), err)
		}
	}
}
