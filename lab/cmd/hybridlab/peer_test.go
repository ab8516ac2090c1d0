package main

import (
	"strings"
	"testing"
)

func TestPeerFlag(t *testing.T) {
	for _, tt := range []struct{ line, want string }{
		{"run --fabric embedded --peer vendor@1=vendor:1", "--fabric containers"},
		{"plan --fabric embedded --peer vendor@1=vendor:1", "--fabric containers"},
		{"peers --fabric embedded --peer vendor@1=vendor:1", "--fabric containers"},
		{"run --fabric embedded --clients vendor@1", "--peer NAME@VERSION=IMAGE"},
	} {
		if exit, _, stderr := do(t, strings.Fields(tt.line)...); exit != exitUsage || !strings.Contains(stderr, tt.want) {
			t.Errorf("hybridlab %s: exit %d; it says %q, want %q in it", tt.line, exit, stderr, tt.want)
		}
	}
}
