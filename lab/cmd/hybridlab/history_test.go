package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"hybridlab/lab"
	"hybridlab/scenarios"
)

// TestHistory is two nights, the second with a finding that the first had not.
func TestHistory(t *testing.T) {
	dir := t.TempDir()
	axes := func(boxes ...string) scenarios.Axes {
		return scenarios.Axes{Fabric: "embedded", Level: "smoke", Links: []string{"clean"}, Boxes: boxes}
	}
	first := ran(t, axes("none"), filepath.Join(dir, "1"), scenarios.Options{})
	second := ran(t, axes("none", "proxysg-rst"), filepath.Join(dir, "2"), scenarios.Options{})
	file, page := filepath.Join(dir, "history.jsonl"), filepath.Join(dir, "trend.html")
	for _, tt := range []struct {
		args []string
		want []string
	}{
		{[]string{first.Dir}, []string{"1 in all, 1 new"}},
		{[]string{second.Dir, "--html", page}, []string{"2 in all, 1 new", "Since run " + first.Report.Run, "  new   go@1.26/crafted/size/rst-after-hello/box proxysg-rst (", "The page   " + page}},
		{[]string{second.Dir, first.Dir}, []string{"2 in all, 0 new"}},
		{[]string{"--html", page}, []string{"Since run " + first.Report.Run}},
	} {
		exit, stdout, stderr := do(t, append([]string{"history", "--file", file}, tt.args...)...)
		for _, want := range tt.want {
			if exit != 0 || !strings.Contains(stdout, want) {
				t.Errorf("history %v: exit %d, want %q in\n%s%s", tt.args, exit, want, stdout, stderr)
			}
		}
	}
	html, err := os.ReadFile(page)
	if err != nil || !strings.Contains(string(html), second.Report.Run) || !strings.Contains(string(html), "<h4>New</h4>") || !strings.Contains(string(html), "Another plan than the run before") {
		t.Errorf("%v: the page does not show what is new", err)
	}
	before, err := os.ReadFile(file)
	if err != nil || strings.Count(string(before), "\n") != 2 {
		t.Fatalf("%v: %s", err, before)
	}
	torn := string(before[:len(before)-9])
	if err := os.WriteFile(file, []byte(torn), 0o600); err != nil {
		t.Fatal(err)
	}
	truncate(t, filepath.Join(first.Dir, lab.VerdictsFile))
	for _, tt := range []struct {
		args []string
		want string
	}{
		{[]string{"--file", file, second.Dir}, "line 2"},
		{[]string{"--file", filepath.Join(dir, "other"), first.Dir}, "cut short"},
		{[]string{"--file", filepath.Join(dir, "other"), filepath.Join(dir, "nowhere")}, "hybridlab run"},
		{[]string{"--file", file}, "--html"},
	} {
		if exit, _, stderr := do(t, append([]string{"history"}, tt.args...)...); exit != exitUsage || !strings.Contains(stderr, tt.want) {
			t.Errorf("history %v: exit %d, %q, want %q in it", tt.args, exit, stderr, tt.want)
		}
	}
	if after, err := os.ReadFile(file); err != nil || string(after) != torn {
		t.Errorf("%v: a history that cannot be read was written over", err)
	}
	if _, err := os.Stat(filepath.Join(dir, "other")); err == nil {
		t.Error("a history was made of a run that cannot be read")
	}
}
