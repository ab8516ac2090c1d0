package rig

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"hybridlab/lab"
	"hybridlab/netem"
	"hybridlab/peers"
	"hybridlab/peers/agent"
)

// proofTime is how long a peer may take over its proof, per role. It starts a
// program and refuses; the rest is for a machine where all peers do so at once.
const proofTime = 15 * time.Second

// prove asks the peer, in each of its roles, for a group that does not exist.
// It must answer that it is not able to. A peer that does something else does
// not do what it is told, or does not say when it cannot, and none of its
// results would mean anything.
func (s *station) prove(ctx context.Context) error {
	said := make(chan error, len(s.peer.Roles))
	for _, role := range s.peer.Roles {
		go func() { said <- s.proveRole(ctx, role) }()
	}
	var errs []error
	for range s.peer.Roles {
		errs = append(errs, <-said)
	}
	return errors.Join(errs...)
}

func (s *station) proveRole(ctx context.Context, role lab.Role) error {
	i := s.instance(false)
	to := i.addr
	if role == lab.ClientRole {
		at, done, err := s.partner(ctx)
		if err != nil {
			return fmt.Errorf("prepare its proof: %w", err)
		}
		defer done()
		to = at
	}
	req := request(s.fabric.authority, role, peers.Nonsense, to, proofTime)
	var err error
	if req.Identity, err = s.fabric.authority.Issue(i.identity, lab.DefaultCert); err != nil {
		return err
	}
	cmd, err := s.peer.Command(req)
	if errors.Is(err, peers.ErrUnsupported) {
		return nil // it has no words for such a group
	}
	if err != nil {
		return err
	}
	res, did, err := s.attempt(ctx, role, cmd)
	if err != nil {
		return s.gone(err)
	}
	if end, _ := s.peer.Parse(req, res); end.Unsupported != "" {
		return nil
	}
	return fmt.Errorf("it is not proven: asked to be a %s with group %s, which nobody has, it must say that it cannot (exit code 127); instead: %s",
		role, peers.Nonsense, did)
}

// partner is a server for a client to connect to: the reference, in the same
// container, over a clean path. The contract wants a refusal before any
// packet, but some programs look at their groups only when they are connected.
func (s *station) partner(ctx context.Context) (at netip.AddrPort, done func(), err error) {
	f := s.fabric
	row, err := peers.Lookup(reference)
	if err != nil {
		return at, nil, err
	}
	link, err := f.links.Lookup(cleanV4)
	if err != nil {
		return at, nil, err
	}
	ref := s.guest(row)
	i, err := ref.serve(ctx, lab.Cell{Accept: anyGroup}, link)
	if err != nil {
		return at, nil, err
	}
	slot, err := f.slots.take(false)
	if err == nil {
		err = f.path.Open(netem.Path{Slot: slot, Name: "proof of " + string(s.peer.ID), Link: link, Client: s.addr(false), Server: s.addr(false)})
	}
	if err != nil {
		ref.close(ctx)
		return at, nil, err
	}
	return netip.AddrPortFrom(netem.TargetAddr(slot, false), i.addr.Port()), func() {
		f.path.Close(slot) // what it carried proves nothing more
		f.slots.give(slot)
		ref.close(ctx)
	}, nil
}

// attempt runs the command as its role is run, and says what it did. A server
// that comes up is stopped.
func (s *station) attempt(ctx context.Context, role lab.Role, cmd agent.Command) (res agent.Result, did string, err error) {
	if role == lab.ClientRole {
		res, err = s.agent.Run(ctx, cmd)
		return res, ended(res), err
	}
	id, err := s.agent.Start(ctx, cmd)
	var early *agent.EndedError
	if errors.As(err, &early) {
		return early.Result, early.Why, nil
	}
	if err != nil {
		return res, "", err
	}
	_, err = s.agent.Stop(ctx, id)
	return agent.Result{}, "it came up", err
}

// ended says how a command ended, with its last words.
func ended(res agent.Result) string {
	const most = 200
	words := res.Stderr
	if len(words) == 0 {
		words = res.Stdout
	}
	words = words[max(0, len(words)-most):]
	switch {
	case res.Err != "":
		return "it could not be started: " + res.Err
	case res.TimedOut:
		return fmt.Sprintf("it was still running after %v; it said %q", proofTime, words)
	}
	return fmt.Sprintf("it ended with exit code %d; it said %q", res.Exit, words)
}
