//go:build docker

package docker

import (
	"strings"
	"testing"

	"github.com/moby/moby/client"
)

// TestBootstrapForReal makes a base image from the Debian archive, though
// there may be another way here, and builds on it.
func TestBootstrapForReal(t *testing.T) {
	d, err := Connect(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	const base = "hybridlab-base:selftest"
	if err := d.bootstrap(t.Context(), "trixie", base); err != nil {
		t.Fatal(err)
	}
	images, err := d.Images(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	found := false
	for _, i := range images {
		found = found || i.Ref == base && i.Folder == "base" && strings.HasPrefix(i.ID, "sha256:")
	}
	if !found {
		t.Errorf("%s is not among %+v", base, images)
	}
	id, err := d.ImageID(t.Context(), base)
	if err != nil {
		t.Fatal(err)
	}
	ref, buildContext, err := pack(folders, "go", "trixie", id)
	if err != nil {
		t.Fatal(err)
	}
	if err := d.build(t.Context(), ref, buildContext, map[string]string{"BASE": base, "SUITE": "trixie"}, "go", true); err != nil {
		t.Error(err)
	}
	for _, image := range []string{ref, base} {
		if _, err := d.cli.ImageRemove(t.Context(), image, client.ImageRemoveOptions{PruneChildren: true}); err != nil {
			t.Error(err)
		}
	}
}
