package rig

import (
	"os"
	"strings"
	"testing"

	"hybridlab/lab/wire"
)

// claimsFile is what every peer says of every group it can negotiate: a line
// is "ROLE PEER GROUP: CLAIM", and a claim of "-" is none. Written by
// go test -tags docker -run TestRecordClaims ./lab/rig -update.
const claimsFile = "testdata/claims.txt"

const silent = "-"

// TestClaims: nobody's words for a group are taken for another group, and a
// peer that says nothing is compared with nothing.
func TestClaims(t *testing.T) {
	text, err := os.ReadFile(claimsFile)
	if err != nil {
		t.Fatal(err)
	}
	count := map[string]int{}
	for line := range strings.Lines(string(text)) {
		what, claim, ok := strings.Cut(strings.TrimSpace(line), ": ")
		f := strings.Fields(what)
		if !ok || len(f) != 3 {
			t.Fatalf("cannot read %q", line)
		}
		if claim == silent {
			claim = ""
		}
		g, err := wire.LookupGroup(f[2])
		if err != nil {
			t.Fatal(err)
		}
		count[f[0]+" "+f[1]]++
		is, known := g.Called(claim)
		if known && !is {
			t.Errorf("%s: %q is taken for another group: a false misreport", what, claim)
		}
		if known != (claim != "" && claim != "DH") {
			t.Errorf("%s: %q: can be read: %t", what, claim, known)
		}
		if other := wire.SecP521r1; g != other && known {
			if is, _ := other.Called(claim); is {
				t.Errorf("%s: %q would pass for %v too: no comparison", what, claim, other)
			}
		}
	}
	if len(count) < 40 || count["client openssl@trixie"] < 15 {
		t.Errorf("few are on record: %v", count)
	}
}
