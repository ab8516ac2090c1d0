package agent

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/vishvananda/netlink"

	"hybridlab/docker/control"
)

// TestMain lets the test binary be a tiny server as well: with an argument
// "listen:PORT" it listens there and on nothing else.
func TestMain(m *testing.M) {
	if port, ok := strings.CutPrefix(os.Args[len(os.Args)-1], "listen:"); ok {
		ln, err := net.Listen("tcp", ":"+port)
		if err != nil {
			fmt.Fprintln(os.Stderr, "no port for me:", err)
			os.Exit(1)
		}
		fmt.Println("listening at", ln.Addr())
		for { // not select {}: with no goroutine waiting for anything the runtime would call it a deadlock and end
			if c, err := ln.Accept(); err == nil {
				c.Close()
			}
		}
	}
	os.Exit(m.Run())
}

// start brings up an agent in this process and a client for it.
func start(t *testing.T) (*Client, *supervisor) {
	t.Helper()
	s, err := newSupervisor(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() {
		err := control.Server{Token: "t"}.Serve(ln, rpcName, &service{s})
		s.close()
		ended <- err
	}()
	c, err := Dial(t.Context(), ln.Addr().String(), "t")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		c.Close()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if left, _ := os.ReadDir(s.base); len(left) > 0 {
			t.Errorf("%d private directories are left", len(left))
		}
	})
	return c, s
}

func sh(script string) []string { return []string{"sh", "-c", script} }

func TestRun(t *testing.T) {
	c, _ := start(t)
	t.Setenv("INHERITED", "not after the start")
	for _, tc := range []struct {
		name string
		cmd  Command
		want Result
	}{
		{"output and exit code", Command{Argv: sh("echo out; echo err >&2; exit 3")}, Result{Exit: 3, Stdout: []byte("out\n"), Stderr: []byte("err\n")}},
		{"killed by a signal", Command{Argv: sh("kill -9 $$")}, Result{Exit: 137}},
		{"files and private directory", Command{Argv: []string{"cat", "{dir}/a", "b"}, Files: map[string][]byte{"a": []byte("1"), "b": []byte("2")}}, Result{Stdout: []byte("12")}},
		{"environment", Command{Argv: sh("echo $A"), Env: []string{"A=1", "A={dir}x"}, Dir: "/"}, Result{}},
		{"input ends", Command{Argv: []string{"cat"}, Stdin: []byte("in")}, Result{Stdout: []byte("in")}},
		{"no input", Command{Argv: []string{"cat"}}, Result{}},
		{"input is held", Command{Argv: sh("read a; echo $a; read b || echo end"), Stdin: []byte("x\n"), HoldStdin: true, Timeout: 100 * time.Millisecond},
			Result{Exit: 137, TimedOut: true, Stdout: []byte("x\n")}},
		{"outputs", Command{Argv: sh("echo k >keys; ln -s /etc/hostname link; mkfifo pipe; mkdir dir"), Outputs: []string{"keys", "link", "pipe", "dir", "../x", "none"}},
			Result{Files: map[string][]byte{"keys": []byte("k\n")}}},
		{"too slow", Command{Argv: []string{"sleep", "1000"}, Timeout: 20 * time.Millisecond}, Result{Exit: 137, TimedOut: true}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := c.Run(t.Context(), tc.cmd)
			if err != nil {
				t.Fatal(err)
			}
			if tc.name == "environment" {
				if text := string(got.Stdout); !strings.HasSuffix(text, "x\n") || !strings.HasPrefix(text, os.TempDir()) {
					t.Errorf("A is %q", text)
				}
				return
			}
			if got.Exit != tc.want.Exit || got.TimedOut != tc.want.TimedOut || got.Err != "" ||
				!bytes.Equal(got.Stdout, tc.want.Stdout) || !bytes.Equal(got.Stderr, tc.want.Stderr) {
				t.Errorf("got  %+v\nwant %+v", got, tc.want)
			}
			if len(got.Files) != len(tc.want.Files) || !bytes.Equal(got.Files["keys"], tc.want.Files["keys"]) {
				t.Errorf("files %q, want %q", got.Files, tc.want.Files)
			}
		})
	}
}

