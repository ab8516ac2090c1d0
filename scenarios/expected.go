package scenarios

import (
	"slices"
	"strings"

	"hybridlab/lab"
	"hybridlab/lab/wire"
)

// Expected says how a cell of the library must end if the lab works: on
// links that are broken on purpose a finding is the proof that the lab sees
// it, and its absence is a defect. ok is false where the link leaves it to
// chance, and behind boxes: they have positive controls of their own.
func Expected(c lab.Cell, known lab.Catalogue) (outcomes []lab.Outcome, ok bool) {
	if len(c.Boxes) > 0 {
		return nil, false
	}
	p := lab.Predict(c, known.Rules(c.Client), known.Rules(c.Server))
	var agreed []lab.Outcome
	for _, r := range p.Allowed {
		if r.Outcome == lab.Classical && len(p.CommonPQ) > 0 {
			r.Outcome = lab.Downgrade
		}
		agreed = append(agreed, r.Outcome)
	}
	switch {
	case strings.HasSuffix(c.Link, "-icmp-eaten"):
		if big(p) {
			return []lab.Outcome{lab.Size}, true
		}
		if c.Cert != "" {
			return nil, false // the server's flight may be what is large
		}
	case strings.HasPrefix(c.Link, "loss"), c.Link == "corrupt1", c.Link == "mobile", c.Link == "frag-drop":
		return nil, false
	}
	return agreed, true
}

// big reports whether a post-quantum share must cross, in the first
// ClientHello or after a HelloRetryRequest: then some segment exceeds every
// MTU below 1,300 bytes.
func big(p lab.Prediction) bool {
	return slices.ContainsFunc(p.Shares, wire.Group.PostQuantum) || p.Allowed[0].Group.PostQuantum()
}
