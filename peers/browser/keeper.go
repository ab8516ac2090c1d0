package browser

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"

	"hybridlab/lab"
)

// engine is a browser that runs.
type engine interface {
	// open makes a context that shares nothing with any other.
	open(context.Context) (tab, error)
	ended() <-chan struct{}
	stop()
}

// tab is a context for one page.
type tab interface {
	// load fetches the page and returns when it is there, when it is known not
	// to come, or at the end of ctx.
	load(ctx context.Context, url string) lab.End
	close()
}

// keeper keeps a browser and makes visits with it.
type keeper struct {
	start func(context.Context) (engine, error)
	hosts *hosts
	keys  *keyLog

	mu sync.Mutex
	up engine // nil: not started
}

// Keep starts a browser that trusts the CA (PEM), with all its files in dir,
// and makes the visits that are asked for at the socket until ctx ends. It
// calls ready once the browser is up. One that dies is started again for the
// next visit.
func Keep(ctx context.Context, kind Kind, dir, socket string, ca []byte, ready func()) error {
	start := map[string]func(context.Context, Kind, string) (engine, error){"chromium": startChromium, "firefox-esr": startFirefox}[kind.Program]
	if start == nil {
		return fmt.Errorf("keep a browser: %q is none that is known", kind.Program)
	}
	keys, err := newKeyLog(filepath.Join(dir, "keys"))
	if err != nil {
		return fmt.Errorf("keep a browser: %w", err)
	}
	defer keys.close()
	hosts, err := newHosts("/etc/hosts", "/proc/net")
	if err != nil {
		return fmt.Errorf("keep a browser: %w", err)
	}
	starts := 0
	k := &keeper{hosts: hosts, keys: keys, start: func(ctx context.Context) (engine, error) {
		starts++
		home := filepath.Join(dir, fmt.Sprintf("home-%d", starts)) // nothing that a dead browser left
		if err := trust(ctx, filepath.Join(home, nssDir[kind.Program]), ca); err != nil {
			return nil, err
		}
		return start(ctx, kind, home)
	}}
	defer k.stop()
	if _, err := k.browser(ctx); err != nil {
		return err
	}
	ln, err := net.Listen("unix", socket)
	if err != nil {
		return fmt.Errorf("keep a browser: %w", err)
	}
	ready()
	return k.serve(ctx, ln)
}

// Directories of the certificate databases, below a browser's home.
var nssDir = map[string]string{"chromium": ".pki/nssdb", "firefox-esr": "profile"}

// trust makes an NSS database in which the CA is trusted for servers. It is the
// store that both browsers add a user's own authorities to.
func trust(ctx context.Context, dir string, ca []byte) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	file := filepath.Join(dir, "ca.pem")
	if err := os.WriteFile(file, ca, 0o600); err != nil {
		return err
	}
	for _, args := range []string{"-N --empty-password", "-A -n hybridlab -t C,, -i " + file} {
		out, err := exec.CommandContext(ctx, "certutil", append([]string{"-d", "sql:" + dir}, strings.Fields(args)...)...).CombinedOutput()
		if err != nil {
			return fmt.Errorf("trust the lab's CA: certutil: %w: %s", err, out)
		}
	}
	return nil
}

// browser is the one that is up, started where none is.
func (k *keeper) browser(ctx context.Context) (engine, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.up != nil {
		select {
		case <-k.up.ended():
			k.up.stop()
			k.up = nil
		default:
			return k.up, nil
		}
	}
	up, err := k.start(ctx)
	if err != nil {
		return nil, fmt.Errorf("start the browser: %w", err)
	}
	k.up = up
	return up, nil
}

func (k *keeper) stop() {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.up != nil {
		k.up.stop()
	}
}

func (k *keeper) serve(ctx context.Context, ln net.Listener) error {
	defer context.AfterFunc(ctx, func() { ln.Close() })()
	var wg sync.WaitGroup
	defer wg.Wait()
	for {
		conn, err := ln.Accept()
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return fmt.Errorf("keep a browser: %w", err)
		}
		wg.Go(func() { k.answer(ctx, conn) })
	}
}

// answer makes the visit that one connection asks for. A client that goes away
// does not want it any more.
func (k *keeper) answer(ctx context.Context, conn net.Conn) {
	defer conn.Close()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	ask := json.NewDecoder(io.LimitReader(conn, maxReport))
	var v Visit
	if ask.Decode(&v) != nil {
		return
	}
	go func() {
		var more json.RawMessage
		ask.Decode(&more) // returns when the client is gone
		cancel()
	}()
	json.NewEncoder(conn).Encode(k.visit(ctx, v)) // to nobody, if it is gone
}

func (k *keeper) visit(ctx context.Context, v Visit) Report {
	opening, cancel := context.WithTimeout(ctx, OpenTime)
	defer cancel()
	up, err := k.browser(opening)
	if err != nil {
		return failed(err)
	}
	t, err := up.open(opening)
	if err != nil {
		return failed(err)
	}
	mark := k.keys.mark()
	said := k.fetch(ctx, t, v)
	t.close()
	k.keys.settle(ctx, mark, said.Done)
	return Report{said, k.keys.since(mark)}
}

func failed(err error) Report { return Report{End: lab.End{Error: err.Error()}} }

// fetch tells the tab to go while the name means the visit's address, and until
// the browser has a connection there.
func (k *keeper) fetch(ctx context.Context, t tab, v Visit) lab.End {
	done := make(chan lab.End, 1)
	over := make(chan struct{})
	var late context.Context
	cancel := func() {}
	err := k.hosts.during(ctx, v.Name, v.Addr, over, func() {
		late, cancel = context.WithTimeout(ctx, v.Timeout)
		go func() {
			done <- t.load(late, v.url())
			close(over)
		}()
	})
	defer cancel()
	if err != nil {
		return lab.End{Error: err.Error()}
	}
	said := <-done
	if !said.Data && errors.Is(late.Err(), context.DeadlineExceeded) {
		said.TimedOut = true
	}
	return said
}
