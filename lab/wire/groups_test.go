package wire

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
)

func TestRegistryIsConsistent(t *testing.T) {
	names := map[string]Group{}
	claim := func(name string, g Group) {
		if other, taken := names[fold(name)]; taken {
			t.Errorf("name %q is claimed by 0x%04x and 0x%04x", name, uint16(other), uint16(g))
		}
		names[fold(name)] = g
	}
	for i, row := range Groups() {
		if i > 0 && Groups()[i-1].Group >= row.Group {
			t.Errorf("row %d: %s is not above the row before it: one code point is one row", i, row.Name)
		}
		claim(row.Name, row.Group)
		for _, a := range row.Aliases {
			claim(a, row.Group)
		}
		if row.Source == "" {
			t.Errorf("%s: no source", row.Name)
		}
		if row.Kind == Hybrid && (row.Layout == "" || row.ClientShare == 0 || row.ServerShare == 0) {
			t.Errorf("%s: a hybrid needs its sizes and the order of its halves: %+v", row.Name, row)
		}
		if strings.Trim(row.Group.Slug(), "abcdefghijklmnopqrstuvwxyz0123456789-_.") != "" {
			t.Errorf("%s: slug %q is not fit for a path", row.Name, row.Group.Slug())
		}
	}
}

func TestNamesRoundTrip(t *testing.T) {
	for n := range 1 << 16 {
		g := Group(n)
		for _, form := range []string{g.String(), g.Slug(), strings.ToUpper(g.Slug())} {
			form = strings.Replace(form, "0X", "0x", 1)
			if got, err := LookupGroup(form); err != nil || got != g {
				t.Fatalf("LookupGroup(%q) = 0x%04x, %v; want 0x%04x", form, uint16(got), err, n)
			}
		}
	}
}

func TestLookupGroup(t *testing.T) {
	for name, want := range map[string]Group{
		"X25519MLKEM768": X25519MLKEM768, "x25519mlkem768": X25519MLKEM768, "x25519_mlkem768": X25519MLKEM768, "0x11ec": X25519MLKEM768, "0X11EC": X25519MLKEM768,
		"P-256": SecP256r1, "p256": SecP256r1, "prime256v1": SecP256r1, "secp256r1": SecP256r1, "X25519": X25519,
		"mlkem768": MLKEM768, "mlkem768-oqs0.6": 0x0248, "mlkem768-oqs0.7": 0x0768, "p384_mlkem1024": SecP384r1MLKEM1024,
		"x25519_kyber768": 0x6399, "grease-0x0a0a": 0x0a0a, "GREASE 0xfafa": 0xfafa, "0x1": 1, "frodo1344aes": 0xfe2f, "efrodo640aes": 0xfe00,
	} {
		if got, err := LookupGroup(name); err != nil || got != want {
			t.Errorf("LookupGroup(%q) = %v, %v; want %v", name, got, err, want)
		}
	}
	for _, bad := range []string{"", "x25519mlkem769", "0x", "0x12345", "0xzz", "11ec"} {
		g, err := LookupGroup(bad)
		if err == nil {
			t.Errorf("LookupGroup(%q) = %v, want an error", bad, g)
		}
	}
	if _, err := LookupGroup("kyber"); err == nil || !strings.Contains(err.Error(), "x25519mlkem768") {
		t.Errorf("the error for an unknown name offers no valid ones: %v", err)
	}
}

