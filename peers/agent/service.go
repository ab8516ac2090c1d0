package agent

import (
	"bytes"
	"fmt"
	"io"
	"net/netip"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// service is the agent's RPC surface; Client is its mirror image. Ids are
// made by the client, so that it can kill what has not answered yet.
type service struct{ s *supervisor }

// The arguments are aliases of unnamed structs, because net/rpc wants types
// that are exported or have no name, and these are nobody else's business.
type (
	runArgs = struct {
		ID      string
		Command Command
	}
	lineArgs = struct {
		ID, Contains string
		Want         int
		Wait         time.Duration
	}
	startReply = struct {
		Why    string // why it is not up; empty: it is
		Result Result // then: how it ended
	}
	stopArgs = struct {
		ID    string
		After time.Duration
	}
	none = struct{ OK bool } // gob refuses a struct without a field
)

const defaultTimeout = time.Minute // of Run

// Run runs a command to its end.
func (v *service) Run(a *runArgs, res *Result) error {
	if a.Command.Timeout <= 0 {
		a.Command.Timeout = defaultTimeout
	}
	p, err := v.s.start(a.ID, a.Command, nil)
	if err != nil {
		*res = Result{Exit: -1, Err: err.Error()}
		return nil
	}
	<-p.done
	v.s.forget(p.id)
	*res = p.result
	return nil
}

// Start starts a server and waits until it is ready. How one that
// was not ready ended is in early.
func (v *service) Start(a *runArgs, early *startReply) error {
	if err := free(a.Command.Ready); err != nil {
		return fmt.Errorf("start %q: %w", a.Command.Argv, err)
	}
	p, err := v.s.start(a.ID, a.Command, newLineLog())
	if err != nil {
		return err
	}
	if err := p.awaitReady(a.Command.Ready, a.Command.ReadyIn); err != nil {
		p.kill()
		<-p.done
		v.s.forget(p.id)
		early.Why = fmt.Sprintf("start %q: %v; its last words: %q", a.Command.Argv, err, p.result.lastWords())
		early.Result = p.result
	}
	return nil
}

// Lines returns lines of the output of a started command.
func (v *service) Lines(a *lineArgs, lines *[]string) error {
	p, err := v.s.find(a.ID)
	if err != nil {
		return err
	}
	if p.lines == nil {
		return fmt.Errorf("read lines of command %q: it is being run, not served", a.ID)
	}
	*lines = p.lines.find(a.Contains, a.Want, a.Wait)
	return nil
}

// Wait waits for the end of a started command. Its result stays, because a
// caller who gave up waiting may still want it.
func (v *service) Wait(id string, res *Result) error {
	p, err := v.s.find(id)
	if err != nil {
		return err
	}
	<-p.done
	*res = p.result
	return nil
}

// Stop gives a started command some time to end by itself, then asks it to,
// then makes it. Its result is fetched with that.
func (v *service) Stop(a *stopArgs, res *Result) error {
	p, err := v.s.find(a.ID)
	if err != nil {
		return err
	}
	p.stop(a.After)
	<-p.done
	v.s.forget(a.ID)
	*res = p.result
	return nil
}

// Kill kills a command, also one that is not there yet: the order to run it
// may still be on its way through another goroutine.
func (v *service) Kill(id string, _ *none) error {
	v.s.doom(id)
	return nil
}

// Route makes the path container the peer's only way out.
func (v *service) Route(via []netip.Addr, _ *none) error { return route(via) }

// Info describes the container.
func (v *service) Info(_ none, info *Info) error {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return fmt.Errorf("read the kernel's version: %w", err)
	}
	info.Kernel = unix.ByteSliceToString(u.Release[:])
	if f, err := os.Open("/version.txt"); err == nil {
		defer f.Close()
		text, _ := io.ReadAll(io.LimitReader(f, maxVersion))
		info.Image = string(bytes.TrimSpace(text))
	}
	return nil
}
