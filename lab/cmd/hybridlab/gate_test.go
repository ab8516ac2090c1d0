package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestGate: yes to a peer in its own place, no to one that is set up for
// classical groups, and the reason is named.
func TestGate(t *testing.T) {
	dir := t.TempDir()
	policy := filepath.Join(dir, "policy.yaml")
	if err := os.WriteFile(policy, []byte("success: 50%\nfallback: 100%\nrequire: [X25519MLKEM768]\nforbid: [misroute]\nversions: [go >= 1.26]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	const classical = "go@1.26/x25519+secp256r1"
	for _, tt := range []struct {
		name, after string
		args        []string
		exit        int
		want        string
	}{
		{"same", "go@1.26", nil, 0, "Yes: go@1.26 may replace go@1.26."},
		{"pinned", classical, nil, 1, "go@1.26 is set up for x25519+secp256r1, which has no post-quantum group"},
		{"lenient", classical, []string{"--policy", policy, "--role", "client"}, 1, "X25519MLKEM768 came out of no handshake"},
		{"stricter", classical, []string{"--policy", policy, "--fallback", "10%"}, 1, "that were hybrid"},
		{"policy", "go@1.26", []string{"--policy", policy}, 0, "limit 50%: ok"},
		{"fast", "go@1.26", []string{"--p95", "10%", "--repeat", "2"}, 1, "the p95 was not judged: "}, // n too small; on a busy machine no time counts at all
	} {
		out := filepath.Join(dir, tt.name)
		args := append([]string{"gate", "--fabric", "embedded", "--level", "smoke", "--groups", "x25519,x25519mlkem768", "--links", "clean", "--before", "go@1.26", "--after", tt.after, "--out", out}, tt.args...)
		exit, stdout, stderr := do(t, args...)
		if words := strings.Join(strings.Fields(stdout), " "); exit != tt.exit || !strings.Contains(words, tt.want) {
			t.Errorf("%s: exit %d, want %d, and %q in\n%s%s", tt.name, exit, tt.exit, tt.want, stdout, stderr)
			continue
		}
		var account struct {
			Sentence   string
			Yes        bool
			Reasons    []string
			Comparison struct{ Cells int }
		}
		b, err := os.ReadFile(filepath.Join(out, "gate.json"))
		if err == nil {
			err = json.Unmarshal(b, &account)
		}
		if err != nil || account.Yes != (tt.exit == 0) || account.Yes != (len(account.Reasons) == 0) || account.Comparison.Cells == 0 {
			t.Errorf("%s: gate.json: %+v, %v", tt.name, account, err)
		}
		if md, err := os.ReadFile(filepath.Join(out, "gate.md")); err != nil || !strings.HasPrefix(string(md), "## hybridlab gate: ") {
			t.Errorf("%s: gate.md: %.60s, %v", tt.name, md, err)
		}
	}
	for _, run := range []string{"before", "after"} {
		if exit, stdout, stderr := do(t, "diff", filepath.Join(dir, "same", "before"), filepath.Join(dir, "same", run)); exit != 0 {
			t.Errorf("diff: exit %d\n%s%s", exit, stdout, stderr)
		}
	}
}

func TestGateBadInput(t *testing.T) {
	typo := filepath.Join(t.TempDir(), "typo.yaml")
	if err := os.WriteFile(typo, []byte("sucess: 1%\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	const sides = " --before go@1.26 --after go@1.26 "
	for _, tt := range []struct{ line, want string }{
		{"gate", "required"},
		{"gate --before go@1.26", "after"},
		{"gate --before go@1.26 --after nope", "go@1.26"},
		{"gate --before go@1.26 --after go@1.26/kyber", "x25519mlkem768"},
		{"gate" + sides + "--success 99", "percentage"},
		{"gate" + sides + "--role both", "server or client"},
		{"gate" + sides + "--policy " + typo, "typo.yaml:1"},
		{"gate" + sides + "--repeat 0", "--repeat"},
		{"gate" + sides + "--shard 1/2", "--shard"},
		{"gate --fabric embedded --before go@1.26 --after nginx@new=my/nginx", "containers"},
	} {
		if exit, _, stderr := do(t, strings.Fields(tt.line)...); exit != exitUsage || !strings.Contains(stderr, tt.want) {
			t.Errorf("hybridlab %s: exit %d, %q, want %q in it", tt.line, exit, stderr, tt.want)
		}
	}
}
