package wire

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"hybridlab/fixtures"
)

// readAll decodes one direction down to its plaintext handshake messages.
func readAll(t testing.TB, stream []byte) []Message {
	t.Helper()
	recs, rest, err := ReadRecords(stream)
	if err != nil || rest != nil {
		t.Fatalf("read records: %v, %d bytes left", err, len(rest))
	}
	msgs, partial, err := ReadHandshake(recs)
	if err != nil || len(partial) > 0 {
		t.Fatalf("read handshake: %v, %d bytes left", err, len(partial))
	}
	return msgs
}

// decoded are the extensions a ClientHello has a field for.
var decoded = []uint16{ExtServerName, ExtSupportedGroups, ExtSignatureAlgorithms, ExtALPN, ExtSupportedVersions, ExtCookie, ExtSigAlgsCert, ExtKeyShare}

// bodies returns the bodies of the messages of one type in every recorded flow.
func bodies(t testing.TB, typ uint8) map[string][]byte {
	out := map[string][]byte{}
	for _, f := range fixtures.Flows() {
		n := 0
		for _, m := range append(readAll(t, f.Client), readAll(t, f.Server)...) {
			if m.Type == typ {
				n++
				out[f.Name+"/"+string(rune('0'+n))] = m.Body
			}
		}
	}
	if len(out) == 0 {
		t.Fatalf("no flow has a message of type %d", typ)
	}
	return out
}

func TestMarshalGivesBackRealBytes(t *testing.T) {
	for name, body := range bodies(t, HandshakeClientHello) {
		h, err := ParseClientHello(body)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if !bytes.Equal(h.Marshal(), body) {
			t.Errorf("%s: ClientHello does not round-trip", name)
		}
		for i, e := range h.Extensions { // again, now from the decoded fields
			if slices.Contains(decoded, e.Type) {
				h.Extensions[i].Data = nil
			}
		}
		if !bytes.Equal(h.Marshal(), body) {
			t.Errorf("%s: ClientHello encoded from its fields differs", name)
		}
	}
	for name, body := range bodies(t, HandshakeServerHello) {
		h, err := ParseServerHello(body)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if !bytes.Equal(h.Marshal(), body) {
			t.Errorf("%s: ServerHello does not round-trip", name)
		}
		for i, e := range h.Extensions {
			if e.Type == ExtKeyShare || e.Type == ExtSupportedVersions || e.Type == ExtCookie {
				h.Extensions[i].Data = nil
			}
		}
		if !bytes.Equal(h.Marshal(), body) {
			t.Errorf("%s: ServerHello encoded from its fields differs", name)
		}
	}
}

func TestParseGivesBackFields(t *testing.T) {
	ch := &ClientHello{
		Version: 0x0303, Random: [32]byte{1, 2, 3}, SessionID: []byte{9, 9}, Ciphers: []uint16{0x1301, 0x0a0a}, Compression: []byte{0},
		Groups: []Group{0x0a0a, X25519MLKEM768, X25519}, ServerName: "example.com",
		Shares:   []KeyShare{{0x0a0a, []byte{0}}, {X25519MLKEM768, make([]byte, 1216)}, {X25519, make([]byte, 32)}},
		Versions: []uint16{0x0304, 0x0303}, SigAlgs: []uint16{0x0403, 0x0904}, SigAlgsCert: []uint16{0x0904},
		ALPN: []string{"h2", "http/1.1"}, Cookie: []byte("again"),
	}
	got, err := ParseClientHello(ch.Marshal())
	if err != nil {
		t.Fatal(err)
	}
	if got.SNIOffset != 2+32+3+6+2+2 || got.SNIEnd != got.SNIOffset+4+5+len(ch.ServerName) {
		t.Errorf("server_name is at %d..%d", got.SNIOffset, got.SNIEnd)
	}
	got.Extensions, got.SNIOffset, got.SNIEnd = nil, 0, 0
	if !reflect.DeepEqual(got, ch) {
		t.Errorf("got  %+v\nwant %+v", got, ch)
	}

	for name, sh := range map[string]*ServerHello{
		"tls13": {Version: 0x0303, Random: [32]byte{7}, SessionID: []byte{1}, Cipher: 0x1301, Group: X25519MLKEM768,
			Share: make([]byte, 1120), ShareLen: 1120, Selected: 0x0304},
		"hrr": {Version: 0x0303, Random: retryRandom, SessionID: []byte{1}, Cipher: 0x1301, Group: MLKEM1024,
			Selected: 0x0304, Cookie: []byte("c")},
		"tls12 without extensions": {Version: 0x0303, Random: [32]byte{7}, SessionID: []byte{}, Cipher: 0x002f, Selected: 0x0303},
	} {
		got, err := ParseServerHello(sh.Marshal())
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		got.Extensions = nil
		if !reflect.DeepEqual(got, sh) {
			t.Errorf("%s: got  %+v\nwant %+v", name, got, sh)
		}
	}
}

