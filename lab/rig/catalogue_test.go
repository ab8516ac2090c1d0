package rig

import (
	"slices"
	"strings"
	"testing"

	"hybridlab/lab"
	"hybridlab/lab/wire"
)

// TestRecall: a peer that was brought to a run is judged by what the run
// recorded, and offers its controls, without its image.
func TestRecall(t *testing.T) {
	groups := []wire.Group{wire.X25519, wire.X25519MLKEM768}
	c := Recall([]lab.PeerInfo{
		{ID: "go@1.26"},
		{ID: "vendor@1", Client: lab.Capability{Declared: groups}, Rules: &lab.Rules{Default: lab.MustOffer("*x25519")}},
		{ID: "openssl@mine", Server: lab.Capability{Declared: groups}, Rules: &lab.Rules{}},
	})
	for _, tt := range []struct {
		id    lab.PeerID
		role  lab.Role
		offer string
		why   string
	}{
		{"vendor@1", lab.ClientRole, "x25519mlkem768>x25519", ""},
		{"vendor@1", lab.ClientRole, "default", ""},
		{"vendor@1", lab.ClientRole, "x448", "no group x448"},
		{"vendor@1", lab.ServerRole, "x25519", "cannot be a server"},
		{"openssl@mine", lab.ServerRole, "x25519", ""},
		{"openssl@mine", lab.ServerRole, "x448", "no group x448"},
		{"go@1.26", lab.ClientRole, "x25519", ""},
		{"nobody@1", lab.ClientRole, "x25519", "look up peer"},
	} {
		if why := c.Unsupported(tt.id, tt.role, lab.MustOffer(tt.offer)); (why == "") != (tt.why == "") || !strings.Contains(why, tt.why) {
			t.Errorf("%s as %s, %s: %q, want %q", tt.id, tt.role, tt.offer, why, tt.why)
		}
	}
	// A name of the table is judged by the table of today.
	if r := c.Rules("openssl@mine"); r.Pick == "" || r.NoMatch == "" {
		t.Errorf("rules of openssl@mine: %+v", r)
	}
	if r := c.Rules("vendor@1"); r.Default.String() != "*x25519" || r.Pick != lab.PickUnknown {
		t.Errorf("rules of vendor@1: %+v", r)
	}
	if got := c.Brought(); !slices.Equal(got, []lab.PeerID{"openssl@mine", "vendor@1"}) {
		t.Errorf("brought: %v", got)
	}
	if c.Check(Embedded, "vendor@1", lab.ClientRole) == nil || c.Check(Containers, "vendor@1", lab.ClientRole) != nil {
		t.Error("an image runs in containers, and only there")
	}
}

func TestBringNeedsContainers(t *testing.T) {
	if _, err := Bring(t.Context(), Embedded, []string{"vendor@1=image"}); err == nil || !strings.Contains(err.Error(), "--fabric containers") {
		t.Errorf("error: %v", err)
	}
	if c, err := Bring(t.Context(), Embedded, nil); err != nil || len(c.Brought()) != 0 {
		t.Errorf("nothing to bring: %v", err)
	}
}
