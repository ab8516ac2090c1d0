// Package tun runs the path engine in a container of its own, between the
// kernels of real peers.
//
// The peers route 198.18.0.0/15 and 2001:2::/48 to that container, whose
// kernel routes them into a TUN device; Main feeds what comes out of it to a
// netem.Engine and writes what the engine delivers back, for the kernel to
// forward to the peer it is addressed to. The lab opens and closes cells over
// the control connection, through a Carrier.
//
// Offloads stay on: the kernel cuts a GSO super-packet into packets of the
// sender's segment size when it routes it into a device that cannot do GSO,
// which a TUN device without a virtio header cannot, and it fills in the
// checksums that a veth leaves out. So the engine sees what a wire would
// carry. A container lab that only looks at a veth sees a 1,500-byte hello as
// one segment and tests nothing.
package tun

import (
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"strconv"

	"hybridlab/docker/control"
	"hybridlab/netem"
)

const rpcName = "Path"

// Main runs the path engine until its controlling connection ends and
// returns the exit code. It needs the control token in the environment,
// NET_ADMIN, IP forwarding, and /dev/net/tun.
func Main(args []string) int {
	fs := flag.NewFlagSet("hybridlab path", flag.ContinueOnError)
	listen := fs.String("listen", ":"+strconv.Itoa(control.Port), "address of the control connection")
	if err := fs.Parse(args); err != nil {
		return 2
	}
	if err := serve(*listen); err != nil {
		fmt.Fprintln(os.Stderr, "hybridlab path:", err)
		return 1
	}
	return 0
}

func serve(listen string) error {
	dev, err := openDevice()
	if err != nil {
		return err
	}
	defer dev.Close()
	if err := skipDAD(); err != nil {
		return err
	}
	engine := netem.NewEngine(dev.deliver)
	defer engine.Shutdown()
	broken := make(chan error, 1)
	go func() { broken <- dev.feed(engine.Input) }()
	ln, err := net.Listen("tcp", listen)
	if err != nil {
		return fmt.Errorf("listen for the lab: %w", err)
	}
	server := control.Server{Token: os.Getenv(control.TokenEnv)}
	done := make(chan error, 1)
	go func() { done <- server.Serve(ln, rpcName, &service{engine: engine, dev: dev}) }()
	select {
	case err := <-done:
		return err
	case err := <-broken: // a path without a device must not pretend to be one
		return errors.Join(err, ln.Close())
	}
}

// none is the reply of methods that have nothing to say. An unnamed struct,
// because net/rpc wants types that are exported or have no name; with a
// field, because gob refuses one without.
type none = struct{ OK bool }

// service is the RPC surface of the path; Carrier is its mirror image.
type service struct {
	engine  *netem.Engine
	dev     *device
	detours detours
}

// Open opens a cell.
func (s *service) Open(p *netem.Path, _ *none) error {
	if err := s.engine.Open(*p); err != nil {
		return err
	}
	if err := s.detours.lead(*p); err != nil {
		s.engine.Close(p.Slot)
		return fmt.Errorf("open cell %q: %w", p.Name, err)
	}
	return nil
}

// Close closes a cell. A packet that the engine delivered and the device did
// not take would be lost without a trace, so that is an error.
func (s *service) Close(slot uint16, trace *netem.Trace) (err error) {
	if *trace, err = s.engine.Close(slot); err != nil {
		return err
	}
	return errors.Join(s.detours.end(slot), s.dev.refusal())
}

// Strays counts packets that belonged to no open cell, by reason.
func (s *service) Strays(_ none, strays *map[string]int) error {
	*strays = s.engine.Strays()
	return nil
}
