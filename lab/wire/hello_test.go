package wire

import (
	"bytes"
	"errors"
	"slices"
	"testing"

	"hybridlab/fixtures"
)

// What the recorded peers offered and chose, known from their configuration.
func TestHellosOfEachFlow(t *testing.T) {
	goGroups := []Group{X25519MLKEM768, SecP256r1MLKEM768, SecP384r1MLKEM1024, X25519, SecP256r1, SecP384r1, SecP521r1}
	opensslGroups := []Group{X25519MLKEM768, X25519, SecP256r1, X448, SecP384r1, SecP521r1, 0x0100, 0x0101}
	both := []Group{X25519MLKEM768, X25519}
	for _, w := range []struct {
		flow     string
		groups   []Group
		shares   [][]Group // per ClientHello
		selected uint16
		retry    Group // selected_group of the HelloRetryRequest
		group    Group
		share    int
	}{
		{"go-default", goGroups, [][]Group{both}, 0x0304, 0, X25519MLKEM768, 1120},
		{"go-x25519", []Group{X25519}, [][]Group{{X25519}}, 0x0304, 0, X25519, 32},
		{"go-hrr", goGroups, [][]Group{both, {SecP384r1MLKEM1024}}, 0x0304, SecP384r1MLKEM1024, SecP384r1MLKEM1024, 1665},
		{"go-refused", []Group{X25519MLKEM768}, [][]Group{{X25519MLKEM768}}, 0, 0, 0, 0},
		{"go-tls12", []Group{SecP256r1}, [][]Group{nil}, 0x0303, 0, 0, 0},
		{"openssl-default", opensslGroups, [][]Group{both}, 0x0304, 0, X25519MLKEM768, 1120},
		{"openssl-mlkem768", []Group{MLKEM768}, [][]Group{{MLKEM768}}, 0x0304, 0, MLKEM768, 1088},
		{"openssl-hrr", opensslGroups, [][]Group{both, {SecP521r1}}, 0x0304, SecP521r1, SecP521r1, 133},
		{"openssl-refused", []Group{SecP256r1MLKEM768}, [][]Group{{SecP256r1MLKEM768}}, 0, 0, 0, 0},
		{"openssl-tls12", []Group{SecP384r1, SecP256r1}, [][]Group{nil}, 0x0303, 0, 0, 0},
	} {
		f := fixtures.Get(w.flow)
		n := 0
		for _, m := range readAll(t, f.Client) {
			if m.Type != HandshakeClientHello {
				continue
			}
			h, err := ParseClientHello(m.Body)
			if err != nil || h.ServerName != "hybridlab.test" || !slices.Equal(h.Groups, w.groups) || n >= len(w.shares) {
				t.Fatalf("%s: name %q, groups %v, %v", w.flow, h.ServerName, h.Groups, err)
			}
			checkShares(t, w.flow, h, w.shares[n])
			n++
		}
		if n != len(w.shares) {
			t.Errorf("%s: %d hellos", w.flow, n)
		}
		var retry, group Group
		var selected uint16
		for _, m := range readAll(t, f.Server) {
			if m.Type != HandshakeServerHello {
				continue
			}
			h, err := ParseServerHello(m.Body)
			if err != nil {
				t.Fatalf("%s: %v", w.flow, err)
			}
			if h.HRR() {
				retry = h.Group
				continue
			}
			group, selected = h.Group, h.Selected
			if h.ShareLen != w.share || len(h.Share) != w.share {
				t.Errorf("%s: server share of %d bytes, want %d", w.flow, h.ShareLen, w.share)
			}
		}
		if retry != w.retry || group != w.group || selected != w.selected {
			t.Errorf("%s: retry %v, group %v, version %#x", w.flow, retry, group, selected)
		}
	}
}

