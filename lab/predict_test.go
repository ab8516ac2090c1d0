package lab

import "testing"

func TestPredict(t *testing.T) {
	for _, tt := range []struct {
		client, server PeerID
		offer, accept  string
		want           string
		commonPQ       bool
	}{
		{"go", "go", "x25519mlkem768+x25519", "x25519mlkem768+x25519", "hybrid X25519MLKEM768", true},
		{"go", "go", "x25519mlkem768+x25519", "x25519", "classical x25519", false},
		{"go", "go", "x25519+x25519mlkem768", "x25519", "classical x25519", false}, // Go's own order: the hybrid's share comes first, X25519's beside it
		{"go", "go", "secp384r1mlkem1024+secp384r1", "secp384r1", "classical secp384r1 after HelloRetryRequest", false},
		{"go", "go", "x25519mlkem768", "x25519", "refused handshake_failure", false},
		// The classic, both ways: the same client, two servers.
		{"tier", "go", "x25519+~x25519mlkem768", "x25519mlkem768+x25519", "hybrid X25519MLKEM768 after HelloRetryRequest", true},
		{"tier", "tier", "x25519+~x25519mlkem768", "x25519mlkem768+x25519", "classical x25519", true},
		{"tier", "tier", "x25519+~x25519mlkem768", "x25519mlkem768>x25519", "hybrid X25519MLKEM768 after HelloRetryRequest", true},
		{"tier", "tier", "x25519+~x25519mlkem768", "default", "hybrid X25519MLKEM768 after HelloRetryRequest", true},
		{"tier", "go", "default", "default", "hybrid X25519MLKEM768", true},
		{"tier", "tier", "x25519mlkem768+x25519", "x25519", "classical x25519 after HelloRetryRequest", false},
		{"go", "tier", "x25519mlkem768+x25519", "x25519", "classical x25519", false},
		{"go", "tier", "default", "secp384r1", "classical secp384r1 after HelloRetryRequest", false},
	} {
		var k catalogue
		c := NewCell(tt.client, tt.server, MustOffer(tt.offer), MustOffer(tt.accept), "clean")
		p := Predict(c, k.Rules(c.Client), k.Rules(c.Server))
		if got := p.Strings(); len(got) != 1 || got[0] != tt.want {
			t.Errorf("%s: predicted %q, want %q", c.ID, got, tt.want)
		}
		if (len(p.CommonPQ) > 0) != tt.commonPQ {
			t.Errorf("%s: common post-quantum groups %v", c.ID, p.CommonPQ)
		}
	}
}
