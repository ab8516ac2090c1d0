//go:build docker

package rig

import (
	"strings"
	"testing"

	"hybridlab/lab"
)

// TestOQSImage: an image is asked what it calls which group, and is then
// client and server by the name that it knows. The image is a stand-in.
func TestOQSImage(t *testing.T) {
	img, err := daemon(t).Build(t.Context(), "openssl", "trixie", false)
	if err != nil {
		t.Fatal(err)
	}
	const ref = "hybridlab-test/oqs-standin"
	build(t, ref, "FROM "+img.Ref+"\nCOPY oqs-standin /usr/local/bin/openssl\nRUN chmod 755 /usr/local/bin/openssl")
	known, err := Bring(t.Context(), Containers, []string{"openssl-oqs@x=" + ref})
	if err != nil {
		t.Fatal(err)
	}
	ids := []lab.PeerID{"go@1.26", "openssl-oqs@x"}
	m := lab.Matrix{Clients: ids, Servers: ids, Links: []string{"clean"}}
	for _, o := range []string{"x25519mlkem768", "x25519mlkem768+x25519", "x25519"} {
		m.Cases = append(m.Cases, lab.Case{Offer: lab.MustOffer(o), Accept: lab.MustOffer(o)})
	}
	plan := lab.Expand(m, known)
	got, infos := runCells(t, known, ids, plan.Cells)
	for _, c := range plan.Cells {
		v, want := got[c.ID], lab.Hybrid
		if c.Offer.String() == "x25519" {
			want = lab.Classical
		}
		if v.Outcome != want && !strings.Contains(v.Why, "short of CPU") {
			t.Errorf("%s: %s %s: %s", c.ID, v.Outcome, v.Cause, v.Why)
		}
	}
	info := infos["openssl-oqs@x"]
	if len(plan.Cells) != 12 || !strings.Contains(info.Version, "oqs-provider not found") || info.Rules == nil {
		t.Errorf("%d cells, %+v", len(plan.Cells), info)
	}
	if why := known.Unsupported("openssl-oqs", lab.ClientRole, lab.MustOffer("x25519")); !strings.Contains(why, "bring an image") || len(known.Missing(Containers)) != 0 || len(Catalogue{}.Missing(Containers)) != 1 {
		t.Errorf("without an image: %q, missing %v", why, known.Missing(Containers))
	}
}
