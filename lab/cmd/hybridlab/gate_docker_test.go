//go:build docker

package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"hybridlab/lab/rig"
)

// TestGateInContainers: the image that is there may replace itself, and not
// one that is set up for classical groups, on the command line or by a
// configuration file.
func TestGateInContainers(t *testing.T) {
	conf := filepath.Join(t.TempDir(), "classical.cnf")
	if err := os.WriteFile(conf, []byte("openssl_conf = a\n[a]\nssl_conf = b\n[b]\nsystem_default = c\n[c]\nGroups = X25519:P-256\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		after string
		exit  int
		want  string
	}{
		{"openssl@trixie", 0, "Yes: openssl@trixie may replace openssl@trixie."},
		{"openssl@trixie/x25519+secp256r1", 1, "openssl@trixie is set up for x25519+secp256r1, which has no post-quantum group"},
		{"openssl@trixie:" + conf, 1, "which has no post-quantum group"},
	} {
		exit, stdout, stderr := do(t, "gate", "--fabric", "containers", "--clients", "go@1.26,openssl@trixie", "--role", "server", "--groups", "x25519,x25519mlkem768",
			"--links", "clean,mtu1280", "--before", "openssl@trixie", "--after", tt.after, "--out", filepath.Join(t.TempDir(), "gate"))
		if exit != tt.exit || !strings.Contains(strings.Join(strings.Fields(stdout), " "), tt.want) {
			t.Errorf("%s: exit %d, want %d, and %q in\n%s%s", tt.after, exit, tt.exit, tt.want, stdout, stderr)
		}
	}
}

// TestMain lets the test binary be copied into containers, as the command can.
func TestMain(m *testing.M) {
	if exit, ok := rig.Hidden(os.Args[1:]); ok {
		os.Exit(exit)
	}
	os.Exit(m.Run())
}
