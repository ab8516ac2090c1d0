//go:build docker

package fidelity

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"

	"hybridlab/docker"
)

var times = flag.Int("times", 1, "so many times the packets where chance decides")

// boot has the kernel measured and tried.
func boot(t *testing.T) (a Answer) {
	t.Helper()
	guest := filepath.Join(t.TempDir(), "guest")
	build := exec.Command("go", "build", "-o", guest, "./testdata/guest")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	d, err := docker.Connect(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	d.Progress = func(line string) { fmt.Fprintln(os.Stderr, line) }
	image, err := d.Build(t.Context(), docker.KernelFolder, "trixie", false)
	if err != nil {
		t.Fatal(err)
	}
	said, err := d.Boot(t.Context(), image.Ref, guest, strconv.Itoa(*times))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(said, &a); err != nil {
		t.Fatalf("read the guest's answer: %v", err)
	}
	return a
}
