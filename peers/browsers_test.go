package peers

import (
	"bytes"
	"context"
	"encoding/json"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"hybridlab/lab"
	"hybridlab/peers/browser"
)

// browsers are the rows whose client is a browser.
func browsers() (ps []Peer) {
	for _, p := range Table() {
		if _, ok := p.driver.(webBrowser); ok {
			ps = append(ps, p)
		}
	}
	return ps
}

// A browser takes its default, and says of everything else why not.
func TestBrowsersHaveOneOffer(t *testing.T) {
	if len(browsers()) < 5 {
		t.Fatalf("only %d browsers", len(browsers()))
	}
	for _, p := range browsers() {
		if err := p.Supports(lab.ClientRole, lab.Offer{}); err != nil {
			t.Errorf("%s, default: %v", p.ID, err)
		}
		if err := p.Supports(lab.ClientRole, lab.MustOffer("x25519")); !isUnsupportedBecause(err, "list of its own") {
			t.Errorf("%s, x25519: %v", p.ID, err)
		}
		if p.Rules.Shuffles != strings.HasPrefix(string(p.ID), "chromium") {
			t.Errorf("%s: shuffles %t", p.ID, p.Rules.Shuffles)
		}
		beside, ok := p.Companion([]byte("the CA"))
		if !ok || p.AtOnce() == 0 || beside.Ready == "" || string(beside.Files[caFile]) != "the CA" {
			t.Errorf("%s: companion %+v, %d at once", p.ID, beside, p.AtOnce())
		}
	}
	if p, _ := Lookup("openssl@trixie"); p.AtOnce() != 0 {
		t.Errorf("openssl is limited to %d at once", p.AtOnce())
	}
}

// runBrowser runs the row's program with variables of the contract.
func runBrowser(t *testing.T, env map[string]string) (code int, stdout, stderr string) {
	t.Helper()
	if env[envRole] == string(lab.ClientRole) {
		env[envCA] = filepath.Join(t.TempDir(), caFile)
		if err := os.WriteFile(env[envCA], testAuthority().PEM(), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var out, errs bytes.Buffer
	code = run(context.Background(), []string{"chromium@trixie"}, func(key string) string { return env[key] }, &out, &errs)
	return code, out.String(), errs.String()
}

func TestBrowserSaysWhatItCannot(t *testing.T) {
	for name, tt := range map[string]struct {
		env  map[string]string
		code int
		says string
	}{
		"groups":       {map[string]string{envRole: "client", envAddr: "198.18.0.1:1", envGroups: "x25519"}, exitUnsupported, "list of its own"},
		"nonsense":     {map[string]string{envRole: "client", envAddr: "198.18.0.1:1", envGroups: "0x1234"}, exitUnsupported, "list of its own"},
		"another name": {map[string]string{envRole: "client", envAddr: "198.18.0.1:1", envGroups: "no-such-group"}, exitUnsupported, "no-such-group"},
		"server":       {map[string]string{envRole: "server", envAddr: "198.18.0.1:1"}, exitUnsupported, "no server"},
		"no address":   {map[string]string{envRole: "client"}, exitUsage, envAddr},
		"no companion": {map[string]string{envRole: "client", envAddr: "198.18.0.1:1", envSocket: filepath.Join(t.TempDir(), "none")}, exitFailed, "ask the browser"},
		"no CA":        {map[string]string{envRole: roleCompanion}, exitFailed, "no such file"},
	} {
		if code, _, said := runBrowser(t, tt.env); code != tt.code || !strings.Contains(said, tt.says) {
			t.Errorf("%s: exit %d, %q; want %d and %q", name, code, said, tt.code, tt.says)
		}
	}
}

// companionThat answers one visit with a report.
func companionThat(t *testing.T, r browser.Report) (socket string, asked chan browser.Visit) {
	t.Helper()
	socket, asked = filepath.Join(t.TempDir(), "s"), make(chan browser.Visit, 1)
	ln, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	go func() {
		conn, err := ln.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		var v browser.Visit
		json.NewDecoder(conn).Decode(&v)
		asked <- v
		json.NewEncoder(conn).Encode(r)
	}()
	return socket, asked
}

func TestBrowserReports(t *testing.T) {
	good := lab.End{Done: true, Data: true, Group: "X25519MLKEM768", Version: "TLS 1.3", Reached: "server-1"}
	for _, tt := range []struct {
		end  lab.End
		code int
	}{{good, exitOK}, {lab.End{Error: "net::ERR_CONNECTION_RESET", TimedOut: true}, exitFailed}} {
		socket, asked := companionThat(t, browser.Report{End: tt.end, KeyLog: []byte("CLIENT_RANDOM 01 02\n")})
		keys := filepath.Join(t.TempDir(), "keys.log")
		code, stdout, _ := runBrowser(t, map[string]string{envRole: "client", envAddr: "198.18.0.1:2001", envSNI: ServerName,
			envToken: "x", envTimeout: "1.5", envSocket: socket, envKeyLog: keys})
		l, err := parseLine([]byte(stdout))
		if code != tt.code || err != nil || l.End != tt.end {
			t.Errorf("exit %d, %q, %v; want %d and %+v", code, stdout, err, tt.code, tt.end)
		}
		if len(asked) == 0 {
			t.Fatal("the companion was not asked")
		}
		if v := <-asked; v.Addr.String() != "198.18.0.1:2001" || v.Name != ServerName || v.Path != "x" || v.Timeout != 1500*time.Millisecond {
			t.Errorf("asked for %+v", v)
		}
		if log, err := os.ReadFile(keys); string(log) != "CLIENT_RANDOM 01 02\n" {
			t.Errorf("key log %q, %v", log, err)
		}
	}
}
