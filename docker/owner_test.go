package docker

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

func TestOwnerRoundTrip(t *testing.T) {
	me, err := self("/proc")
	if err != nil {
		t.Fatal(err)
	}
	got, err := parseOwner(me.String())
	if err != nil || got != me {
		t.Errorf("%v became %v, %v", me, got, err)
	}
	text := me.String()
	for n := range len(text) {
		if o, err := parseOwner(text[:n]); err == nil && o == me {
			t.Errorf("prefix %q is read as the whole", text[:n])
		}
	}
	for _, bad := range []string{"", "a/b/c/d", "h/b/n/x/1", "h/b/n/0/1", "h/b/n/-4/1", "h/b/n/1/2/3"} {
		if _, err := parseOwner(bad); err == nil {
			t.Errorf("%q was accepted", bad)
		}
	}
}

func TestOwnerDead(t *testing.T) {
	me, err := self("/proc")
	if err != nil {
		t.Fatal(err)
	}
	change := func(f func(o *owner)) owner { o := me; f(&o); return o }
	gone := 1 << 22 // above the kernel's largest process id
	for _, tc := range []struct {
		name string
		o    owner
		dead bool
	}{
		{"this process", me, false},
		{"its number used again", change(func(o *owner) { o.start = "1" }), true},
		{"a number nobody has", change(func(o *owner) { o.pid = gone }), true},
		{"before a restart", change(func(o *owner) { o.boot = "other" }), true},
		{"another machine", change(func(o *owner) { o.host, o.boot, o.pid = "other", "other", gone }), false},
		{"another PID namespace", change(func(o *owner) { o.space, o.pid = "pid:[1]", gone }), false},
	} {
		if got := tc.o.dead(me, "/proc"); got != tc.dead {
			t.Errorf("%s: dead %v, want %v", tc.name, got, tc.dead)
		}
	}
}

func TestStartTime(t *testing.T) {
	proc := t.TempDir()
	write := func(pid int, stat string) {
		dir := filepath.Join(proc, strconv.Itoa(pid))
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "stat"), []byte(stat), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	fields := strings.Repeat(" 0", 18) + " 4711 9 9"
	write(1, "1 (plain) S"+fields)
	write(2, "2 (a) S 1 (b) c) S"+fields)
	write(3, "3 (cut) S 1 2 3")
	write(4, "")
	for pid, want := range map[int]string{1: "4711", 2: "4711"} {
		if got, err := startTime(proc, pid); err != nil || got != want {
			t.Errorf("process %d: %q, %v", pid, got, err)
		}
	}
	for _, pid := range []int{3, 4, 5} {
		if got, err := startTime(proc, pid); err == nil {
			t.Errorf("process %d: %q", pid, got)
		}
	}
}

func FuzzParseOwner(f *testing.F) {
	f.Add("host/b-o-o-t/pid:[4026531836]/12/345")
	f.Fuzz(func(t *testing.T, text string) {
		o, err := parseOwner(text)
		if err != nil {
			return
		}
		if again, err := parseOwner(o.String()); err != nil || again != o {
			t.Errorf("%q: %v, then %v, %v", text, o, again, err)
		}
	})
}
