package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"hybridlab/lab"
)

// do runs a command line in this process.
func do(t *testing.T, args ...string) (exit int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	exit = run(t.Context(), args, &out, &errs)
	return exit, out.String(), errs.String()
}

func TestBadInput(t *testing.T) {
	dir := t.TempDir()
	typo := filepath.Join(dir, "typo.yaml")
	if err := os.WriteFile(typo, []byte("links:\n  - name: mine\n    upp: {}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		line string
		exit int
		want string // a word that helps
	}{
		{"run --clients nope", 2, "go@1.26"},
		{"run --fabric embedded --servers openssl@trixie", 2, "crafted"},
		{"run --groups kyber", 2, "x25519mlkem768"},
		{"run --links mtu128", 2, "mtu1280"},
		{"run --level deep", 2, "quick"},
		{"run --shard 9/3", 2, "i/n"},
		{"run --cell foo", 2, "client/server"},
		{"run --cell go@1.26/go@1.26/x25519/nowhere", 2, "clean"},
		{"run --fabric cloud", 2, "embedded"},
		{"run --attempts 0", 2, "--attempts"},
		{"run --repeat 0", 2, "--repeat"},
		{"run --link-file " + typo, 2, "typo.yaml:3"},
		{"run --link-file " + filepath.Join(dir, "none.yaml"), 2, "none.yaml"},
		{"run --fabric embedded --clients go@1.26 --groups x25519 --cell go@1.26/go@1.26/mlkem512/clean", 2, "no group MLKEM512"},
		{"run --fabric embedded --boxes proxysg-rts", 2, "did you mean \"proxysg-rst\"?"},
		{"run --fabric embedded --boxes proxysg-rst+haproxy-sni@trixie", 2, "it needs --fabric containers"},
		{"run --fabric embedded --boxes haproxy-snu@trixie", 2, "did you mean \"haproxy-sni@trixie\"?"},
		{"boxes --check haproxy-sni@trixie", 2, "--level middleboxes"},
		{"run --fabric embedded --boxes proxysg-rst{bytes=1}", 2, "no parameter \"bytes\""},
		{"run --fabric embedded --cell go@1.26/go@1.26/x25519/clean/nobox", 2, "proxysg-rst"},
		{"run --box-file " + typo, 2, "valid keys: probes, boxes, left_out"},
		{"run --bogus", 2, "--bogus"},
		{"dance", 2, "dance"},
		{"judge", 2, "arg"},
		{"judge " + dir, 2, "hybridlab run"},
		{"doctor --need beer", 2, "docker"},
		{"peers --fabric embedded nginx@trixie", 2, "go@1.26"},
		{"images build nginx@sid", 2, "nginx@trixie"},
		{"tc --link loss1", 2, "--dev"},
		{"tc --link loss9 --dev lo", 2, "loss5"},
		{"tc --link loss1 --dev no-such-dev", 2, "lo"},
		{"tc --clear --dev no-such-dev", 2, "lo"},
		{"tc --clear --link loss1 --dev lo", 2, "clear"},
		{"tc --link loss1 --dir sideways --dev lo", 2, "up or down"},
		{"tc --link mtu1280-icmp-eaten --dev lo", 2, "too_big: eat"},
		{"tc --link lose-syn --dry-run", 2, "loss.nth: netem draws lots"},
		{"tc --link mobile --dry-run --without mut", 2, "mtu"},
		{"tc --clear --dev lo", 3, "no link on it"},
	} {
		exit, _, stderr := do(t, strings.Fields(tt.line)...)
		if exit != tt.exit || !strings.Contains(stderr, tt.want) {
			t.Errorf("hybridlab %s: exit %d, want %d; it says %q, want %q in it", tt.line, exit, tt.exit, stderr, tt.want)
		}
	}
}

func TestNoDockerIsTheLabsFailure(t *testing.T) {
	t.Setenv("DOCKER_HOST", "unix://"+filepath.Join(t.TempDir(), "none"))
	if exit, _, stderr := do(t, "run", "--fabric", "containers"); exit != exitLab || !strings.Contains(stderr, "--fabric embedded") {
		t.Errorf("exit %d: %s", exit, stderr)
	}
	if exit, stdout, _ := do(t, "plan"); exit != 0 || !strings.Contains(stdout, "embedded") {
		t.Errorf("exit %d: without Docker the embedded fabric should be planned: %s", exit, stdout)
	}
	if exit, stdout, _ := do(t, "doctor"); exit != 0 || !strings.Contains(stdout, "MISSING  docker") {
		t.Errorf("exit %d: %s", exit, stdout)
	}
	if exit, _, _ := do(t, "doctor", "--need", "docker"); exit != exitLab {
		t.Errorf("exit %d although what is needed is missing", exit)
	}
}

// TestRunAndJudge is a newcomer's first run, small: passes on clean, the
// black hole found, and the same verdicts when it is judged again.
func TestRunAndJudge(t *testing.T) {
	clean, hole := filepath.Join(t.TempDir(), "clean"), filepath.Join(t.TempDir(), "hole")
	base := []string{"run", "--fabric", "embedded", "--clients", "go@1.26", "--servers", "go@1.26", "--groups", "x25519,x25519mlkem768"}
	if exit, stdout, stderr := do(t, append(base, "--links", "clean", "--out", clean)...); exit != 0 || !strings.Contains(stdout, "All 15 handshakes") {
		t.Errorf("clean: exit %d\n%s%s", exit, stdout, stderr)
	}
	exit, stdout, stderr := do(t, append(base, "--links", "mtu1280-icmp-eaten", "--out", hole)...)
	if exit != exitFindings || !strings.Contains(stdout, "pmtu-blackhole") {
		t.Errorf("black hole: exit %d\n%s%s", exit, stdout, stderr)
	}
	d, err := lab.OpenRun(hole)
	if err != nil {
		t.Fatal(err)
	}
	if d.Report.Judged != d.Report.Cells || d.Report.Counts[lab.Size] == 0 || d.Report.Counts[lab.Classical] == 0 || d.Report.Interrupted {
		t.Errorf("report %+v", d.Report)
	}
	for _, name := range []string{lab.IndexFile, lab.JUnitFile, lab.VerdictsFile, lab.ObservationsFile, lab.MetricsFile, lab.OTLPFile} {
		if st, err := os.Stat(filepath.Join(hole, name)); err != nil || st.Size() == 0 {
			t.Errorf("%s: %v", name, err)
		}
	}
	for v, err := range d.Verdicts() {
		if err != nil || v.Outcome == lab.Size && (v.Trigger != lab.TriggerMTU || v.Threshold != 1281 || v.Blame != "link") {
			t.Errorf("%s: %v, trigger %s %d, blame %s: %s", v.Cell, err, v.Trigger, v.Threshold, v.Blame, v.Traced)
		}
	}
	page, err := os.ReadFile(filepath.Join(hole, lab.IndexFile))
	if err != nil || !strings.Contains(string(page), "mtu-icmp-eaten") {
		t.Errorf("the page does not show the packets that were dropped: %v", err)
	}
	if err := os.Remove(filepath.Join(hole, lab.IndexFile)); err != nil {
		t.Fatal(err)
	}
	exit, stdout, _ = do(t, "report", hole)
	if again, err := os.ReadFile(filepath.Join(hole, lab.IndexFile)); exit != 0 || err != nil || string(again) != string(page) || !strings.Contains(stdout, hole) {
		t.Errorf("report: exit %d, %v; the page is the same: %t\n%s", exit, err, string(again) == string(page), stdout)
	}
	if exit, stdout, _ := do(t, "report", "--markdown", hole); exit != 0 || !strings.HasPrefix(stdout, "## hybridlab: ") || !strings.Contains(stdout, "over the path's MTU") {
		t.Errorf("report --markdown: exit %d\n%s", exit, stdout)
	}
	if exit, stdout, _ := do(t, "judge", hole); exit != exitFindings || !strings.Contains(stdout, " 0 changed") {
		t.Errorf("judge: exit %d\n%s", exit, stdout)
	}
	if exit, _, stderr := do(t, append(base, "--links", "clean", "--out", hole)...); exit != exitUsage || !strings.Contains(stderr, "not empty") {
		t.Errorf("run into a run: exit %d, %s", exit, stderr)
	}
	truncate(t, filepath.Join(hole, lab.VerdictsFile))
	if exit, _, stderr := do(t, "judge", hole); exit != exitUsage || !strings.Contains(stderr, "line 15") {
		t.Errorf("judge a truncated run: exit %d, %s", exit, stderr)
	}
}

func truncate(t *testing.T, file string) {
	t.Helper()
	st, err := os.Stat(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(file, st.Size()-10); err != nil {
		t.Fatal(err)
	}
}

func TestAgain(t *testing.T) {
	for want, args := range map[string][]string{
		"hybridlab run --cell 'a/b/x25519+~x25519mlkem768/clean'": {"run", "--out", "x", "--cell", "a/b/x25519+~x25519mlkem768/clean"},
		"hybridlab run --clients '*' --seed 3":                    {"run", "--out=x", "--clients", "*", "--reuse", "y", "--reuse=z", "--seed", "3"},
	} {
		if got := again(args); got != want {
			t.Errorf("%q became %s", args, got)
		}
	}
}

// TestUndecided: a run that decided nothing is no success, and one that missed
// a cell in ten is.
func TestUndecided(t *testing.T) {
	for _, tt := range []struct {
		decided, not int
		want         bool
	}{{0, 0, false}, {9, 1, false}, {9, 2, true}, {0, 1, true}, {100, 0, false}} {
		if got := undecided(lab.Report{Counts: map[lab.Outcome]int{lab.Hybrid: tt.decided, lab.Inconclusive: tt.not}}); got != tt.want {
			t.Errorf("%d of %d undecided: %t", tt.not, tt.decided+tt.not, got)
		}
	}
}
