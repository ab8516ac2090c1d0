//go:build docker

package main

import (
	"strings"
	"testing"
)

// TestPeerFlagAtTheDaemon: what is wrong with an image is the user's to mend,
// before anything is started.
func TestPeerFlagAtTheDaemon(t *testing.T) {
	for _, tt := range []struct{ line, want string }{
		{"run --fabric containers --peer vendor@1=hybridlab-test/nowhere:1", `"hybridlab-test/nowhere:1"`},
		{"plan --fabric containers --peer vendor@1=hybridlab-test/nowhere:1", `"hybridlab-test/nowhere:1"`},
		{"peers --fabric containers --peer vendor@1=hybridlab-test/nowhere:1", `"hybridlab-test/nowhere:1"`},
		{"run --fabric containers --peer vendor=image", "NAME@VERSION=IMAGE"},
	} {
		if exit, _, stderr := do(t, strings.Fields(tt.line)...); exit != exitUsage || !strings.Contains(stderr, tt.want) {
			t.Errorf("hybridlab %s: exit %d; it says %q, want %q in it", tt.line, exit, stderr, tt.want)
		}
	}
}
