package lab

import (
	"strings"
	"testing"
)

func TestPredictTLS12(t *testing.T) {
	both, old, only13 := goRules, goRules, goRules
	old.TLS12, only13.TLS13 = true, true
	for _, tt := range []struct {
		offer, accept string
		want          string
	}{
		{pqList + "+secp256r1", "x25519", "classical x25519"},
		{"x25519mlkem768", pqList, "refused handshake_failure"}, // nothing else is left of the client's list
		{"default", "secp256r1", "classical secp256r1"},         // no key share, so no HelloRetryRequest
		{"secp384r1", "x25519", "refused handshake_failure"},
		{"0x001f", "0x001f", "refused handshake_failure"}, // Brainpool's number is of TLS 1.3
	} {
		c := NewCell("a", "b", MustOffer(tt.offer), MustOffer(tt.accept), "clean")
		for _, p := range []Prediction{Predict(c, old, both), Predict(c, both, old), Predict(c, old, old)} {
			if got := p.Strings(); len(got) != 1 || got[0] != tt.want || p.CommonPQ != nil {
				t.Errorf("%s: predicted %q, common %v; want %q", c.ID, got, p.CommonPQ, tt.want)
			}
		}
		for _, p := range []Prediction{Predict(c, old, only13), Predict(c, only13, old)} {
			if got := p.Strings(); len(got) != 1 || got[0] != "refused protocol_version" || p.reason() != "no common version" {
				t.Errorf("%s, no common version: predicted %q for %s", c.ID, got, p.reason())
			}
		}
	}
}

// TestPredictTLS12Shares: a client that could do TLS 1.3 sends its shares to
// whomever it meets, and one that is held to TLS 1.2 has none.
func TestPredictTLS12Shares(t *testing.T) {
	old := goRules
	old.TLS12 = true
	c := NewCell("a", "b", MustOffer(pqList), MustOffer("x25519"), "clean")
	if to, from := Predict(c, goRules, old), Predict(c, old, goRules); len(to.Shares) != 2 || from.Shares != nil {
		t.Errorf("shares %v to a server held to TLS 1.2, %v from such a client", to.Shares, from.Shares)
	}
}

// TestPredictTLS12Certificate: the curve of an ECDSA certificate has to be on
// the client's list where somebody looks; an RSA key has none.
func TestPredictTLS12Certificate(t *testing.T) {
	old := goRules
	old.TLS12 = true
	looks := func(r Rules, client, server, noCurve bool) Rules {
		r.Old.ClientCertCurve, r.Old.ServerCertCurve, r.Old.NoCurve = client, server, noCurve
		return r
	}
	for _, tt := range []struct {
		client, server    Rules
		offer, cert, want string
	}{
		{goRules, old, pqList, "", "classical x25519"},
		{goRules, looks(old, false, true, false), pqList, "", "refused handshake_failure"},
		{goRules, looks(old, false, true, false), pqList + "+secp256r1", "", "classical x25519"},
		{goRules, looks(old, false, true, false), pqList, "rsa2048", "classical x25519"},
		{looks(goRules, true, false, false), old, pqList, "large-chain", "refused illegal_parameter"},
		{looks(goRules, true, false, false), old, pqList, "rsa2048", "classical x25519"},
		{looks(goRules, true, false, false), Rules{TLS12: true}, pqList, "", "refused illegal_parameter, refused"},
		{Rules{}, old, pqList, "", "classical x25519, refused"},
		{goRules, Rules{TLS12: true}, pqList + "+secp256r1", "", "classical x25519"},
		{goRules, looks(old, false, false, true), "x25519mlkem768", "rsa2048", "refused handshake_failure"},
		{looks(goRules, false, false, true), looks(old, false, false, true), "x25519mlkem768", "rsa2048", "classical without a curve"},
		{looks(goRules, false, false, true), looks(old, false, false, true), "x25519mlkem768", "", "refused handshake_failure"},
	} {
		c := NewCell("a", "b", MustOffer(tt.offer), MustOffer("x25519"), "clean").WithCert(tt.cert)
		if got := strings.Join(Predict(c, tt.client, tt.server).Strings(), ", "); got != tt.want {
			t.Errorf("%s: predicted %q, want %q", c.ID, got, tt.want)
		}
	}
}

// TestPredictTLS12OwnList: a server that looks at its own list for the curve
// of its certificate, and one that lets no list stand for every list.
func TestPredictTLS12OwnList(t *testing.T) {
	old, own, free := goRules, goRules, goRules
	old.TLS12, own.Old.OwnCertCurve, free.Old.NoList = true, true, true
	for _, tt := range []struct {
		server                    Rules
		offer, accept, cert, want string
	}{
		{own, pqList + "+secp256r1", "x25519", "", "refused handshake_failure"},
		{own, pqList + "+secp256r1", "x25519", "rsa2048", "classical x25519"},
		{own, pqList, "x25519+secp256r1", "", "classical x25519"},
		{free, "x25519mlkem768", "x25519+secp256r1", "", "refused illegal_parameter"},
		{free, "x25519mlkem768", "x25519+secp256r1", "rsa2048", "refused illegal_parameter"},
		{free, "x25519mlkem768", "x25519", "", "refused illegal_parameter"},
		{free, "x25519", "secp256r1", "", "refused handshake_failure"},
		{goRules, "x25519mlkem768", "x25519", "", "refused handshake_failure"},
	} {
		c := NewCell("a", "b", MustOffer(tt.offer), MustOffer(tt.accept), "clean").WithCert(tt.cert)
		if got := strings.Join(Predict(c, old, tt.server).Strings(), ", "); got != tt.want {
			t.Errorf("%s: predicted %q, want %q", c.ID, got, tt.want)
		}
	}
}

// TestClassifyTLS12: what was told to be TLS 1.2 is no downgrade, and the
// client's refusal of a certificate comes after the ServerHello.
func TestClassifyTLS12(t *testing.T) {
	old, looks := goRules, goRules
	old.TLS12, looks.Old.ClientCertCurve = true, true
	in12 := func(o *Observation) { o.Wire.ServerHello.Version = 0x0303 }
	alerts := func(from string, version uint16) func(*Observation) {
		return func(o *Observation) {
			o.Wire.ServerHello.Version, o.Client.Data, o.Wire.AppToClient, o.Wire.AppToServer = version, false, 0, 0
			o.Wire.Alerts = []Alert{{From: from, Name: "illegal_parameter", Code: 47}}
		}
	}
	for _, tt := range []struct {
		name   string
		client Rules
		group  string
		change func(*Observation)
		want   Outcome
		cause  Cause
	}{
		{"classical by agreement", goRules, "x25519", in12, Classical, ""},
		{"a group of TLS 1.3", goRules, "x25519mlkem768", in12, Failure, CausePQInTLS12},
		{"the client looks", looks, "x25519", alerts("client", 0x0303), Refused, ""},
		{"a client that need not", goRules, "x25519", alerts("client", 0x0303), Failure, "alert-illegal-parameter"},
		{"in TLS 1.3 it is nobody's right", looks, "x25519", alerts("client", 0x0304), Failure, "alert-illegal-parameter"},
		{"the server has answered already", looks, "x25519", alerts("server", 0x0303), Failure, "alert-illegal-parameter"},
	} {
		o := seen(t, "go", "go", pqList, pqList, "clean", tt.group, tt.change)
		v := Classify(o, Predict(o.Cell, tt.client, old), old, nil)
		if v.Outcome != tt.want || v.Cause != tt.cause {
			t.Errorf("%s: judged %s %s: %s", tt.name, v.Outcome, v.Cause, v.Why)
		}
	}
}
