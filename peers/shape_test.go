package peers

import (
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"hybridlab/lab"
	"hybridlab/lab/wire"
	"hybridlab/peers/crafted"
)

func TestShapeSettings(t *testing.T) {
	for set, want := range map[string]Shape{
		"pad=1449":                     {PadTo: 1449},
		"cut=1:2:3,gap=50ms":           {Segments: []int{1, 2, 3}, Gap: 50 * time.Millisecond},
		"record=100,late-name,grease":  {Records: []int{100}, LateName: true, GREASE: true},
		"segments=30000":               {Segments: []int{30000, 60000}},
		"records=30000":                {Records: []int{30000, 60000}},
		"ml-dsa":                       {SigAlgs: []uint16{0x904, 0x905, 0x906}},
		"ml-dsa-cert,schemes=2":        {CertSigAlgs: []uint16{0x904, 0x905, 0x906}, SigAlgs: []uint16{0xfe00, 0xfe01}},
		"flaw=zero-x25519,classical":   {Flaw: crafted.FlawZeroX25519, Classical: true},
		"hrr,death=silent,record=1:50": {Retry: true, Death: crafted.DeathSilent, Records: []int{1, 50}},
	} {
		_, settings, err := lab.SplitSettings("x{" + set + "}")
		if err != nil {
			t.Fatal(err)
		}
		if got, err := shapeOf(settings); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v, %v; want %+v", set, got, err, want)
		}
	}
}

func TestShapeSettingsRefused(t *testing.T) {
	for id, want := range map[lab.PeerID]string{
		"crafted{pad=0}":                 "bytes of the ClientHello",
		"crafted{pad=65536}":             "bytes of the ClientHello",
		"crafted{pad}":                   "bytes of the ClientHello",
		"crafted{grease=1}":              "want no value",
		"crafted{cut=3:2}":               "in order",
		"crafted{cut=3,segments=4}":      "most bytes a TCP segment",
		"crafted{cut=1,gap=2h}":          "such as 50ms",
		"crafted{gap=1ms}":               "needs cut or segments",
		"crafted{flaw=x}":                "truncated, padded, empty",
		"crafted{classical}":             "needs flaw",
		"crafted{death=reset}":           "needs hrr",
		"crafted{hrr,pad=300}":           "beside those of a server's",
		"crafted{size=3}":                "unknown setting \"size\": want some of pad, cut",
		"crafted@pad-1700{pad=1,pad=2}":  "set twice",
		"crafted@nonsense{pad=1700}":     "crafted@pad-1700",
		"go@1.26{pad=1700}":              "go@1.26 takes no settings",
		"crafted{pad=1700":               "want NAME{key=value,...}",
		"crafted@hrr{late-name}":         "beside those of a server's",
		"crafted@records-2{records=100}": "most bytes a TLS record",
	} {
		if p, err := Lookup(id); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, %v; want %q", id, p.ID, err, want)
		}
	}
}

// TestSettingsOverride: what a profile does stays, unless it is set otherwise.
func TestSettingsOverride(t *testing.T) {
	p, err := Lookup("crafted@cut-header-50ms{gap=5ms,pad=400}")
	if err != nil {
		t.Fatal(err)
	}
	name, set := p.Base()
	if got := lab.JoinSettings(string(name), set); got != "crafted{cut=3,gap=5ms,pad=400}" {
		t.Errorf("it amounts to %s", got)
	}
	if p.Pause() != 5*time.Millisecond || !slices.Equal(p.Roles, []lab.Role{lab.ClientRole}) {
		t.Errorf("it pauses %v, in the roles %v", p.Pause(), p.Roles)
	}
	flawed, err := Lookup("crafted{flaw=zero-x25519}")
	if err != nil || flawed.Rules.Breach.Alerts == nil || slices.Contains(flawed.Groups, wire.SecP256r1MLKEM768) {
		t.Errorf("a flaw that is set is not the profile's: %+v, %v", flawed.Rules.Breach, err)
	}
}

// TestSettingsOnTheWire: they reach the wire, in this process and as a process
// of its own.
func TestSettingsOnTheWire(t *testing.T) {
	const id = "crafted{pad=1449,record=200}"
	p, err := Lookup(id)
	if err != nil {
		t.Fatal(err)
	}
	server := serve(t, "go@1.26", Request{})
	cmd, err := p.Command(Request{Role: lab.ClientRole, Addr: server.addr})
	if err != nil || !slices.Equal(cmd.Argv, []string{Binary, "peer", id}) {
		t.Errorf("runs %q, %v", cmd.Argv, err)
	}
	c, end, _ := dial(t, id, server.addr, Request{Offer: lab.MustOffer("x25519")})
	recs, _, err := wire.ReadRecords(c.toServer)
	if err != nil || !end.Data || len(recs[0].Fragment) != 200 || len(recs[0].Fragment)+len(recs[1].Fragment) != 1449-5 {
		t.Errorf("records of %d and %d bytes: %v %+v", len(recs[0].Fragment), len(recs[1].Fragment), err, end)
	}
}

func FuzzShapeSettings(f *testing.F) {
	f.Add("crafted{pad=1449,cut=1:2:3,gap=50ms}")
	f.Add("crafted@late-name{records=64,schemes=3}")
	f.Fuzz(func(t *testing.T, id string) {
		p, err := Lookup(lab.PeerID(id))
		if err == nil && (p.ID != lab.PeerID(id) || len(p.Roles) == 0) {
			t.Errorf("%q became %s with the roles %v", id, p.ID, p.Roles)
		}
	})
}
