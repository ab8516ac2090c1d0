// Peer is a TLS client and server on the crypto/tls it is built with, by the
// lab's contract (peers/CONTRACT.md). It is built in the image of a Debian suite
// with the suite's own Go, so it uses nothing newer than Go 1.24.
package main

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"reflect"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

type group struct {
	name string
	id   tls.CurveID
	half string // of a hybrid, whose share is sent along where it is listed
}

// groups by their IANA names, in crypto/tls's own order of preference. Those
// that this Go does not know have no name in crypto/tls.
var groups = []group{
	{"X25519MLKEM768", 0x11ec, "x25519"},
	{"SecP256r1MLKEM768", 0x11eb, "secp256r1"},
	{"SecP384r1MLKEM1024", 0x11ed, "secp384r1"},
	{"MLKEM1024", 0x0202, ""},
	{"x25519", tls.X25519, ""},
	{"secp256r1", tls.CurveP256, ""},
	{"secp384r1", tls.CurveP384, ""},
	{"secp521r1", tls.CurveP521, ""},
}

func known(id tls.CurveID) bool { return !strings.HasPrefix(id.String(), "CurveID(") }

// exit codes of the contract.
const (
	failed      = 1
	usage       = 2
	unsupported = 127
)

func main() {
	code, err := run()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	os.Exit(code)
}

func run() (int, error) {
	role := os.Getenv("PEER_ROLE")
	if role == "version" {
		fmt.Println(version())
		return 0, nil
	}
	cfg, code, err := config()
	switch {
	case err != nil:
		return code, err
	case role == "client":
		err = client(cfg)
	case role == "server":
		err = server(cfg)
	default:
		return usage, fmt.Errorf("PEER_ROLE=%q: want client, server or version", role)
	}
	if err != nil {
		return failed, err
	}
	return 0, nil
}

// version is the toolchain's, with the settings of crypto/tls that are not its
// default: those that go.mod brings, and those of the environment.
func version() string {
	out := runtime.Version() + " crypto/tls"
	info, _ := debug.ReadBuildInfo()
	for _, s := range info.Settings {
		if s.Key != "DefaultGODEBUG" {
			continue
		}
		for _, one := range strings.Split(s.Value, ",") {
			if strings.HasPrefix(one, "tls") {
				out += " " + one
			}
		}
	}
	if env := os.Getenv("GODEBUG"); env != "" {
		out += " GODEBUG=" + env
	}
	return out
}

func config() (*tls.Config, int, error) {
	cfg := &tls.Config{ServerName: os.Getenv("PEER_SNI")}
	names := strings.FieldsFunc(os.Getenv("PEER_GROUPS"), func(c rune) bool { return c == ',' || c == '>' })
	for _, name := range names {
		i := slices.IndexFunc(groups, func(g group) bool { return g.name == name })
		if i < 0 || !known(groups[i].id) {
			return nil, unsupported, fmt.Errorf("crypto/tls of %s has no group %s", runtime.Version(), name)
		}
		cfg.CurvePreferences = append(cfg.CurvePreferences, groups[i].id)
	}
	if want := os.Getenv("PEER_SHARES"); want != "" && want != shares(names) {
		return nil, unsupported, fmt.Errorf("crypto/tls chooses its key shares itself: of %v it sends %s", names, shares(names))
	}
	return cfg, 0, nil
}

// shares are those a client sends: its first group's, and its half's.
func shares(names []string) string {
	for _, g := range groups {
		switch {
		case !slices.Contains(names, g.name):
		case slices.Contains(names, g.half):
			return g.name + "," + g.half
		default:
			return g.name
		}
	}
	return ""
}

// said is what the contract's line of JSON holds.
type said struct {
	Remote  string `json:"remote,omitempty"`
	Done    bool   `json:"done"`
	Data    bool   `json:"data"`
	Group   string `json:"group,omitempty"`
	Version string `json:"version,omitempty"`
	Reached string `json:"reached,omitempty"`
	Error   string `json:"error,omitempty"`
}

// account is what a connection says of itself. Before Go 1.25 it has no word
// for the group.
func account(c *tls.Conn) (s said) {
	cs := c.ConnectionState()
	if cs.Version != 0 {
		s.Version = tls.VersionName(cs.Version)
	}
	if len(cs.PeerCertificates) > 0 {
		s.Reached = cs.PeerCertificates[0].Subject.CommonName
	}
	if f := reflect.ValueOf(cs).FieldByName("CurveID"); f.IsValid() {
		for _, g := range groups {
			if g.id == tls.CurveID(f.Uint()) {
				s.Group = g.name
			}
		}
	}
	return s
}

