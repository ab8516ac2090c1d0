package lab

import (
	"strings"
	"testing"
)

// broken is the tiered client with its hybrid shares broken, mayPass one
// with what a server may overlook; the tiered client is their control.
var broken, mayPass = func() (b, m Rules) {
	b, m = tieredRules, tieredRules
	b.Breach = Breach{What: "the hybrid share lacks its last byte", Alerts: []string{"illegal_parameter", "decode_error"}}
	m.Breach = Breach{What: "the share comes twice", Alerts: []string{"illegal_parameter"}, MayPass: true}
	return b, m
}()

func TestPredictBreach(t *testing.T) {
	for _, tt := range []struct {
		client        Rules
		offer, accept string
		want          string
	}{
		{tieredRules, "x25519mlkem768", "x25519mlkem768", "hybrid X25519MLKEM768"},
		{broken, "x25519mlkem768", "x25519mlkem768", "refused illegal_parameter, refused decode_error"},
		{broken, "x25519+~x25519mlkem768", "x25519mlkem768>x25519", "refused illegal_parameter, refused decode_error"}, // in the second hello
		{broken, "default", "default", "refused illegal_parameter, refused decode_error"},
		{broken, "*x25519mlkem768+*x25519", "x25519", "classical x25519, refused illegal_parameter, refused decode_error"}, // not used
		{broken, "x25519", "x25519", "classical x25519, refused illegal_parameter, refused decode_error"},
		{broken, "x25519mlkem768", "x25519", "refused handshake_failure, refused illegal_parameter, refused decode_error"},
		{mayPass, "x25519mlkem768", "x25519mlkem768", "hybrid X25519MLKEM768, refused illegal_parameter"},
		{mayPass, "x25519mlkem768", "x25519", "refused handshake_failure, refused illegal_parameter"},
	} {
		c := NewCell("bad", "tier", MustOffer(tt.offer), MustOffer(tt.accept), "clean")
		p := Predict(c, tt.client, tieredRules)
		if got := strings.Join(p.Strings(), ", "); got != tt.want {
			t.Errorf("%q, %s: predicted %q, want %q", tt.client.Breach.What, c.ID, got, tt.want)
		}
	}
	classical := broken
	classical.Breach.Classical = true
	for offer, want := range map[string]string{
		"x25519mlkem768+~x25519": "hybrid X25519MLKEM768, refused illegal_parameter, refused decode_error",
		"x25519":                 "refused illegal_parameter, refused decode_error",
		"secp384r1":              "refused handshake_failure, refused illegal_parameter, refused decode_error",
	} {
		p := Predict(NewCell("bad", "tier", MustOffer(offer), MustOffer("x25519mlkem768+x25519"), "clean"), classical, tieredRules)
		if got := strings.Join(p.Strings(), ", "); got != want {
			t.Errorf("classical shares broken, %s: predicted %q, want %q", offer, got, want)
		}
	}
	old := tieredRules
	old.TLS12 = true
	if p := Predict(NewCell("bad", "old", MustOffer("x25519mlkem768+x25519"), MustOffer("x25519"), "clean"), broken, old); p.Strings()[0] != "classical x25519" {
		t.Errorf("TLS 1.2 has no shares: %q", p.Strings())
	}
}

func TestPredictRetry(t *testing.T) {
	retry := tieredRules
	retry.Retry = true
	for accept, want := range map[string]string{
		"x25519mlkem768": "hybrid X25519MLKEM768 after HelloRetryRequest",
		"x25519":         "classical x25519 after HelloRetryRequest",
		"secp256r1":      "refused handshake_failure",
	} {
		p := Predict(NewCell("tier", "retry", MustOffer("*x25519mlkem768+*x25519"), MustOffer(accept), "clean"), tieredRules, retry)
		if got := p.Strings(); len(got) != 1 || got[0] != want {
			t.Errorf("%s: predicted %q, want %q", accept, got, want)
		}
	}
}

// TestClassifyBreach: every alert allowed passes, every other answer is the
// server's failure.
func TestClassifyBreach(t *testing.T) {
	for _, tt := range []struct {
		name    string
		client  Rules
		accept  string
		group   string
		change  func(*Observation)
		outcome Outcome
		cause   Cause
		blame   string
		why     string
	}{
		{"refused as it should", broken, pqList, "", refusedWith("illegal_parameter"), Refused, "", "", "lacks its last byte: the server sent illegal_parameter"},
		{"refused in another allowed way", broken, pqList, "", refusedWith("decode_error"), Refused, "", "", "lacks its last byte: the server sent decode_error"},
		{"the wrong alert", broken, pqList, "", refusedWith("internal_error"), Failure, "alert-internal-error", blameServer, "predicted refused illegal_parameter or refused decode_error"},
		{"the right alert without a breach", tieredRules, pqList, "", refusedWith("illegal_parameter"), Failure, "alert-illegal-parameter", blameServer, "predicted hybrid"},
		{"completed", broken, pqList, "x25519mlkem768", nil, Failure, CauseUnexpectedSuccess, blameServer, "completed with X25519MLKEM768"},
		{"answered, then broke", broken, pqList, "x25519mlkem768", func(o *Observation) { o.Client.Data, o.Wire.AppToServer, o.Wire.ClientClose = false, 0, "fin-client" }, Failure, CauseUnexpectedSuccess, blameServer, "because the hybrid share lacks its last byte"},
		{"closed without a word", broken, pqList, "", func(o *Observation) { silent(o); o.Wire.ClientClose = "fin-server" }, Failure, CauseFINAfterHello, blameServer, "closed"},
		{"went on with the classical share", broken, pqList, "x25519", nil, Downgrade, CauseServerPreferredClassical, blameServer, "instead of"},
		{"not used, overlooked", broken, "x25519", "x25519", nil, Classical, "", "", "as predicted"},
		{"not used, refused", broken, "x25519", "", refusedWith("illegal_parameter"), Refused, "", "", "as predicted"},
		{"no common group all the same", broken, "secp384r1", "", refusedWith("handshake_failure"), Refused, "", "", "no common group"},
		{"overlooked as it may be", mayPass, pqList, "x25519mlkem768", nil, Hybrid, "", "", "as predicted"},
		{"noticed as it may be", mayPass, pqList, "", refusedWith("illegal_parameter"), Refused, "", "", "comes twice"},
		{"noticed, the wrong alert", mayPass, pqList, "", refusedWith("decode_error"), Failure, "alert-decode-error", blameServer, "predicted"},
	} {
		o := seen(t, "bad", "tier", "*x25519mlkem768+*x25519", tt.accept, "clean", tt.group, tt.change)
		v := Classify(o, Predict(o.Cell, tt.client, tieredRules), tieredRules, nil)
		if v.Outcome != tt.outcome || v.Cause != tt.cause || v.Blame != tt.blame || !strings.Contains(v.Why, tt.why) {
			t.Errorf("%s: judged %s %s, blame %q: %s; want %s %s, blame %q: %q", tt.name, v.Outcome, v.Cause, v.Blame, v.Why, tt.outcome, tt.cause, tt.blame, tt.why)
		}
	}
}
