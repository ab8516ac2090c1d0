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
	// Nothing is at the client's address, and nothing answers from it.
	to := netip.AddrPortFrom(netem.TargetAddr(netem.LastSlot, false), 443)
	i := s.instance(false)
	if role == lab.ServerRole {
		to = i.addr
	}
	req := request(s.fabric.authority, role, peers.Nonsense, to, netem.Link{})
	req.Timeout = proofTime
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