// checkShares compares the groups of the key shares, and their sizes with the registry.
func checkShares(t *testing.T, flow string, h *ClientHello, want []Group) {
	t.Helper()
	var got []Group
	for _, s := range h.Shares {
		got = append(got, s.Group)
		if info, _ := s.Group.Info(); len(s.Data) != info.ClientShare {
			t.Errorf("%s: share of %v has %d bytes, the registry says %d", flow, s.Group, len(s.Data), info.ClientShare)
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("%s: shares %v, want %v", flow, got, want)
	}
}

func TestExplicitDataAndFieldsMix(t *testing.T) {
	h := &ClientHello{
		Version: 0x0303, Ciphers: []uint16{0x1301}, Compression: []byte{0},
		Groups: []Group{X25519}, Versions: []uint16{0x0304},
		Extensions: []Extension{
			{Type: 0x1a1a}, {Type: ExtSupportedVersions}, {Type: ExtPadding, Data: make([]byte, 7)}, {Type: ExtSupportedGroups},
			{Type: ExtKeyShare, Data: []byte("nonsense")},
		},
	}
	got, err := ParseClientHello(h.Marshal())
	if err == nil || errors.Is(err, ErrTruncated) {
		t.Errorf("a nonsense key_share gives %v", err)
	}
	var types []uint16
	for _, e := range got.Extensions {
		types = append(types, e.Type)
	}
	if want := []uint16{0x1a1a, 43, 21, 10, 51}; !slices.Equal(types, want) {
		t.Errorf("extensions %v, want %v", types, want)
	}
	pad, ok := got.Extension(ExtPadding)
	if _, none := got.Extension(ExtCookie); !ok || none || len(pad.Data) != 7 || got.Groups[0] != X25519 || got.Versions[0] != 0x0304 {
		t.Errorf("got %+v", got)
	}
}

func TestServerKeyExchange(t *testing.T) {
	for name, want := range map[string]Group{"go-tls12": SecP256r1, "openssl-tls12": SecP384r1} {
		for _, m := range readAll(t, fixtures.Get(name).Server) {
			if m.Type != HandshakeServerKeyExchange {
				continue
			}
			if g, err := ParseServerKeyExchange(m.Body); err != nil || g != want {
				t.Errorf("%s: %v, %v; want %v", name, g, err, want)
			}
		}
	}
	dhe := append([]byte{1, 0}, make([]byte, 256)...) // dh_p of ffdhe2048
	for name, body := range map[string][]byte{"finite-field DHE": dhe, "explicit curve": {2, 0}} {
		if g, err := ParseServerKeyExchange(body); err == nil || errors.Is(err, ErrTruncated) {
			t.Errorf("%s: %v, %v", name, g, err)
		}
	}
}

func TestAlert(t *testing.T) {
	for _, name := range []string{"go-refused", "openssl-refused"} {
		recs, _, err := ReadRecords(fixtures.Get(name).Server)
		if err != nil || len(recs) != 1 || recs[0].Type != RecordAlert {
			t.Fatalf("%s: %+v, %v", name, recs, err)
		}
		if a, err := ParseAlert(recs[0].Fragment); err != nil || a.Name() != "handshake_failure" || !a.Fatal() {
			t.Errorf("%s: %v %+v, %v", name, a, a, err)
		}
	}
	for code, want := range map[uint8]string{0: "close_notify", 47: "illegal_parameter", 70: "protocol_version", 80: "internal_error", 200: "alert_200"} {
		if got := (Alert{1, code}).Name(); got != want {
			t.Errorf("alert %d is %q, want %q", code, got, want)
		}
	}
	for _, c := range []struct {
		in        []byte
		truncated bool
	}{{nil, true}, {[]byte{2}, true}, {make([]byte, 26), false}, {[]byte{7, 40}, false}} {
		if _, err := ParseAlert(c.in); err == nil || errors.Is(err, ErrTruncated) != c.truncated {
			t.Errorf("ParseAlert(% x): %v", c.in, err)
		}
	}
}

// A caller may edit and extend what it was given; the capture must not change.
func TestAppendingToAResultLeavesTheInputAlone(t *testing.T) {
	stream := bytes.Clone(fixtures.Get("go-default").Client)
	h, _ := ParseClientHello(readAll(t, stream)[0].Body)
	for _, b := range [][]byte{h.SessionID, h.Compression, h.Shares[0].Data, h.Extensions[0].Data} {
		_ = append(b, 0xee, 0xee)
	}
	if !bytes.Equal(stream, fixtures.Get("go-default").Client) {
		t.Error("the input changed")
	}
}
