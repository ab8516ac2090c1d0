package rig

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"hybridlab/docker"
	"hybridlab/lab"
	"hybridlab/peers"
	"hybridlab/peers/agent"
)

// boxHost is the container of a real middlebox. It is up for the whole run; a
// fresh process of the middlebox serves each cell.
type boxHost struct {
	box       peers.Middlebox
	container *docker.Container
	agent     *agent.Client
	ports     ports
	image     string                     // digest
	version   string                     // the program's own words
	absent    string                     // why it cannot be used; empty: it can
	lost      atomic.Pointer[lab.BoxEnd] // how the program beside it ended, once it has
}

// startBoxes brings up a host for every real middlebox of the run. One that
// does not come up is listed with the reason, and its cells are faults; the
// error is the end of ctx.
func (f *containers) startBoxes(ctx context.Context, c Config, path *docker.Container) error {
	var wg sync.WaitGroup
	for i, id := range realIn(c.Through) {
		m, err := peers.LookupMiddlebox(id)
		if err != nil {
			return err
		}
		h := &boxHost{box: m}
		f.hosts[id] = h
		img, err := f.daemon.Build(ctx, m.Folder, m.Suite, false) // one after the other: two might want the same base
		if err != nil {
			h.absent = err.Error()
			continue
		}
		h.image = img.ID
		spec := docker.Spec{Name: fmt.Sprintf("box-%d", i), Image: img.ID, Args: []string{"agent"}}
		if m.Inline {
			spec.Forwards, spec.Args = true, append(spec.Args, "-inline")
		}
		wg.Go(func() {
			if err := f.startBox(ctx, h, spec, path); err != nil {
				h.absent = err.Error()
			}
		})
	}
	wg.Wait()
	for id, h := range f.hosts {
		if h.absent != "" {
			fmt.Fprintf(orDiscard(c.Progress), "middlebox %s cannot be used: %s\n", id, h.absent)
		}
	}
	return ctx.Err()
}

func (f *containers) startBox(ctx context.Context, h *boxHost, spec docker.Spec, path *docker.Container) (err error) {
	if h.container, err = f.container(ctx, spec); err != nil {
		return err
	}
	ctx, stop := whileUp(ctx, h.container)
	defer stop()
	if h.agent, err = agent.Dial(ctx, h.container.Control, h.container.Token); err != nil {
		return h.gone(err)
	}
	if err := h.agent.Route(ctx, path.IPv4, path.IPv6); err != nil {
		return h.gone(err)
	}
	res, err := h.agent.Run(ctx, h.box.Version())
	if err != nil {
		return h.gone(err)
	}
	if h.version, err = peers.VersionText(res); err != nil {
		return err
	}
	if beside := h.box.Beside(); beside != nil {
		id, err := h.agent.Start(ctx, *beside)
		if err != nil {
			return h.gone(err)
		}
		go h.watch(id)
	}
	return nil
}

// watch waits for the end of the program that runs beside the cells.
func (h *boxHost) watch(id string) {
	if res, err := h.agent.Wait(context.Background(), id); err == nil {
		h.lost.Store(&lab.BoxEnd{Box: h.box.ID, Died: res.ByItself, Exit: res.Exit, Said: lastSaid(res)})
	}
}

// proofTries is how often a middlebox is asked for its proof, as the machine may
// have other work; proofRoutes is how often one that misroutes is, as there are
// those that do so by chance.
const proofTries, proofRoutes = 3, 20

// provenServer answers those too who speak TLS 1.2 to servers.
const provenServer lab.PeerID = "go@1.26"

// proveBoxes sends a plain classical hello through every real middlebox. One
// that does not let it pass is not set up as it should be, and nothing that
// breaks behind it would mean anything.
func (f *containers) proveBoxes(ctx context.Context) {
	var wg sync.WaitGroup
	for id, h := range f.hosts {
		if h.absent != "" {
			continue
		}
		wg.Go(func() {
			c := lab.NewCell(reference, provenServer, anyGroup, anyGroup, cleanV4, id)
			var v lab.Verdict
			var said []lab.BoxEnd
			for n := 0; n < proofTries || n < proofRoutes && v.Outcome == lab.Misroute; n++ {
				e, err := f.Run(ctx, c, 0)
				if v = lab.Judge(Catalogue{}, lab.Observe(c, 1, e, err)); v.Outcome.Pass() {
					return
				}
				said = e.Path.Ends
			}
			h.absent = fmt.Sprintf("a plain classical ClientHello does not pass through it: %s: %s; it says %v", v.Outcome, v.Why, said)
		})
	}
	wg.Wait()
}

// boxHost is the host of a middlebox that can be used.
func (f *containers) boxHost(id string) (*boxHost, error) {
	switch h := f.hosts[id]; {
	case h == nil:
		return nil, fmt.Errorf("middlebox %s was not started for this run", id)
	case h.absent != "":
		return nil, fmt.Errorf("middlebox %s cannot be used: %s", id, h.absent)
	default:
		return h, nil
	}
}

func (h *boxHost) addr(v6 bool) netip.Addr {
	if v6 {
		return h.container.IPv6
	}
	return h.container.IPv4
}

func (h *boxHost) gone(err error) error {
	return fmt.Errorf("middlebox %s: %w", h.box.ID, containerError(h.container, err))
}

// posted is a process of a middlebox that serves one cell.
type posted struct {
	host  *boxHost
	id    string // at the agent
	setup *lab.Setup
}

// readyTime is how long a middlebox may take to come up on a machine that has
// other work. Some take seconds of CPU time, so only so many of them come up at
// once that all do in time.
const readyTime = time.Minute

// post starts one. A middlebox that is not able to start with a configuration
// that everybody's is like is the lab's failure.
func (h *boxHost) post(ctx context.Context, starts chan struct{}, b peers.Between) (*posted, error) {
	select {
	case starts <- struct{}{}:
		defer func() { <-starts }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	cmd := h.box.Command(b)
	cmd.ReadyIn = max(cmd.ReadyIn, readyTime)
	id, err := h.agent.Start(ctx, cmd)
	var ended *agent.EndedError
	if errors.As(err, &ended) {
		return nil, fmt.Errorf("start middlebox %s: %w", h.box.ID, err)
	}
	if err != nil {
		return nil, h.gone(err)
	}
	return &posted{h, id, setupOf(cmd)}, nil
}

// end ends it and tells how it ended; ok is false where nobody knows.
func (p *posted) end(ctx context.Context) (end lab.BoxEnd, ok bool) {
	late := context.WithoutCancel(ctx)
	if ctx.Err() != nil {
		p.host.agent.Kill(late, p.id)
		return end, false
	}
	res, err := p.host.agent.Stop(late, p.id)
	if err != nil {
		return lab.BoxEnd{Box: p.host.box.ID, Died: true, Said: p.host.gone(err).Error(), Setup: p.setup}, true
	}
	return lab.BoxEnd{Box: p.host.box.ID, Died: res.ByItself, Exit: res.Exit, Said: lastSaid(res), Setup: p.setup}, true
}

// mostSaid bounds what is kept of a middlebox's output for each cell, bytes.
const mostSaid = 2 << 10

func lastSaid(res agent.Result) string {
	said := string(res.Stdout) + string(res.Stderr)
	return said[max(0, len(said)-mostSaid):]
}
