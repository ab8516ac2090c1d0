package lab

import (
	"slices"
	"testing"
)

// A large certificate makes the server's flight large whatever the group is:
// the control that shows it has the smallest of both.
func TestSmallControl(t *testing.T) {
	var k catalogue
	c := NewCell("go", "go", MustOffer(pqList), MustOffer(pqList), "mtu1280").WithCert("mldsa87")
	want := []Control{
		{ControlSmall, NewCell("go", "go", MustOffer("x25519"), MustOffer("x25519"), "mtu1280")},
		{ControlClean, NewCell("go", "go", MustOffer(pqList), MustOffer(pqList), "clean").WithCert("mldsa87")},
	}
	if got := Controls(c, "clean", k); !slices.EqualFunc(got, want, func(a, b Control) bool { return a.Kind == b.Kind && a.Cell.ID == b.Cell.ID }) {
		t.Errorf("controls %+v", got)
	}
	for small, outcome := range map[Outcome]Outcome{Classical: Size, Failure: Inconclusive} {
		o := seen(t, "go", "go", pqList, pqList, "mtu1280", "x25519mlkem768", func(o *Observation) {
			blackhole(o)
			o.Cell = c
		})
		controls := []ControlTaken{{Kind: ControlSmall, Outcome: small}, {Kind: ControlClean, Outcome: Hybrid}}
		if v := Classify(o, Predict(c, goRules, goRules), goRules, controls); v.Outcome != outcome {
			t.Errorf("the small control ends as %s: judged %s: %s", small, v.Outcome, v.Why)
		}
	}
}
