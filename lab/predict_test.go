package lab

import (
	"strings"
	"testing"

	"hybridlab/lab/wire"
)

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

// TestPredictOrderOrNext: one place down the list counts, and no more.
func TestPredictOrderOrNext(t *testing.T) {
	nss := Rules{Default: MustOffer("*x25519mlkem768+x25519"), Shares: ShareFirst, Pick: PickOrderOrNext, NoMatch: "handshake_failure"}
	for _, tt := range []struct{ offer, accept, want string }{
		{"x25519mlkem768+x25519", "x25519mlkem768+x25519", "hybrid X25519MLKEM768"},
		{"x25519+~x25519mlkem768", "x25519mlkem768+x25519", "classical x25519"},
		{"x25519+~x25519mlkem768", "x25519mlkem768+secp256r1+x25519", "hybrid X25519MLKEM768 after HelloRetryRequest"},         // not next
		{"secp384r1+~secp384r1mlkem1024", "secp384r1mlkem1024+secp384r1", "hybrid SecP384r1MLKEM1024 after HelloRetryRequest"}, // not as strong
		{"x25519+~secp384r1", "secp384r1+x25519", "classical secp384r1 after HelloRetryRequest"},
		{"secp384r1+~x25519", "x25519+secp384r1", "classical x25519 after HelloRetryRequest"},
		{"0x0100+~secp521r1", "secp521r1+0x0100", "classical secp521r1 after HelloRetryRequest"},
		{"~x25519mlkem768+~x25519", "x25519mlkem768+x25519", "hybrid X25519MLKEM768 after HelloRetryRequest"},
		{"x25519", "x25519mlkem768+x25519", "classical x25519"},
		{"secp256r1", "x25519mlkem768+x25519", "refused handshake_failure"},
	} {
		c := NewCell("nss", "nss", MustOffer(tt.offer), MustOffer(tt.accept), "clean")
		if got := strings.Join(Predict(c, nss, nss).Strings(), ", "); got != tt.want {
			t.Errorf("%s: predicted %q, want %q", c.ID, got, tt.want)
		}
	}
}

// TestPredictUnknown: a rule that is not known allows everything that a rule
// of its kind could lead to, and nothing else.
func TestPredictUnknown(t *testing.T) {
	tier, unknown := tieredRules, Rules{Default: MustOffer("*x25519")}
	for _, tt := range []struct {
		client, server Rules
		offer, accept  string
		want           string
	}{
		{tier, unknown, "x25519+~x25519mlkem768", "x25519mlkem768+x25519", "hybrid X25519MLKEM768 after HelloRetryRequest, classical x25519"},
		{tier, unknown, "x25519", "x25519mlkem768", "refused"},
		{tier, unknown, "x25519", "default", "classical x25519"},
		{unknown, tier, "x25519mlkem768+x25519", "x25519mlkem768+x25519", "hybrid X25519MLKEM768 after HelloRetryRequest, hybrid X25519MLKEM768, classical x25519"},
		{unknown, tier, "x25519+~x25519mlkem768", "x25519mlkem768+x25519", "classical x25519"},
		{unknown, tier, "default", "x25519", "classical x25519"},
		{unknown, unknown, "x25519", "x25519", "classical x25519 after HelloRetryRequest, classical x25519"},
		{unknown, unknown, "x25519", "secp256r1", "refused"},
		{tier, Rules{NoMatch: NoAlert}, "x25519", "secp256r1", "refused without an alert"},
	} {
		c := NewCell("a", "b", MustOffer(tt.offer), MustOffer(tt.accept), "clean")
		if got := strings.Join(Predict(c, tt.client, tt.server).Strings(), ", "); got != tt.want {
			t.Errorf("%s: predicted %q, want %q", c.ID, got, tt.want)
		}
	}
}

// TestPredictWithdrawn: a group that is configured and never negotiated takes
// part in nothing, and is still what both ends were set up for.
func TestPredictWithdrawn(t *testing.T) {
	muted := goRules
	muted.Withdrawn = []wire.Group{wire.X25519MLKEM768}
	for _, tt := range []struct {
		offer, accept string
		want          string
		commonPQ      bool
	}{
		{pqList, "default", "classical x25519", true},
		{pqList, pqList, "classical x25519", true},
		{"x25519mlkem768", pqList, "refused handshake_failure", true},
		{"x25519", pqList, "classical x25519", false},
	} {
		c := NewCell("a", "b", MustOffer(tt.offer), MustOffer(tt.accept), "clean")
		p := Predict(c, goRules, muted)
		if got := strings.Join(p.Strings(), ", "); got != tt.want || (len(p.CommonPQ) > 0) != tt.commonPQ {
			t.Errorf("%s: predicted %s, common %v; want %s", c.ID, got, p.CommonPQ, tt.want)
		}
	}
}
