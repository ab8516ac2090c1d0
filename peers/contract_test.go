package peers

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"hybridlab/lab"
	"hybridlab/peers/agent"
)

// process is the reference implementation as a process would be run: its
// variables, its output, its exit code.
type process struct {
	env            map[string]string
	stdout, stderr bytes.Buffer
}

// asProcess turns a command into what the agent would start.
func asProcess(t *testing.T, cmd agent.Command) *process {
	t.Helper()
	p := &process{env: map[string]string{}}
	dir := t.TempDir()
	for name, data := range cmd.Files {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, kv := range cmd.Env {
		k, v, _ := strings.Cut(kv, "=")
		p.env[k] = strings.ReplaceAll(v, "{dir}", dir)
	}
	return p
}

func (p *process) run(ctx context.Context, stdout io.Writer, args ...string) int {
	return run(ctx, args, func(k string) string { return p.env[k] }, stdout, &p.stderr)
}

// TestContractEndToEnd: both Go stacks as commands, the way they run in
// containers: one server, several clients, and what the lab reads of it.
func TestContractEndToEnd(t *testing.T) {
	for _, id := range inProcessIDs {
		t.Run(string(id), func(t *testing.T) {
			p, err := Lookup(id)
			if err != nil {
				t.Fatal(err)
			}
			addr := freeAddr(t)
			cmd, err := p.Command(Request{Role: lab.ServerRole, Addr: addr, Offer: lab.MustOffer("x25519mlkem768>x25519"), Identity: identity(t, "server-9")})
			if err != nil {
				t.Fatal(err)
			}
			if cmd.Timeout != 0 || cmd.Argv[0] != Binary || cmd.Argv[1] != "peer" {
				t.Errorf("server's command: %+v", cmd)
			}
			lines, out := io.Pipe()
			ctx, stop := context.WithCancel(context.Background())
			var wg sync.WaitGroup
			wg.Go(func() {
				if code := asProcess(t, cmd).run(ctx, out, string(id)); code != exitOK {
					t.Errorf("server: exit %d", code)
				}
				out.Close()
			})
			waitForPort(t, addr)
			reports := json.NewDecoder(lines)
			for range 3 {
				contractClient(t, p, addr)
				var l line
				for l.End.Done = false; !l.End.Done; { // the probe for the port is reported too, as a failure
					l = line{}
					if err := reports.Decode(&l); err != nil {
						t.Fatal(err)
					}
				}
				text, err := json.Marshal(l)
				if err != nil {
					t.Fatal(err)
				}
				remote, end, err := ParseLine(string(text))
				if err != nil || !end.Data || end.Group != "X25519MLKEM768" || !strings.Contains(string(text), LineFrom(remote.Addr())) {
					t.Errorf("server's line %s: %+v, %v", text, end, err)
				}
			}
			stop()
			wg.Wait()
		})
	}
}

func contractClient(t *testing.T, p Peer, addr netip.AddrPort) {
	t.Helper()
	r := Request{Role: lab.ClientRole, Addr: addr, CA: testAuthority().PEM(), Token: "cell-1", Timeout: 5 * time.Second}
	cmd, err := p.Command(r)
	if err != nil {
		t.Fatal(err)
	}
	proc := asProcess(t, cmd)
	res := agent.Result{Exit: proc.run(context.Background(), &proc.stdout, string(p.ID)), Files: map[string][]byte{}}
	res.Stdout, res.Stderr = proc.stdout.Bytes(), proc.stderr.Bytes()
	if res.Files[logFile], err = os.ReadFile(proc.env[envKeyLog]); err != nil {
		t.Error(err)
	}
	end, keylog := p.Parse(r, res)
	want := lab.End{Done: true, Data: true, Group: "X25519MLKEM768", Version: "TLS 1.3", Reached: "server-9"}
	if end != want || !bytes.Contains(keylog, []byte("CLIENT_TRAFFIC_SECRET_0")) {
		t.Errorf("client: %+v, want %+v; key log of %d bytes; %s", end, want, len(keylog), res.Stderr)
	}
}

func freeAddr(t *testing.T) netip.AddrPort {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return netip.MustParseAddrPort(ln.Addr().String())
}

// waitForPort waits until something accepts connections.
func waitForPort(t *testing.T, addr netip.AddrPort) {
	t.Helper()
	deadline := time.After(10 * time.Second)
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for {
		conn, err := net.Dial("tcp", addr.String())
		if err == nil {
			conn.Close()
			return
		}
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatal(err)
		}
	}
}