func TestRunCannotStart(t *testing.T) {
	c, _ := start(t)
	for _, tc := range []struct {
		cmd Command
		say string
	}{
		{Command{}, "no program given"},
		{Command{Argv: []string{"no-such-program"}}, `"no-such-program": executable file not found`},
		{Command{Argv: []string{"true"}, Dir: "/nowhere"}, "no such file or directory"},
		{Command{Argv: []string{"true"}, Files: map[string][]byte{"../evil": nil}}, "must be plain"},
		{Command{Argv: []string{"true"}, Files: map[string][]byte{"/evil": nil}}, "must be plain"},
		{Command{Argv: []string{"true"}, Files: map[string][]byte{".": nil}}, "must be plain"},
	} {
		got, err := c.Run(t.Context(), tc.cmd)
		if err != nil || got.Exit != -1 || !strings.Contains(got.Err, tc.say) {
			t.Errorf("%q: %+v, %v; want an Err with %q", tc.cmd.Argv, got, err, tc.say)
		}
	}
}

func TestRunCountsCPU(t *testing.T) {
	c, _ := start(t)
	busy, err := c.Run(t.Context(), Command{Argv: sh("i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done")})
	if err != nil {
		t.Fatal(err)
	}
	idle, err := c.Run(t.Context(), Command{Argv: []string{"sleep", "0.2"}})
	if err != nil {
		t.Fatal(err)
	}
	if busy.CPU < 20*time.Millisecond || idle.CPU > busy.CPU/2 {
		t.Errorf("CPU: busy %v, idle %v", busy.CPU, idle.CPU)
	}
}

func TestFloodIsBounded(t *testing.T) {
	c, _ := start(t)
	got, err := c.Run(t.Context(), Command{Argv: sh("head -c 268435456 /dev/zero; echo end >&2")})
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Stdout) > 2*halfOutput+100 || !bytes.Contains(got.Stdout, []byte("bytes cut here")) || string(got.Stderr) != "end\n" {
		t.Errorf("kept %d bytes, stderr %q", len(got.Stdout), got.Stderr)
	}
}

// A reader that was not scheduled before the pipes' deadline must still find
// what was written in time, though something holds the pipe open.
func TestLateReaderLosesNothing(t *testing.T) {
	for _, text := range []string{"", "written in time", strings.Repeat("x", pipeSize)} {
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		defer w.Close()
		if _, err := w.WriteString(text); err != nil {
			t.Fatal(err)
		}
		r.SetReadDeadline(time.Now().Add(-time.Second))
		p := &process{lines: newLineLog()}
		p.readers.Add(1)
		p.read(r, &p.stdout)
		if got := string(p.stdout.bytes()); got != text {
			t.Errorf("%d bytes of %d", len(got), len(text))
		}
	}
}

// pidOf opens a handle to the process whose number text is, so that its end
// can be waited for without asking again and again.
func pidOf(t *testing.T, text []byte) (fd int) {
	t.Helper()
	pid, err := strconv.Atoi(string(bytes.TrimSpace(text)))
	if err != nil {
		t.Fatal(err)
	}
	if fd, err = unix.PidfdOpen(pid, 0); err == unix.ESRCH {
		return -1
	} else if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	return fd
}

func ended(fd int) bool {
	if fd < 0 {
		return true
	}
	for {
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 5000)
		if err != unix.EINTR { // a signal to this process says nothing about that one
			return n == 1
		}
	}
}

