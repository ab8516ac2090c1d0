package main

import (
	"strings"
	"testing"
)

// TestSweep finds flips whose place is known, and none where there is none.
func TestSweep(t *testing.T) {
	const base = "sweep --fabric embedded --servers go@1.26 "
	for args, want := range map[string][]string{
		"--hello 200..17000 --groups x25519 --links clean --boxes caddy-l4-8k":  {"crafted -> go@1.26, x25519, clean/caddy-l4-8k", ": classical (", "from 8198 on size fin-after-hello", "{pad=8198}"},
		"--hello 200..3000 --groups x25519 --links clean":                       {"classical throughout"},
		"--mtu 1280..1500 --clients go@1.26 --links mtu1280-icmp-eaten":         {"failure pmtu-blackhole (", "from 1472 on hybrid", "mtu1280-icmp-eaten{mtu=1472}"},
		"--mtu 576..1500 --clients go@1.26 --links mtu1280-icmp-eaten{mss=400}": {"hybrid throughout"},
	} {
		exit, stdout, stderr := do(t, strings.Fields(base+args)...)
		for _, w := range want {
			if exit != 0 || !strings.Contains(stdout, w) {
				t.Errorf("%s: exit %d, without %q\n%s%s", args, exit, w, stdout, stderr)
			}
		}
	}
	for args, want := range map[string]string{
		"sweep":                  "want --mtu FROM..TO",
		"sweep --hello 5..":      "such as 576..1500",
		"sweep --hello 300..200": "such as 576..1500",
		"sweep --mtu 20..1500 --fabric embedded --links clean":    "68 to 65535",
		"sweep --mtu 600..900 --fabric embedded --groups nonsuch": "nonsuch",
	} {
		if exit, _, stderr := do(t, strings.Fields(args)...); exit != exitUsage || !strings.Contains(stderr, want) {
			t.Errorf("%s: exit %d, %s", args, exit, stderr)
		}
	}
}
