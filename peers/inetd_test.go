package peers

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"hybridlab/lab"
	"hybridlab/peers/agent"
)

// TestMain: this test binary is the lab's in the docker-tagged tests'
// containers, and the program that inetd is tried with.
func TestMain(m *testing.M) {
	flag.Parse()
	switch args := flag.Args(); {
	case len(args) > 0 && args[0] == "peer":
		os.Exit(Main(args[1:]))
	case len(args) > 0 && args[0] == "program":
		os.Exit(program(args[1]))
	}
	os.Exit(m.Run())
}

// forever waits for what never comes, from outside the process: without cgo the
// runtime takes select{} in its only goroutine for a deadlock.
func forever() {
	r, w, err := os.Pipe()
	if err != nil {
		panic(err)
	}
	defer w.Close()
	io.Copy(io.Discard, r)
}

// program does one thing on the connection that is its standard input.
func program(does string) int {
	conn, err := net.FileConn(os.Stdin)
	if err != nil {
		if does == "refuse" {
			fmt.Fprintln(os.Stderr, "no such group")
			return exitUnsupported
		}
		return exitFailed
	}
	switch does {
	case "hang":
		forever()
	case "crash":
		os.Stderr.WriteString("about to crash")
		p, _ := os.FindProcess(os.Getpid())
		p.Kill()
		forever()
	case "flood":
		io.Copy(os.Stdout, io.LimitReader(zeros{}, 1<<20))
		return exitFailed
	}
	local, _ := InProcess("go@1.26")
	r, err := readRequest(os.Getenv)
	if err != nil {
		panic(err)
	}
	ctx := context.Background()
	if r.Role == lab.ClientRole {
		end, _ := local.Dial(ctx, conn, r)
		json.NewEncoder(os.Stdout).Encode(end)
		return end.Exit
	}
	handshake, err := goStack{}.server(r)
	if err != nil {
		panic(err)
	}
	serveOne(ctx, conn, r, handshake, func(_ netip.AddrPort, end lab.End, _ []byte) { json.NewEncoder(os.Stdout).Encode(end) })
	return exitOK
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { return copy(p, make([]byte, len(p))), nil }

// runInetd runs "peer inetd" on this binary, with the request's variables.
func runInetd(ctx context.Context, t *testing.T, does string, r Request, stdout io.Writer) (code int, words string) {
	t.Helper()
	r.CA, r.Token = testAuthority().PEM(), "cell-1"
	proc := asProcess(t, contract{}.command(r))
	args := []string{inetdName, "env"}
	for k, v := range proc.env {
		args = append(args, k+"="+v)
	}
	code = proc.run(ctx, stdout, append(args, os.Args[0], "program", does)...)
	return code, proc.stderr.String()
}

// TestInetd: a program that knows nothing of the network is a client and a
// server of the contract.
func TestInetd(t *testing.T) {
	addr := freeAddr(t)
	lines, out := io.Pipe()
	ctx, stop := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		if code, words := runInetd(ctx, t, "tls", Request{Role: lab.ServerRole, Addr: addr, Identity: identity(t, "server-7")}, out); code != exitOK {
			t.Errorf("server: exit %d: %s", code, words)
		}
		out.Close()
	})
	waitForPort(t, addr)
	reports := json.NewDecoder(lines)
	var probe, l line
	if err := reports.Decode(&probe); err != nil || probe.Done || probe.Error == "" {
		t.Errorf("the probe for the port: %+v, %v", probe, err)
	}
	var said bytes.Buffer
	code, words := runInetd(context.Background(), t, "tls", Request{Role: lab.ClientRole, Addr: addr}, &said)
	want := lab.End{Done: true, Data: true, Group: "X25519MLKEM768", Version: "TLS 1.3", Reached: "server-7"}
	end, _ := contract{}.parse(Request{}, agent.Result{Exit: code, Stdout: said.Bytes()})
	if end != want || code != exitOK {
		t.Errorf("client: exit %d, %+v, want %+v: %s", code, end, want, words)
	}
	if err := reports.Decode(&l); err != nil || !l.Data || l.Group != want.Group || !strings.Contains(`"remote":"`+l.Remote, LineFrom(addr.Addr())) {
		t.Errorf("server's report: %+v, %v", l, err)
	}
	stop()
	wg.Wait()
}

// TestInetdFailures: what a program may do instead of TLS.
func TestInetdFailures(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	addr := netip.MustParseAddrPort(ln.Addr().String())
	for _, tt := range []struct {
		does     string
		addr     netip.AddrPort
		code     int
		timedOut bool
		words    string // on standard error
	}{
		{"refuse", addr, exitUnsupported, false, "no such group"},
		{"hang", addr, exitFailed, true, "signal: killed"},
		{"crash", addr, exitFailed, false, "signal: killed: about to crash"},
		{"flood", addr, exitFailed, false, "no answer"},
		{"tls", netip.MustParseAddrPort("127.0.0.1:1"), exitFailed, false, "connection refused"},
	} {
		var said bytes.Buffer
		r := Request{Role: lab.ClientRole, Addr: tt.addr}
		if tt.timedOut {
			r.Timeout = 300 * time.Millisecond
		}
		code, words := runInetd(context.Background(), t, tt.does, r, &said)
		end, _ := contract{}.parse(Request{}, agent.Result{Exit: code, Stdout: said.Bytes(), Stderr: []byte(words)})
		if code != tt.code || !strings.Contains(words, tt.words) || end.Done || end.TimedOut != tt.timedOut || said.Len() > 1000 {
			t.Errorf("%s: exit %d, %+v, said %q and %q, want exit %d and %q", tt.does, code, end, said.Bytes(), words, tt.code, tt.words)
		}
	}
}