// Every prefix of every real message: an error that says "truncated", no
// panic, and nothing in the result that is not in the whole.
func TestEveryPrefix(t *testing.T) {
	for name, body := range bodies(t, HandshakeClientHello) {
		whole, _ := ParseClientHello(body)
		fixed := 2 + 32 + 1 + len(whole.SessionID) + 2 + 2*len(whole.Ciphers) + 1 + len(whole.Compression)
		for n := range body {
			h, err := ParseClientHello(body[:n:n])
			switch {
			case n == fixed:
				// Up to here it is a valid hello of TLS 1.2 without extensions.
				if err != nil {
					t.Fatalf("%s[:%d]: %v", name, n, err)
				}
			case !errors.Is(err, ErrTruncated):
				t.Fatalf("%s[:%d]: error %v, want truncated", name, n, err)
			}
			if len(h.Groups) > len(whole.Groups) || len(h.Shares) > len(whole.Shares) || len(h.Ciphers) > len(whole.Ciphers) {
				t.Fatalf("%s[:%d] holds more than the whole hello: %+v", name, n, h)
			}
			if whole.SNIEnd > 0 && (h.ServerName == whole.ServerName) != (n >= whole.SNIEnd) {
				t.Fatalf("%s[:%d]: server name %q, its extension ends at %d", name, n, h.ServerName, whole.SNIEnd)
			}
			h.Marshal()
		}
	}
	for name, body := range bodies(t, HandshakeServerHello) {
		whole, _ := ParseServerHello(body)
		fixed := 2 + 32 + 1 + len(whole.SessionID) + 2 + 1
		for n := range body {
			h, err := ParseServerHello(body[:n:n])
			if n != fixed && !errors.Is(err, ErrTruncated) || n == fixed && err != nil {
				t.Fatalf("%s[:%d]: error %v", name, n, err)
			}
			if h.ShareLen != 0 && h.ShareLen != whole.ShareLen {
				t.Fatalf("%s[:%d]: announces a share of %d bytes, not %d", name, n, h.ShareLen, whole.ShareLen)
			}
			h.Marshal()
		}
	}
	for name, body := range bodies(t, HandshakeServerKeyExchange) {
		for n := range 4 + int(body[3]) {
			if _, err := ParseServerKeyExchange(body[:n:n]); !errors.Is(err, ErrTruncated) {
				t.Fatalf("%s[:%d]: error %v, want truncated", name, n, err)
			}
		}
	}
}

// A hello that lost its end still says what it offered: here the share is cut.
func TestTruncatedHelloIsData(t *testing.T) {
	body := readAll(t, fixtures.Get("go-default").Client)[0].Body
	h, err := ParseClientHello(body[:1200])
	if want := fmt.Sprintf("truncated, %d bytes missing", len(body)-1200); !errors.Is(err, ErrTruncated) || !strings.Contains(err.Error(), want) {
		t.Errorf("error %v, want one that says %q", err, want)
	}
	if len(h.Groups) == 0 || h.Groups[0] != X25519MLKEM768 || len(h.Shares) != 1 || h.Shares[0].Group != X25519MLKEM768 ||
		len(h.Shares[0].Data) == 0 || len(h.Shares[0].Data) >= 1216 {
		t.Errorf("groups %v, shares %d", h.Groups, len(h.Shares))
	}
}

// The same faults in a message that is all there are not truncation.
func TestMalformedIsNotTruncated(t *testing.T) {
	whole := func(exts ...Extension) []byte {
		return (&ClientHello{Version: 0x0303, Ciphers: []uint16{0x1301}, Compression: []byte{0}, Extensions: exts}).Marshal()
	}
	for name, c := range map[string]struct {
		body   []byte
		groups int // decoded all the same
	}{
		"list runs past its extension":   {whole(Extension{ExtSupportedGroups, []byte{0, 9, 0, 29, 0, 23}}), 2},
		"odd list":                       {whole(Extension{ExtSupportedGroups, []byte{0, 3, 0, 29, 0}}), 1},
		"bytes after the list":           {whole(Extension{ExtSupportedGroups, []byte{0, 2, 0, 29, 1}}), 1},
		"extension there twice":          {whole(Extension{ExtSupportedGroups, []byte{0, 2, 0, 29}}, Extension{ExtSupportedGroups, []byte{0, 2, 0, 29}}), 1},
		"bad extension before a good":    {whole(Extension{ExtALPN, []byte{7}}, Extension{ExtSupportedGroups, []byte{0, 2, 0, 29}}), 1},
		"share runs past its list":       {whole(Extension{ExtSupportedGroups, []byte{0, 2, 0, 29}}, Extension{ExtKeyShare, []byte{0, 6, 0, 29, 0, 32, 1, 2}}), 1},
		"bytes after the extension list": {append(whole(Extension{ExtSupportedGroups, []byte{0, 2, 0, 29}}), 0), 1},
	} {
		h, err := ParseClientHello(c.body)
		if err == nil || errors.Is(err, ErrTruncated) {
			t.Errorf("%s: error %v", name, err)
		}
		if len(h.Groups) != c.groups {
			t.Errorf("%s: groups %v, want %d of them", name, h.Groups, c.groups)
		}
	}
	if _, err := ParseClientHello(whole(Extension{ExtSupportedGroups, []byte{0, 2, 0, 29}}, Extension{0xfe0d, nil})); err != nil {
		t.Errorf("control: a sound hello: %v", err)
	}
}

// The largest list there can be, every type different: no parser may take its
// square in time.
func TestHostileExtensionList(t *testing.T) {
	h := &ClientHello{Version: 0x0303, Ciphers: []uint16{0x1301}, Compression: []byte{0}}
	for typ := uint16(1000); len(h.Extensions) < 0xffff/4; typ++ {
		h.Extensions = append(h.Extensions, Extension{Type: typ, Data: []byte{}})
	}
	got, err := ParseClientHello(h.Marshal())
	if err != nil || len(got.Extensions) != len(h.Extensions) {
		t.Errorf("%d extensions, %v", len(got.Extensions), err)
	}
}
