package reports

import (
	"bytes"
	"strings"
	"testing"

	"hybridlab/lab"
)

// TestPageFoldsShapes: one client in many shapes is one line of what was run,
// and other peers keep theirs.
func TestPageFoldsShapes(t *testing.T) {
	rep := lab.Report{Run: "r", Peers: []lab.PeerInfo{{ID: "crafted", Version: "v1"}, {ID: "crafted{cut=1}", Version: "v1"}, {ID: "crafted{cut=2}", Version: "v1"}, {ID: "go@1.26", Version: "v1"}}}
	var b bytes.Buffer
	if err := HTML(&b, rep, func(func(lab.Verdict, error) bool) {}, nil); err != nil {
		t.Fatal(err)
	}
	page := b.String()
	if strings.Contains(page, "<dt>crafted{cut=1}</dt>") || !strings.Contains(page, "v1, in 3 shapes") || !strings.Contains(page, "<dt>go@1.26</dt><dd>v1</dd>") {
		t.Errorf("what was run: %s", page[strings.Index(page, "What was run"):][:600])
	}
}
