package lab

import (
	"slices"
	"strings"
	"testing"

	"hybridlab/lab/wire"
)

func groups(t *testing.T, names ...string) []wire.Group {
	t.Helper()
	var out []wire.Group
	for _, n := range names {
		g, err := wire.LookupGroup(n)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, g)
	}
	return out
}

func TestOfferRoundTrip(t *testing.T) {
	for _, tt := range []struct {
		text     string
		sent     []string // what an explicit offer sends
		explicit bool
		tiered   bool
	}{
		{text: "default"},
		{text: "x25519mlkem768", sent: []string{"x25519mlkem768"}},
		{text: "x25519mlkem768+x25519", sent: []string{"x25519mlkem768", "x25519"}},
		{text: "x25519mlkem768>x25519", sent: []string{"x25519mlkem768", "x25519"}, tiered: true},
		{text: "x25519+~x25519mlkem768", sent: []string{"x25519"}, explicit: true},
		{text: "*x25519mlkem768>*x25519+secp256r1", sent: []string{"x25519mlkem768", "x25519"}, explicit: true, tiered: true},
	} {
		o, err := ParseOffer(tt.text)
		if err != nil {
			t.Errorf("%s: %v", tt.text, err)
			continue
		}
		if got := o.String(); got != tt.text {
			t.Errorf("%s: printed as %s", tt.text, got)
		}
		if !slices.Equal(o.Sent(), groups(t, tt.sent...)) || o.Explicit() != tt.explicit || o.Tiered() != tt.tiered {
			t.Errorf("%s: sent %v explicit %t tiered %t", tt.text, o.Sent(), o.Explicit(), o.Tiered())
		}
	}
}

func TestOfferRejects(t *testing.T) {
	for text, want := range map[string]string{
		"":              "group",
		"x25519+":       "group",
		"x25519+x25519": "twice",
		"kyber":         "x25519mlkem768", // the error names what there is
		"x25519 ":       "group",
	} {
		if _, err := ParseOffer(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: error %v, want it to mention %q", text, err, want)
		}
	}
}

func FuzzParseOffer(f *testing.F) {
	f.Add("x25519mlkem768+x25519")
	f.Add("x25519+~x25519mlkem768>*secp256r1")
	f.Fuzz(func(t *testing.T, s string) {
		o, err := ParseOffer(s)
		if err != nil {
			return
		}
		again, err := ParseOffer(o.String())
		if err != nil || again.String() != o.String() {
			t.Errorf("%q parsed to %s, which parses to %s, %v", s, o, again, err)
		}
	})
}