// A claim is about a number, and a name may stand for several.
func TestCalled(t *testing.T) {
	for _, r := range []struct {
		g         Group
		name      string
		is, known bool
	}{
		{X25519MLKEM768, "X25519MLKEM768", true, true}, {X25519MLKEM768, "0x11ec", true, true}, {X25519MLKEM768, "x25519_mlkem768", true, true},
		{X25519MLKEM768, "x25519", false, true}, {X25519, "X25519MLKEM768", false, true},
		{X25519MLKEM768, "", false, false}, {X25519MLKEM768, "DH", false, false}, {X25519MLKEM768, "a fine group", false, false},
		{SecP256r1, "prime256v1", true, true}, {SecP256r1, "P-256", true, true}, {MLKEM1024, "ML-KEM-1024", true, true},
		{0x001f, "brainpoolP256r1", true, true}, {0x001f, "brainpoolP256r1tls13", true, true}, {0x001f, "brainpoolP384r1", false, true}, {0x001a, "brainpoolP256r1", true, true},
		{0x001a, "brainpoolP256r1tls13", false, true},
		{0x2fb4, "x25519_mlkem768", true, true}, {0x0248, "mlkem768", true, true}, {0x0768, "MLKEM768", true, true}, {0x0768, "mlkem512", false, true},
		{0xfe31, "X25519Kyber768Draft00", true, true}, {0x6399, "X25519Kyber768Draft00Old", false, true},
		{0x1234, "0x1234", true, true}, {0x1234, "0x1235", false, true},
	} {
		if is, known := r.g.Called(r.name); is != r.is || known != r.known {
			t.Errorf("%v called %q: %t, known %t; want %t, %t", r.g, r.name, is, known, r.is, r.known)
		}
	}
}

// The sizes and halves that interoperability hangs on, written out by hand.
func TestWellKnownRows(t *testing.T) {
	for _, w := range []struct {
		g              Group
		name           string
		pq             bool
		client, server int
		layout         string
	}{
		{0x0017, "secp256r1", false, 65, 65, ""},
		{0x0018, "secp384r1", false, 97, 97, ""},
		{0x001d, "x25519", false, 32, 32, ""},
		{0x0100, "ffdhe2048", false, 256, 256, ""},
		{0x0200, "MLKEM512", true, 800, 768, ""},
		{0x0201, "MLKEM768", true, 1184, 1088, ""},
		{0x0202, "MLKEM1024", true, 1568, 1568, ""},
		{0x11eb, "SecP256r1MLKEM768", true, 1249, 1153, "P-256, then ML-KEM-768"},
		{0x11ec, "X25519MLKEM768", true, 1216, 1120, "ML-KEM-768, then X25519"},
		{0x11ed, "SecP384r1MLKEM1024", true, 1665, 1665, "P-384, then ML-KEM-1024"},
		{0x11ee, "curveSM2MLKEM768", true, 1249, 1153, "curveSM2, then ML-KEM-768"},
		{0x2fb4, "x25519_mlkem768-oqs0.6", true, 1216, 1120, "X25519, then ML-KEM-768"},
		{0x2fb7, "x448_mlkem768", true, 1240, 1144, "ML-KEM-768, then X448"},
		{0xfe2f, "frodo1344aes", true, 21520, 21696, ""},
		{0x6399, "X25519Kyber768Draft00", true, 1216, 1120, "X25519, then Kyber768"},
		{0xfe30, "X25519Kyber512Draft00", true, 832, 800, "X25519, then Kyber512"},
		{0xfe33, "CloudflareDummyKex", false, 0, 0, ""},
		{0x3a3a, "GREASE 0x3a3a", false, 0, 0, ""},
	} {
		i, ok := w.g.Info()
		if !ok || i.Name != w.name || w.g.PostQuantum() != w.pq || i.ClientShare != w.client || i.ServerShare != w.server || i.Layout != w.layout {
			t.Errorf("0x%04x: got %+v (post-quantum %v), want %+v", uint16(w.g), i, w.g.PostQuantum(), w)
		}
	}
	if i, ok := Group(0x1234).Info(); ok || Group(0x1234).PostQuantum() {
		t.Errorf("an unknown code point has a row: %+v", i)
	}
}

func TestGroupJSON(t *testing.T) {
	in := []Group{X25519MLKEM768, X25519, 0x1234, 0x0a0a}
	b, err := json.Marshal(in)
	if err != nil || string(b) != `["X25519MLKEM768","x25519","0x1234","GREASE 0x0a0a"]` {
		t.Fatalf("got %s, %v", b, err)
	}
	var out []Group
	if err := json.Unmarshal(b, &out); err != nil || !slices.Equal(in, out) {
		t.Errorf("round trip gave %v, %v", out, err)
	}
	row, _ := X25519MLKEM768.Info()
	if b, _ := json.Marshal(row); !strings.Contains(string(b), `"kind":"hybrid","status":"final"`) {
		t.Errorf("registry row as JSON: %s", b)
	}
}