func TestNothingOutlivesItsCommand(t *testing.T) {
	c, _ := start(t)
	for name, script := range map[string]string{
		"child in the group":       "sleep 1000 & echo $!",
		"child in its own session": "setsid sleep 1000 & echo $!",
		"detached from everything": "setsid sleep 1000 <&- >&- 2>&- & echo $!",
		"ignores SIGTERM":          `sh -c 'trap "" TERM HUP; sleep 1000 & wait' & echo $!`,
	} {
		got, err := c.Run(t.Context(), Command{Argv: sh(script)})
		if err != nil {
			t.Fatal(err)
		}
		if !ended(pidOf(t, got.Stdout)) {
			t.Errorf("%s: still there after 5 s", name)
		}
	}
}

func TestDetachedChildOfALiveServerStays(t *testing.T) {
	c, s := start(t)
	id, err := c.Start(t.Context(), Command{Argv: sh("(setsid sleep 1000 & echo child $!); read forever"), HoldStdin: true, Ready: "child"})
	if err != nil {
		t.Fatal(err)
	}
	lines, err := c.Lines(t.Context(), id, "child", 1, time.Minute)
	if err != nil || len(lines) != 1 {
		t.Fatalf("lines %q, %v", lines, err)
	}
	fd := pidOf(t, []byte(strings.TrimPrefix(lines[0], "child ")))
	s.killOrphans()
	if n, _ := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 0); n != 0 {
		t.Error("killed though its server lives")
	}
	if _, err := c.Stop(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	if !ended(fd) {
		t.Error("still there 5 s after the end of its server")
	}
}

// freePort finds a port nobody listens on, below the range from which the
// kernel gives ports to the tests of other packages that run meanwhile.
func freePort(t *testing.T) string {
	t.Helper()
	for range 100 {
		port := strconv.Itoa(10_000 + rand.IntN(20_000))
		if ln, err := net.Listen("tcp", ":"+port); err == nil {
			ln.Close()
			return port
		}
	}
	t.Fatal("no port is free")
	return ""
}

func TestStartWaitsForThePort(t *testing.T) {
	c, _ := start(t)
	port := freePort(t)
	server := Command{Argv: []string{os.Args[0], "listen:" + port}, Ready: "tcp:" + port}
	id, err := c.Start(t.Context(), server)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := net.Dial("tcp", "127.0.0.1:"+port)
	if err != nil {
		t.Fatalf("ready, but: %v", err)
	}
	conn.Close()
	if _, err := c.Start(t.Context(), server); err == nil || !strings.Contains(err.Error(), "port tcp:"+port+" is in use") {
		t.Errorf("second server on the port: %v", err)
	}
	res, err := c.Stop(t.Context(), id)
	if err != nil || !strings.HasPrefix(string(res.Stdout), "listening at") {
		t.Errorf("Stop: %+v, %v", res, err)
	}
	if _, err := c.Stop(t.Context(), id); err == nil || !strings.Contains(err.Error(), id) {
		t.Errorf("second Stop: %v", err)
	}
}

func TestStartOfAServerThatEnds(t *testing.T) {
	c, _ := start(t)
	for _, ready := range []string{"never said", "tcp:" + freePort(t)} {
		_, err := c.Start(t.Context(), Command{Argv: sh("echo cannot bind >&2; exit 1"), Ready: ready})
		if err == nil || !strings.Contains(err.Error(), "ended before it was ready") || !strings.Contains(err.Error(), "cannot bind") {
			t.Errorf("Ready %q: %v", ready, err)
		}
		var ended *EndedError
		if !errors.As(err, &ended) || ended.Result.Exit != 1 || string(ended.Result.Stderr) != "cannot bind\n" {
			t.Errorf("Ready %q: the result is not there: %+v", ready, ended)
		}
	}
	if _, err := c.Start(t.Context(), Command{Argv: sh("sleep 60"), Ready: "never said", ReadyIn: 20 * time.Millisecond}); err == nil || !strings.Contains(err.Error(), "after 20ms") {
		t.Errorf("too slow for its ReadyIn: %v", err)
	}
	if _, err := c.Start(t.Context(), Command{Argv: []string{"true"}, Ready: "tcp:x"}); err == nil || !strings.Contains(err.Error(), "tcp:PORT") {
		t.Errorf("bad Ready: %v", err)
	}
}

