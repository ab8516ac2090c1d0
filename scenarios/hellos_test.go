package scenarios

import (
	"slices"
	"strings"
	"testing"

	"hybridlab/lab"
	"hybridlab/lab/rig"
)

// TestHelloShapes: every shape is one that the crafted client can send, and
// every middlebox is sent each of them, beside the same without a box.
func TestHelloShapes(t *testing.T) {
	clients := shapedClients()
	for _, id := range clients {
		if err := (rig.Catalogue{}).Check(rig.Containers, id, lab.ClientRole); err != nil {
			t.Error(err)
		}
	}
	if unique := slices.Compact(slices.Sorted(slices.Values(clients))); len(unique) != len(clients) {
		t.Errorf("%d shapes, %d of them different", len(clients), len(unique))
	}
	boxes, err := LoadBoxes("")
	if err != nil {
		t.Fatal(err)
	}
	links, err := LoadLinks("")
	if err != nil {
		t.Fatal(err)
	}
	plan, err := Axes{Level: "middleboxes"}.expand(Selection{Fabric: rig.Containers, Boxes: boxes, Links: links})
	if err != nil {
		t.Fatal(err)
	}
	behind := map[string]int{}
	for _, c := range plan.Cells {
		behind[strings.Join(c.Boxes, "+")]++
	}
	if len(plan.Excluded) > 0 || len(behind) != 1+len(rig.Middleboxes()) {
		t.Errorf("%d combinations excluded, %d paths", len(plan.Excluded), len(behind))
	}
	for box, n := range behind {
		if n != 2*len(clients) {
			t.Errorf("behind %q: %d cells, want two for each of %d shapes", box, n, len(clients))
		}
	}
	// In the embedded fabric there is nothing to run, which is said.
	if _, err := (Axes{Level: "middleboxes"}).expand(Selection{Fabric: rig.Embedded, Boxes: boxes, Links: links}); err == nil || !strings.Contains(err.Error(), "--fabric containers") {
		t.Errorf("embedded: %v", err)
	}
}