var printing sync.Mutex

func (s said) print(err error) {
	if err != nil {
		s.Error = err.Error()
	}
	printing.Lock()
	defer printing.Unlock()
	json.NewEncoder(os.Stdout).Encode(s)
}

func deadline() time.Time {
	seconds, err := strconv.ParseFloat(os.Getenv("PEER_TIMEOUT"), 64)
	if err != nil {
		seconds = 10
	}
	return time.Now().Add(time.Duration(seconds * float64(time.Second)))
}

func client(cfg *tls.Config) error {
	ca, err := os.ReadFile(os.Getenv("PEER_CA"))
	if err != nil {
		return err
	}
	cfg.RootCAs = x509.NewCertPool()
	cfg.RootCAs.AppendCertsFromPEM(ca)
	if name := os.Getenv("SSLKEYLOGFILE"); name != "" {
		log, err := os.OpenFile(name, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
		if err != nil {
			return err
		}
		defer log.Close()
		cfg.KeyLogWriter = log
	}
	limit := deadline()
	conn, err := net.DialTimeout("tcp", os.Getenv("PEER_ADDR"), time.Until(limit))
	if err != nil {
		return err
	}
	defer conn.Close()
	conn.SetDeadline(limit)
	c := tls.Client(conn, cfg)
	err = c.Handshake()
	s := account(c)
	var shown *tls.CertificateVerificationError
	if errors.As(err, &shown) && len(shown.UnverifiedCertificates) > 0 {
		s.Reached = shown.UnverifiedCertificates[0].Subject.CommonName
	}
	if s.Done = err == nil; s.Done {
		s.Data, err = ask(c)
	}
	s.print(err)
	return err
}

// maxAnswer bounds what is read from the other end, bytes.
const maxAnswer = 64 << 10

func ask(c *tls.Conn) (got bool, err error) {
	fmt.Fprintf(c, "GET /%s HTTP/1.0\r\nHost: %s\r\n\r\n", os.Getenv("PEER_TOKEN"), os.Getenv("PEER_SNI"))
	answer, err := io.ReadAll(io.LimitReader(c, maxAnswer))
	if bytes.HasPrefix(answer, []byte("HTTP/1.")) {
		return true, c.CloseWrite()
	}
	return false, errors.Join(err, errors.New("no HTTP answer came"))
}

func server(cfg *tls.Config) error {
	cert, err := tls.LoadX509KeyPair(os.Getenv("PEER_CERT"), os.Getenv("PEER_KEY"))
	if err != nil {
		return err
	}
	cfg.Certificates = []tls.Certificate{cert}
	ln, err := net.Listen("tcp", os.Getenv("PEER_ADDR"))
	if err != nil {
		return err
	}
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM, os.Interrupt)
	go func() {
		<-stop
		os.Exit(0)
	}()
	for {
		conn, err := ln.Accept()
		if err != nil {
			return err
		}
		go serve(conn, cfg)
	}
}

func serve(conn net.Conn, cfg *tls.Config) {
	defer conn.Close()
	conn.SetDeadline(deadline())
	c := tls.Server(conn, cfg)
	err := c.Handshake()
	s := account(c)
	s.Remote = conn.RemoteAddr().String()
	if s.Done = err == nil; s.Done {
		s.Data, err = answer(c)
	}
	s.print(err)
	io.Copy(io.Discard, io.LimitReader(c, maxAnswer)) // the client closes first
}

func answer(c *tls.Conn) (got bool, err error) {
	var req []byte
	buf := make([]byte, 1024)
	for !bytes.Contains(req, []byte("\r\n\r\n")) && len(req) < maxAnswer {
		n, err := c.Read(buf)
		req = append(req, buf[:n]...)
		if err != nil {
			return false, err
		}
	}
	if !bytes.HasPrefix(req, []byte("GET /")) {
		return false, errors.New("no GET request came")
	}
	if _, err := io.WriteString(c, "HTTP/1.0 200 OK\r\n\r\nhybridlab\n"); err != nil {
		return true, err
	}
	return true, c.CloseWrite()
}
