package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestKnown: a finding that is expected does not fail a run; one that is
// expected and gone does, and so does judging the run by another list.
func TestKnown(t *testing.T) {
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	hole := file("hole.yaml", "known:\n  - name: hole\n    link: [mtu1280-icmp-eaten]\n    outcome: size\n    cause: pmtu-blackhole\n    reason: It eats.\n")
	resets := file("resets.yaml", "known:\n  - name: resets\n    server: [go@1.26]\n    outcome: failure\n    reason: It did once.\n")
	run := func(name string, args ...string) (int, string) {
		exit, stdout, stderr := do(t, append([]string{"run", "--fabric", "embedded", "--cell", "go@1.26/go@1.26/x25519mlkem768/mtu1280-icmp-eaten",
			"--cell", "go@1.26/go@1.26/x25519/clean", "--out", filepath.Join(dir, name)}, args...)...)
		return exit, stdout + stderr
	}
	if exit, out := run("plain"); exit != exitFindings {
		t.Errorf("without a list: exit %d\n%s", exit, out)
	}
	if exit, out := run("known", "--known", hole); exit != 0 || !strings.Contains(out, "It eats.") {
		t.Errorf("expected: exit %d\n%s", exit, out)
	}
	if exit, out := run("gone", "--known", hole, "--known", resets); exit != exitFindings || !strings.Contains(out, "resets is gone") {
		t.Errorf("gone: exit %d\n%s", exit, out)
	}
	known := filepath.Join(dir, "known")
	if exit, stdout, stderr := do(t, "judge", known); exit != 0 || !strings.Contains(stdout, " 0 changed") {
		t.Errorf("judged by its own list: exit %d\n%s%s", exit, stdout, stderr)
	}
	if exit, stdout, stderr := do(t, "judge", known, "--known", resets); exit != exitFindings || !strings.Contains(stdout, "size pmtu-blackhole (known: hole) -> size pmtu-blackhole") {
		t.Errorf("judged by another list: exit %d\n%s%s", exit, stdout, stderr)
	}
	for _, tt := range []struct{ flag, want string }{
		{filepath.Join(dir, "none.yaml"), "none.yaml"},
		{file("typo.yaml", "known:\n  - nam: x\n"), "typo.yaml:2"},
	} {
		if exit, out := run("bad", "--known", tt.flag); exit != exitUsage || !strings.Contains(out, tt.want) {
			t.Errorf("--known %s: exit %d, %s", tt.flag, exit, out)
		}
	}
}
