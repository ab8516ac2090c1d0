package main

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"hybridlab/lab/compare"
)

// TestDiff: a run is the same as itself, and one server of a run is not
// another one.
func TestDiff(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "run")
	if exit, _, stderr := do(t, "run", "--fabric", "embedded", "--clients", "crafted@late-name", "--servers", "go@1.26,crafted", "--groups", "x25519,x25519mlkem768,mlkem768",
		"--links", "clean", "--out", dir); exit != 0 {
		t.Fatalf("exit %d: %s", exit, stderr)
	}
	if exit, stdout, stderr := do(t, "diff", dir, dir); exit != 0 || !strings.Contains(stdout, "Nothing changed in") {
		t.Errorf("with itself: exit %d\n%s%s", exit, stdout, stderr)
	}
	exit, stdout, stderr := do(t, "diff", dir, dir, "--map", "crafted=go@1.26", "--json")
	var c compare.Comparison
	if err := json.Unmarshal([]byte(stdout), &c); err != nil {
		t.Fatalf("exit %d, %v: %s%s", exit, err, stdout, stderr)
	}
	// The crafted peer does pure ML-KEM and crypto/tls does not.
	if n := c.Tally(); n[compare.Lost]+n[compare.Disappeared] == 0 || c.Cells == 0 || len(c.Peers) != 1 {
		t.Errorf("exit %d: %v, %d cells, peers %v", exit, n, c.Cells, c.Peers)
	}
	if exit, stdout, _ := do(t, "diff", dir, dir, "--map", "crafted=go@1.26", "--markdown"); !strings.HasPrefix(stdout, "## hybridlab diff") {
		t.Errorf("exit %d: %s", exit, stdout)
	}
	for _, tt := range []struct{ line, want string }{
		{"diff " + dir, "accepts 2 arg"},
		{"diff " + dir + " " + t.TempDir(), "hybridlab run"},
		{"diff " + dir + " " + dir + " --map go@1.26=nginx@forky", "it has crafted, "},
		{"diff " + dir + " " + dir + " --map crafted", "BEFORE=AFTER"},
		{"diff " + dir + " " + dir + " --json --markdown", "json"},
	} {
		if exit, _, stderr := do(t, strings.Fields(tt.line)...); exit != exitUsage || !strings.Contains(stderr, tt.want) {
			t.Errorf("hybridlab %s: exit %d, %q, want %q in it", tt.line, exit, stderr, tt.want)
		}
	}
}