// TestEndedByItself: whether a server ended or was ended is known.
func TestEndedByItself(t *testing.T) {
	c, _ := start(t)
	for script, itself := range map[string]bool{"echo ready; kill -9 $$": true, "echo ready; sleep 60": false} {
		id, err := c.Start(t.Context(), Command{Argv: sh(script), Ready: "ready"})
		if err != nil {
			t.Fatal(err)
		}
		if itself {
			if _, err := c.Wait(t.Context(), id); err != nil {
				t.Fatal(err)
			}
		}
		if res, err := c.Stop(t.Context(), id); err != nil || res.ByItself != itself || res.Exit < 128 {
			t.Errorf("%s: %+v, %v", script, res, err)
		}
	}
}

func TestLinesWaitAndStop(t *testing.T) {
	c, _ := start(t)
	id, err := c.Start(t.Context(), Command{Argv: sh(`echo ready; while read x; do echo "got $x"; done; echo bye`), Stdin: []byte("1\n2\n"), Ready: "ready"})
	if err != nil {
		t.Fatal(err)
	}
	lines, err := c.Lines(t.Context(), id, "got", 2, time.Minute)
	if err != nil || !slices.Equal(lines, []string{"got 1", "got 2"}) {
		t.Errorf("Lines: %q, %v", lines, err)
	}
	for name, fetch := range map[string]func(context.Context, string) (Result, error){"Wait": c.Wait, "Wait again": c.Wait} {
		if res, err := fetch(t.Context(), id); err != nil || res.Exit != 0 || !strings.HasSuffix(string(res.Stdout), "bye\n") {
			t.Errorf("%s: %+v, %v", name, res, err)
		}
	}
	if res, err := c.Stop(t.Context(), id); err != nil || res.Exit != 0 {
		t.Errorf("Stop of one that has ended: %+v, %v", res, err)
	}
	id, err = c.Start(t.Context(), Command{Argv: sh("echo ready; sleep 0.1; echo last words"), Ready: "ready"})
	if err != nil {
		t.Fatal(err)
	}
	if res, err := c.StopAfter(t.Context(), id, time.Minute); err != nil || res.Exit != 0 || !strings.HasSuffix(string(res.Stdout), "last words\n") {
		t.Errorf("StopAfter: %+v, %v", res, err)
	}
	id, err = c.Start(t.Context(), Command{Argv: sh(`trap "" TERM; echo deaf; while :; do sleep 1000; done`), Ready: "deaf"})
	if err != nil {
		t.Fatal(err)
	}
	if res, err := c.Stop(t.Context(), id); err != nil || res.Exit != 137 || res.TimedOut {
		t.Errorf("Stop of one that ignores SIGTERM: %+v, %v", res, err)
	}
	if _, err := c.Lines(t.Context(), id, "", 0, 0); err == nil {
		t.Error("Lines of one that is gone: no error")
	}
}

func TestCancelKillsTheCommand(t *testing.T) {
	c, _ := start(t)
	dir := t.TempDir()
	fifo := filepath.Join(dir, "started")
	if err := unix.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	failed := make(chan error)
	go func() {
		_, err := c.Run(ctx, Command{Argv: sh("echo $$ >" + fifo + "; exec sleep 1000")})
		failed <- err
	}()
	pid, err := os.ReadFile(fifo) // waits for the writer
	if err != nil {
		t.Fatal(err)
	}
	fd := pidOf(t, pid)
	cancel()
	if err := <-failed; !errors.Is(err, context.Canceled) {
		t.Errorf("Run: %v", err)
	}
	if !ended(fd) {
		t.Error("still running after its caller gave up")
	}
}

func TestKillBeforeTheStart(t *testing.T) {
	_, s := start(t)
	s.doom("77")
	if _, err := s.start("77", Command{Argv: []string{"sleep", "1000"}}, nil); err == nil || !strings.Contains(err.Error(), "killed before it started") {
		t.Errorf("start: %v", err)
	}
	for _, id := range []string{"", "..", "../x", "a", "-1"} {
		if _, err := s.start(id, Command{Argv: []string{"true"}}, nil); err == nil {
			t.Errorf("id %q was accepted", id)
		}
	}
}

