package peers

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"hybridlab/lab"
	"hybridlab/lab/wire"
)

// msg is what "s_client -msg" prints of a ClientHello.
func msg(groups, shares []wire.Group) string {
	h := wire.ClientHello{Version: 0x0303, Versions: []uint16{0x0304}, Groups: groups}
	for _, g := range shares {
		h.Shares = append(h.Shares, wire.KeyShare{Group: g, Data: make([]byte, 32)})
	}
	body := h.Marshal()
	raw := append([]byte{1, 0, byte(len(body) >> 8), byte(len(body))}, body...)
	var b strings.Builder
	b.WriteString(">>> TLS 1.0, RecordHeader [length 0005]\n    16 03 01 01 00\n>>> TLS 1.3, Handshake [length 0100], ClientHello\n")
	for line := range slices.Chunk(raw, 16) {
		fmt.Fprintf(&b, "    % x\n", line)
	}
	return b.String() + "<<< TLS 1.2, RecordHeader [length 0005]\n    15 03 03 00 02\n"
}

// TestOQS: without an image there is no peer, and the error says what to do;
// with one, groups go by the code points of its hellos, whatever their names.
func TestOQS(t *testing.T) {
	row, err := Lookup("openssl-oqs")
	if err != nil {
		t.Fatal(err)
	}
	if err := row.Supports(lab.ClientRole, lab.MustOffer("x25519")); !isUnsupportedBecause(err, "bring an image") {
		t.Errorf("without an image: %v", err)
	}
	p, err := Table().Bring("openssl-oqs@x", Image{Ref: "img"})
	if err != nil || p.Missing != "" || p.Asks() == nil {
		t.Fatalf("brought: %+v, %v", p, err)
	}
	x25519 := []wire.Group{wire.X25519}
	answer := "OpenSSL 3.4.0 22 Oct 2024\r\nflags: -provider oqsprovider -provider default\n== default\n" + msg([]wire.Group{0x2fb4, wire.X25519}, x25519) +
		"\n== X25519\n" + msg(x25519, x25519) + "\n== X25519MLKEM768\nCall to SSL_CONF_cmd(-groups, X25519MLKEM768) failed\n" +
		"\n== x25519_mlkem768\n" + msg([]wire.Group{0x2fb4}, nil) + "\n== mlkem768\n" + msg([]wire.Group{0x0768}, nil)
	if p, err = p.Told([]byte(answer)); err != nil {
		t.Fatal(err)
	}
	if want := []wire.Group{wire.X25519, 0x0768, 0x2fb4}; !slices.Equal(p.Groups, want) {
		t.Errorf("groups %v, want %v", p.Groups, want)
	}
	if got := p.Rules.Default.String(); got != "~x25519_mlkem768-oqs0.6+*x25519" && got != "x25519_mlkem768-oqs0.6+*x25519" {
		t.Errorf("default %s", got)
	}
	cmd, err := p.Command(Request{Role: lab.ClientRole, Addr: netip.MustParseAddrPort("127.0.0.1:1"), Offer: lab.MustOffer("0x2fb4+0x0768+x25519")})
	if text := strings.Join(cmd.Argv, " "); err != nil || !strings.HasSuffix(text, "-provider oqsprovider -provider default -groups x25519_mlkem768:mlkem768:X25519") {
		t.Errorf("command %q, %v", text, err)
	}
	if err := p.Supports(lab.ClientRole, lab.MustOffer("x25519mlkem768")); !isUnsupportedBecause(err, "no group X25519MLKEM768") {
		t.Errorf("a group whose name it does not take: %v", err)
	}
	for _, bad := range []string{"", "sh: openssl: not found", "OpenSSL 3.4.0\n== X25519\nerror\n"} {
		if _, err := p.Told([]byte(bad)); err == nil {
			t.Errorf("%q is taken for an answer", bad)
		}
	}
}

func FuzzTold(f *testing.F) {
	p, err := Table().Bring("openssl-oqs@x", Image{Ref: "img"})
	if err != nil {
		f.Fatal(err)
	}
	f.Add([]byte("OpenSSL 3.4.0\n== X25519\n" + msg([]wire.Group{wire.X25519}, []wire.Group{wire.X25519})))
	f.Fuzz(func(t *testing.T, answer []byte) {
		if q, err := p.Told(answer); err == nil && len(q.Groups) == 0 {
			t.Error("no groups, and no error")
		}
	})
}