// TestExitCodes: every way to be told nonsense, and its code.
func TestExitCodes(t *testing.T) {
	good := map[string]string{envRole: "client", envAddr: "127.0.0.1:1", envSNI: ServerName, envToken: "x", envTimeout: "1", envCA: filepath.Join(t.TempDir(), "ca.pem")}
	if err := os.WriteFile(good[envCA], testAuthority().PEM(), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, r := range []struct {
		name string
		set  map[string]string
		args []string
		code int
		says string
	}{
		{"refused connection", nil, nil, exitFailed, "connection refused"},
		{"nonsense group", map[string]string{envGroups: "nonsense"}, nil, exitUnsupported, "nonsense"},
		{"unknown code point", map[string]string{envGroups: "0x1234,x25519"}, nil, exitUnsupported, "0x1234"},
		{"group of another stack", map[string]string{envGroups: "MLKEM768"}, nil, exitUnsupported, "MLKEM768"},
		{"the same, crafted", map[string]string{envGroups: "MLKEM768"}, []string{"crafted"}, exitFailed, "connection refused"},
		{"withheld share", map[string]string{envGroups: "X25519MLKEM768,x25519", envShares: "x25519"}, nil, exitUnsupported, "chooses its key shares"},
		{"withheld share, crafted", map[string]string{envGroups: "X25519MLKEM768,x25519", envShares: "x25519"}, []string{"crafted"}, exitFailed, "connection refused"},
		{"share of an unlisted group", map[string]string{envGroups: "x25519", envShares: "secp256r1"}, nil, exitUsage, envShares},
		{"group twice", map[string]string{envGroups: "x25519,x25519"}, nil, exitUsage, "twice"},
		{"no role", map[string]string{envRole: ""}, nil, exitUsage, envRole},
		{"no address", map[string]string{envAddr: ""}, nil, exitUsage, envAddr},
		{"host name", map[string]string{envAddr: "localhost:443"}, nil, exitUsage, envAddr},
		{"timeout", map[string]string{envTimeout: "soon"}, nil, exitUsage, envTimeout},
		{"no CA", map[string]string{envCA: "/nowhere"}, nil, exitUsage, envCA},
		{"no certificate", map[string]string{envRole: "server", envCert: "/nowhere"}, nil, exitUsage, envCert},
		{"shape", map[string]string{envShape: "{"}, []string{"crafted"}, exitUsage, envShape},
		{"unknown stack", nil, []string{"openssl@trixie"}, exitUsage, "crafted, go-tls12@1.26, go@1.26"},
		{"version", map[string]string{envRole: "version"}, nil, exitOK, ""},
	} {
		t.Run(r.name, func(t *testing.T) {
			p := &process{env: map[string]string{}}
			for _, m := range []map[string]string{good, r.set} {
				for k, v := range m {
					p.env[k] = v
				}
			}
			code := p.run(context.Background(), &p.stdout, r.args...)
			if code != r.code || !strings.Contains(p.stderr.String(), r.says) {
				t.Errorf("exit %d, %q; want %d and %q", code, &p.stderr, r.code, r.says)
			}
		})
	}
}

// TestNonsenseIsUnsupported: what the lab makes of the 127 is "unsupported"
// with the peer's words, and of the same words with another code a failure.
func TestNonsenseIsUnsupported(t *testing.T) {
	p, err := Lookup("go@1.26")
	if err != nil {
		t.Fatal(err)
	}
	end, _ := p.Parse(Request{}, agent.Result{Exit: 127, Stderr: []byte("no such group\n")})
	if end.Unsupported != "no such group" || end.Exit != 127 {
		t.Errorf("%+v", end)
	}
	if end, _ = p.Parse(Request{}, agent.Result{Exit: 127}); end.Unsupported == "" {
		t.Errorf("%+v", end)
	}
	end, _ = p.Parse(Request{}, agent.Result{Exit: 1, Stderr: []byte("no such group\n")})
	if end.Unsupported != "" || end.Exit != 1 || end.Error != "no such group" {
		t.Errorf("%+v", end)
	}
	end, _ = p.Parse(Request{}, agent.Result{Exit: -1, Err: "no such program", TimedOut: true})
	if end.Error != "no such program" || !end.TimedOut || end.Done {
		t.Errorf("%+v", end)
	}
}

// TestExitCodeSpeaksAlone: a client that prints nothing is believed by its
// exit code; what it prints beside the line is ignored.
func TestExitCodeSpeaksAlone(t *testing.T) {
	p := Peer{driver: contract{}}
	for _, r := range []struct {
		res  agent.Result
		want lab.End
	}{
		{agent.Result{}, lab.End{Done: true, Data: true}},
		{agent.Result{Exit: 1, Stderr: []byte("alert 40")}, lab.End{Exit: 1, Error: "alert 40"}},
		{agent.Result{Stdout: []byte("hello\n{\"group\":\"p256\",\"done\":true,\"cpu_us\":1,\"exit\":9,\"unsupported\":\"no\"}\nbye\n")}, lab.End{Done: true, Group: "secp256r1"}},
	} {
		if end, _ := p.Parse(Request{}, r.res); end != r.want {
			t.Errorf("%+v: %+v, want %+v", r.res, end, r.want)
		}
	}
}

// TestVariablesRoundTrip: what the lab writes, the reference reads.
func TestVariablesRoundTrip(t *testing.T) {
	for _, offer := range []string{"default", "x25519", "x25519mlkem768+x25519", "x25519mlkem768+secp256r1>x25519>secp384r1", "~x25519+~secp256r1"} {
		for _, shape := range []Shape{{}, {PadTo: 1500, GREASE: true, Records: []int{1, 2}, Segments: []int{3}, Gap: time.Second, Retry: true, SigAlgs: []uint16{0x904}}} {
			r := Request{Role: lab.ClientRole, Offer: lab.MustOffer(offer), Addr: netip.MustParseAddrPort("[2001:2::1]:443"), SNI: ServerName,
				CA: []byte("ca"), Token: "cell", Timeout: 1500 * time.Millisecond, Shape: shape}
			p := asProcess(t, contract{}.command(r))
			got, err := readRequest(func(k string) string { return p.env[k] })
			if err != nil || !reflect.DeepEqual(got, r) {
				t.Errorf("got %+v, %v\nwant %+v", got, err, r)
			}
		}
	}
	marked, err := parseContractOffer("X25519MLKEM768,x25519", "x25519")
	if err != nil || !slices.Equal(marked.Sent(), lab.MustOffer("x25519").Groups()) || marked.String() != "~x25519mlkem768+*x25519" {
		t.Errorf("%v, %v", marked, err)
	}
}

func TestLineFrom(t *testing.T) {
	for addr, remote := range map[string]string{"198.19.0.1": "198.19.0.1:5", "2001:2::1:7": "[2001:2::1:7]:5"} {
		text, err := json.Marshal(line{Remote: remote})
		if err != nil {
			t.Fatal(err)
		}
		want := LineFrom(netip.MustParseAddr(addr))
		if !strings.Contains(string(text), want) {
			t.Errorf("%s is not in %s", want, text)
		}
		if other := strings.Replace(string(text), "198.19.0.1:", "198.19.0.11:", 1); addr == "198.19.0.1" && strings.Contains(other, want) {
			t.Errorf("%s is in another connection's %s", want, other)
		}
	}
	for _, bad := range []string{"", "{", `{"remote":"x"}`, `{"remote":1}`, `{"done":true}`, "null"} {
		if _, _, err := ParseLine(bad); err == nil {
			t.Errorf("read %q", bad)
		}
	}
}

// TestContractIsComplete: CONTRACT.md names exactly the variables the code
// uses, and every exit code.
func TestContractIsComplete(t *testing.T) {
	text, err := os.ReadFile("CONTRACT.md")
	if err != nil {
		t.Fatal(err)
	}
	var documented []string
	for _, m := range regexp.MustCompile("(?m)^\\| `([A-Z_]+)` \\|").FindAllStringSubmatch(string(text), -1) {
		documented = append(documented, m[1])
	}
	used := []string{envRole, envAddr, envGroups, envShares, envSNI, envCA, envToken, envCert, envKey, envTimeout, envShape, envKeyLog}
	slices.Sort(documented)
	slices.Sort(used)
	if !slices.Equal(documented, used) {
		t.Errorf("CONTRACT.md has %v, the code %v", documented, used)
	}
	fields := reflect.TypeFor[lab.End]()
	for i := range fields.NumField() {
		name, _, _ := strings.Cut(fields.Field(i).Tag.Get("json"), ",")
		claim := !slices.Contains([]string{"exit", "unsupported", "cpu_us"}, name) // those the lab measures
		if strings.Contains(string(text), "| `"+name+"` |") != claim {
			t.Errorf("field %q: documented %v, want %v", name, !claim, claim)
		}
	}
}

func FuzzContractOffer(f *testing.F) {
	f.Add("X25519MLKEM768,x25519>secp256r1", "x25519")
	f.Add("0x1234", "none")
	f.Fuzz(func(t *testing.T, groups, shares string) {
		o, err := parseContractOffer(groups, shares)
		if err != nil || o.Default() {
			return
		}
		again, err := parseContractOffer(contractGroups(o), contractShares(o))
		if err != nil || !slices.Equal(again.Groups(), o.Groups()) || !slices.Equal(again.Sent(), o.Sent()) && o.Explicit() {
			t.Fatalf("%q %q reads as %v, and back as %v (%v)", groups, shares, o, again, err)
		}
	})
}
