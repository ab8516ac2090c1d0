package peers

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/signal"
	"runtime"
	"strconv"
	"sync"
	"syscall"
	"time"

	"hybridlab/lab"
)

// Main is the contract's reference implementation: "hybridlab peer [ID]",
// where ID is one of the stacks that run in this process; or "hybridlab peer
// inetd PROGRAM", see inetd. It returns the exit code.
func Main(args []string) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	return run(ctx, args, os.Getenv, os.Stdout, os.Stderr)
}

func run(ctx context.Context, args []string, getenv func(string) string, stdout, stderr io.Writer) int {
	if len(args) > 1 && args[0] == inetdName {
		return inetd{argv: args[1:]}.main(ctx, getenv, stdout, stderr)
	}
	id := lab.PeerID("go@1.26")
	if len(args) > 0 {
		id = lab.PeerID(args[0])
	}
	complain := func(code int, err error) int {
		fmt.Fprintln(stderr, "hybridlab peer:", err)
		return code
	}
	if p, err := Lookup(id); err == nil {
		if b, ok := p.driver.(webBrowser); ok {
			code, err := b.run(ctx, getenv, stdout)
			if err != nil {
				return complain(code, err)
			}
			return exitOK
		}
	}
	local, err := InProcess(id)
	if err != nil {
		return complain(exitUsage, err)
	}
	if getenv(envRole) == roleVersion {
		fmt.Fprintln(stdout, local.Version())
		return exitOK
	}
	r, err := readRequest(getenv)
	if err == nil {
		err = local.peer.Supports(r.Role, r.Offer)
	}
	switch {
	case errors.Is(err, ErrUnsupported):
		return complain(exitUnsupported, err)
	case err != nil:
		return complain(exitUsage, err)
	}
	keys := keyLogger{name: getenv(envKeyLog)}
	say := json.NewEncoder(stdout)
	if r.Role == lab.ServerRole {
		err = local.listen(ctx, r, &keys, say)
	} else {
		err = local.connect(ctx, r, &keys, say)
	}
	if err != nil {
		return complain(exitFailed, err)
	}
	return exitOK
}

// Version says what the stack is.
func (l Local) Version() string {
	version := runtime.Version() + " crypto/tls"
	if _, ok := l.peer.local.(craftedStack); ok {
		version = "hybridlab's own TLS 1.3, " + runtime.Version()
	}
	if debug := os.Getenv("GODEBUG"); debug != "" {
		version += " GODEBUG=" + debug // tlsmlkem=0 and its like change what is offered
	}
	return version
}

func (l Local) connect(ctx context.Context, r Request, keys *keyLogger, say *json.Encoder) error {
	ctx, cancel := context.WithTimeout(ctx, r.timeout())
	defer cancel()
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", r.Addr.String())
	if err != nil {
		return fmt.Errorf("connect: %s", words(err))
	}
	end, keylog := l.Dial(ctx, conn, r)
	if err := keys.append(keylog); err != nil {
		return err
	}
	if err := say.Encode(line{End: end}); err != nil {
		return err
	}
	if end.Exit != 0 {
		return fmt.Errorf("connect: %s", end.Error)
	}
	return nil
}

func (l Local) listen(ctx context.Context, r Request, keys *keyLogger, say *json.Encoder) error {
	ln, err := net.Listen("tcp", r.Addr.String())
	if err != nil {
		return err
	}
	var mu sync.Mutex
	return l.Serve(ctx, ln, r, func(remote netip.AddrPort, end lab.End, keylog []byte) {
		mu.Lock()
		defer mu.Unlock()
		remote = netip.AddrPortFrom(remote.Addr().Unmap(), remote.Port())
		if err := keys.append(keylog); err != nil {
			end.Error = clip(end.Error + " " + err.Error())
		}
		say.Encode(line{remote.String(), end}) // nobody is left to tell when standard output is gone
	})
}

// keyLogger appends to the key log file, where there is to be one.
type keyLogger struct{ name string }

func (k *keyLogger) append(data []byte) error {
	if k.name == "" || len(data) == 0 {
		return nil
	}
	f, err := os.OpenFile(k.name, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("write key log: %w", err)
	}
	if _, err := f.Write(data); err != nil {
		f.Close()
		return fmt.Errorf("write key log: %w", err)
	}
	return f.Close()
}

// readRequest reads the contract's variables. Errors name the variable.
func readRequest(getenv func(string) string) (Request, error) {
	r := Request{Role: lab.Role(getenv(envRole)), SNI: getenv(envSNI), Token: getenv(envToken)}
	if r.Role != lab.ClientRole && r.Role != lab.ServerRole {
		return r, fmt.Errorf("%s=%q: want client, server or version", envRole, r.Role)
	}
	var err error
	if r.Addr, err = netip.ParseAddrPort(getenv(envAddr)); err != nil {
		return r, fmt.Errorf("%s=%q: want IP:PORT", envAddr, getenv(envAddr))
	}
	if r.Offer, err = parseContractOffer(getenv(envGroups), getenv(envShares)); err != nil {
		return r, err
	}
	if text := getenv(envTimeout); text != "" {
		seconds, err := strconv.ParseFloat(text, 64)
		if err != nil || !(seconds > 0 && seconds < 1e6) {
			return r, fmt.Errorf("%s=%q: want seconds", envTimeout, text)
		}
		r.Timeout = time.Duration(seconds * float64(time.Second))
	}
	if text := getenv(envShape); text != "" {
		if err := json.Unmarshal([]byte(text), &r.Shape); err != nil {
			return r, fmt.Errorf("%s: %w", envShape, err)
		}
	}
	if r.Role == lab.ServerRole {
		if r.Identity.Cert, err = readFile(getenv, envCert); err == nil {
			r.Identity.Key, err = readFile(getenv, envKey)
		}
	} else {
		r.CA, err = readFile(getenv, envCA)
	}
	return r, err
}

func readFile(getenv func(string) string, variable string) ([]byte, error) {
	data, err := os.ReadFile(getenv(variable))
	if err != nil {
		return nil, fmt.Errorf("%s=%q: %w", variable, getenv(variable), err)
	}
	return data, nil
}