func TestTheEndOfTheConnectionEndsEverything(t *testing.T) {
	c, _ := start(t)
	id, err := c.Start(t.Context(), Command{Argv: sh("echo $$; (setsid sleep 1000 & echo $!); read forever"), HoldStdin: true})
	if err != nil {
		t.Fatal(err)
	}
	lines, err := c.Lines(t.Context(), id, "", 2, time.Minute)
	if err != nil || len(lines) != 2 {
		t.Fatalf("lines %q, %v", lines, err)
	}
	fds := []int{pidOf(t, []byte(lines[0])), pidOf(t, []byte(lines[1]))}
	c.Close()
	for i, fd := range fds {
		if !ended(fd) {
			t.Errorf("process %d is still there", i)
		}
	}
	if _, err := c.Run(t.Context(), Command{Argv: []string{"true"}}); !errors.Is(err, control.ErrGone) {
		t.Errorf("Run afterwards: %v, want control.ErrGone", err)
	}
}

func TestManyAtOnce(t *testing.T) {
	c, _ := start(t)
	var wg sync.WaitGroup
	for i := range 100 {
		wg.Go(func() {
			want := strconv.Itoa(i)
			res, err := c.Run(t.Context(), Command{Argv: []string{"echo", "-n", want}})
			if err != nil || string(res.Stdout) != want {
				t.Errorf("echo %s: %+v, %v", want, res, err)
			}
		})
	}
	wg.Wait()
}

func TestInfo(t *testing.T) {
	c, _ := start(t)
	info, err := c.Info(t.Context())
	if err != nil || !strings.Contains(info.Kernel, ".") {
		t.Errorf("Info: %+v, %v", info, err)
	}
}

func TestMergeEnv(t *testing.T) {
	got := mergeEnv([]string{"A=1", "B=2", "TOKEN=x", "C"}, []string{"B=3", "B=4", "D=5"}, "TOKEN")
	slices.Sort(got)
	if want := []string{"A=1", "B=4", "C", "D=5"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestIsDefault(t *testing.T) {
	gw := net.IPv4(172, 18, 0, 1)
	for _, tc := range []struct {
		name  string
		route netlink.Route
		want  bool
	}{
		{"IPv4 default", netlink.Route{Dst: ipNet(netip.MustParsePrefix("0.0.0.0/0")), Gw: gw}, true},
		{"IPv6 default", netlink.Route{Dst: ipNet(netip.MustParsePrefix("::/0")), Gw: net.ParseIP("fd00::1")}, true},
		{"default without a destination", netlink.Route{Gw: gw}, true},
		{"the container's own network", netlink.Route{Dst: ipNet(netip.MustParsePrefix("172.18.0.0/24"))}, false},
		{"a cell range", netlink.Route{Dst: ipNet(ranges[0].dst), Gw: gw}, false},
		{"unreachable default, as kernels have for IPv6", netlink.Route{Dst: ipNet(netip.MustParsePrefix("::/0"))}, false},
	} {
		if got := isDefault(tc.route); got != tc.want {
			t.Errorf("%s: %v", tc.name, got)
		}
	}
}

func BenchmarkRunTrue(b *testing.B) {
	s, err := newSupervisor(b.TempDir())
	if err != nil {
		b.Fatal(err)
	}
	ln, _ := net.Listen("tcp", "127.0.0.1:0")
	go control.Server{Token: "t"}.Serve(ln, rpcName, &service{s})
	c, err := Dial(b.Context(), ln.Addr().String(), "t")
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close()
	for b.Loop() {
		if res, err := c.Run(b.Context(), Command{Argv: []string{"true"}}); err != nil || res.Exit != 0 {
			b.Fatal(res, err)
		}
	}
}
