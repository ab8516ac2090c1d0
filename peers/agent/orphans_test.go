package agent

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
)

// fakeProc makes a /proc with the given files under PID directories.
func fakeProc(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestChildren(t *testing.T) {
	proc := fakeProc(t, map[string]string{
		"1/stat":     "1 (hybridlab) S 0 1 1",
		"7/stat":     "7 (openssl) S 1 7 1",
		"8/stat":     "8 (a) S 3 (b) Z 1 7 1", // a name made to mislead: the parent is 1
		"9/stat":     "9 (sh) S 7 7 1",
		"10/stat":    "garbage",
		"self/stat":  "7 (openssl) S 1 7 1",
		"11/cmdline": "gone while we looked",
	})
	got := children(proc, 1)
	slices.Sort(got)
	if !slices.Equal(got, []int{7, 8}) {
		t.Errorf("children of 1: %v, want 7 and 8", got)
	}
	if got := children(filepath.Join(proc, "nowhere"), 1); got != nil {
		t.Errorf("children without /proc: %v", got)
	}
}

func TestMark(t *testing.T) {
	proc := fakeProc(t, map[string]string{
		"7/environ": "PATH=/bin\x00" + markEnv + "=ABC-12\x00HOME=/\x00",
		"8/environ": "PATH=/bin\x00NOT_" + markEnv + "=ABC-12\x00",
		"9/environ": "",
	})
	for pid, want := range map[int]string{7: "ABC-12", 8: "", 9: "", 10: ""} {
		if got := mark(proc, pid); got != want {
			t.Errorf("mark of %d: %q, want %q", pid, got, want)
		}
	}
}

func FuzzParent(f *testing.F) {
	f.Add("1234 (x) y) S 77 1 1", 77)
	f.Fuzz(func(t *testing.T, name string, ppid int) {
		parent([]byte(name)) // whatever a process calls itself: no panic
		if got := parent([]byte("1 (" + name + ") S " + strconv.Itoa(ppid) + " 1 1")); got != ppid {
			t.Errorf("name %q: parent %d, want %d", name, got, ppid)
		}
	})
}
