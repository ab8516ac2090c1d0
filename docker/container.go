package docker

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/moby/moby/api/pkg/stdcopy"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/client"
	"github.com/testcontainers/testcontainers-go"
	tclog "github.com/testcontainers/testcontainers-go/log"

	"hybridlab/docker/control"
)

// Spec describes a container to start.
type Spec struct {
	Name    string   // unique in the run: "path", "openssl-trixie"; also its host name
	Image   string   // reference or digest
	Network *Network // also says which run it belongs to
	Binary  string   // static executable of this machine, copied in as PID 1
	Args    []string // its arguments: the hidden subcommand
	// Router lets the container forward packets and gives it the TUN device.
	Router bool
	// Forwards lets it forward packets, and no more than that.
	Forwards bool
	Memory   int64 // limit in bytes; 0: DefaultMemory
	Pids     int64 // limit of processes and threads; 0: DefaultPids
}

const (
	DefaultMemory = 2 << 30
	DefaultPids   = 4096
)

const (
	binaryPath = "/hybridlab"
	workDir    = "/run/hybridlab" // a small tmpfs for what peers read and write
	workOpts   = "size=256m,mode=0700"
	tunDevice  = "/dev/net/tun"
	maxWords   = 4 << 10 // bytes kept of what a container says
)

// Container is a container that was started.
type Container struct {
	Name       string
	ID         string
	IPv4, IPv6 netip.Addr
	Control    string // address of its control port, as seen from here
	Token      string // that opens it

	d     *Daemon
	words lastWords
	ended chan struct{}
	code  int64 // exit code, once ended; -1: not known
}

// lastWords keeps the end of what a container says.
type lastWords struct {
	mu   sync.Mutex
	text []byte
}

func (w *lastWords) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.text = append(w.text, p...)
	w.text = append(w.text[:0], w.text[max(0, len(w.text)-maxWords):]...)
	return len(p), nil
}

func (w *lastWords) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return string(bytes.TrimSpace(w.text))
}

// Start starts a container: its process is PID 1, gets the control token in
// its environment and NET_ADMIN in its own network namespace, and the
// container is removed as soon as that process ends. The process listens on
// control.Port, which is published on this machine's loopback only.
func (d *Daemon) Start(ctx context.Context, s Spec) (*Container, error) {
	c := &Container{Name: s.Name, Token: control.NewToken(), d: d, ended: make(chan struct{}), code: -1}
	err := d.start(ctx, s, c)
	if err == nil {
		return c, nil
	}
	if c.ID != "" {
		late, cancel := context.WithTimeout(context.WithoutCancel(ctx), leaveTime)
		defer cancel()
		err = errors.Join(err, d.removeContainer(late, c.ID))
	}
	if strings.Contains(err.Error(), tunDevice) {
		err = fmt.Errorf("%w (the Docker machine has no TUN device: modprobe tun there)", err)
	}
	return nil, fmt.Errorf("start container %s: %w", s.Name, err)
}

func (d *Daemon) start(ctx context.Context, s Spec, c *Container) error {
	if err := d.checkBinary(s.Binary); err != nil {
		return err
	}
	labels, err := ownLabels(s.Network.Run)
	if err != nil {
		return err
	}
	ctr, err := testcontainers.GenericContainer(ctx, testcontainers.GenericContainerRequest{
		ContainerRequest: testcontainers.ContainerRequest{
			Image: s.Image, Name: s.Network.Name + "-" + s.Name, Labels: labels,
			Entrypoint: []string{binaryPath}, Cmd: s.Args,
			Env:                map[string]string{control.TokenEnv: c.Token},
			Networks:           []string{s.Network.Name},
			ExposedPorts:       []string{controlPort.String()},
			ConfigModifier:     func(cfg *container.Config) { cfg.Hostname, cfg.WorkingDir, cfg.User = s.Name, "/", "0:0" },
			HostConfigModifier: s.limit,
			LifecycleHooks: []testcontainers.ContainerLifecycleHooks{{
				PostCreates: []testcontainers.ContainerHook{func(ctx context.Context, tc testcontainers.Container) error {
					c.ID = tc.GetContainerID()
					return d.copyBinary(ctx, s.Binary, c.ID)
				}},
				PreStarts: []testcontainers.ContainerHook{func(context.Context, testcontainers.Container) error {
					return c.follow()
				}},
			}},
		},
		Started: true,
		Logger:  tclog.NewNoopLogger(),
	})
	if ctr != nil {
		c.ID = ctr.GetContainerID()
	}
	if err != nil {
		return err
	}
	return c.locate(ctx, s.Network)
}

var controlPort = network.MustParsePort(strconv.Itoa(control.Port) + "/tcp")

// limit sets what the container may and may not do. Its network is its own,
// so NET_ADMIN and forwarding concern nobody else; the rest is limited
// because what runs there may be hostile.
func (s Spec) limit(h *container.HostConfig) {
	h.AutoRemove = true
	h.NetworkMode = container.NetworkMode(s.Network.Name)
	h.PortBindings = network.PortMap{controlPort: {{HostIP: netip.AddrFrom4([4]byte{127, 0, 0, 1})}}}
	h.CapAdd = []string{"NET_ADMIN"}
	h.Tmpfs = map[string]string{workDir: workOpts}
	h.LogConfig = container.LogConfig{Type: "json-file", Config: map[string]string{"max-size": "1m", "max-file": "1"}}
	pids := orDefault(s.Pids, DefaultPids)
	h.Resources = container.Resources{
		Memory: orDefault(s.Memory, DefaultMemory), PidsLimit: &pids,
		Ulimits: []*container.Ulimit{{Name: "core"}},
	}
	h.Sysctls = map[string]string{"net.ipv6.conf.all.disable_ipv6": "0"}
	if s.Router || s.Forwards {
		h.Sysctls["net.ipv4.ip_forward"] = "1"
		h.Sysctls["net.ipv6.conf.all.forwarding"] = "1"
		// What goes through comes from where no answer would go.
		h.Sysctls["net.ipv4.conf.all.rp_filter"], h.Sysctls["net.ipv4.conf.default.rp_filter"] = "0", "0"
	}
	if s.Router {
		h.Devices = []container.DeviceMapping{{PathOnHost: tunDevice, PathInContainer: tunDevice, CgroupPermissions: "rw"}}
	}
}

func orDefault(n, def int64) int64 {
	if n == 0 {
		return def
	}
	return n
}

// copyBinary streams the executable into the container. testcontainers would
// compress it first, which takes longer than everything else together.
func (d *Daemon) copyBinary(ctx context.Context, file, id string) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return err
	}
	r, w := io.Pipe()
	defer r.Close()
	go func() {
		tw := tar.NewWriter(w)
		err := tw.WriteHeader(&tar.Header{Name: strings.TrimPrefix(binaryPath, "/"), Mode: 0o755, Size: st.Size()})
		if err == nil {
			_, err = io.CopyBuffer(struct{ io.Writer }{tw}, f, make([]byte, 256<<10))
		}
		w.CloseWithError(errors.Join(err, tw.Close()))
	}()
	_, err = d.cli.CopyToContainer(ctx, id, client.CopyToContainerOptions{DestinationPath: "/", Content: r})
	return err
}

// follow listens to a container from before its start: it is removed when it
// ends, and its last words with it.
func (c *Container) follow() error {
	// Not the caller's context: following goes on when the start is done. It
	// ends with the container.
	attached, err := c.d.cli.ContainerAttach(context.Background(), c.ID, client.ContainerAttachOptions{Stream: true, Stdout: true, Stderr: true})
	if err != nil {
		return fmt.Errorf("follow its output: %w", err)
	}
	exit := c.d.cli.ContainerWait(context.Background(), c.ID, client.ContainerWaitOptions{Condition: container.WaitConditionNextExit})
	go func() {
		defer close(c.ended)
		defer attached.Close()
		// Until the end of the stream, which is the end of the container.
		_, _ = stdcopy.StdCopy(&c.words, &c.words, attached.Reader)
		select {
		case r := <-exit.Result:
			c.code = r.StatusCode
		case <-exit.Error: // removed before the daemon could answer
		case <-time.After(leaveTime):
		}
	}()
	return nil
}

// Ended is closed when the container has ended, by whatever cause.
func (c *Container) Ended() <-chan struct{} { return c.ended }

// Why says, once the container has ended, how: exit code and last words.
// Before that it waits.
func (c *Container) Why() string {
	<-c.ended
	how := "its exit code is not known"
	switch {
	case c.code == 137:
		how = "killed (exit code 137: by hand, or out of memory)"
	case c.code >= 0:
		how = fmt.Sprintf("exit code %d", c.code)
	}
	if words := c.words.String(); words != "" {
		how += fmt.Sprintf(", last words: %q", words[max(0, len(words)-500):])
	}
	return fmt.Sprintf("container %s ended: %s", c.Name, how)
}

// Explain adds to the error of a lost control connection how the container
// ended. The connection goes first, so the end gets two seconds to be noticed.
// Any other error, and one of a container that lives on, stays as it is.
func (c *Container) Explain(err error) error {
	if !errors.Is(err, control.ErrGone) {
		return err
	}
	select {
	case <-c.ended:
		return fmt.Errorf("%w (%s)", err, c.Why())
	case <-time.After(2 * time.Second):
		return err
	}
}

// locate finds out the addresses of a container that runs.
func (c *Container) locate(ctx context.Context, n *Network) error {
	got, err := c.d.cli.ContainerInspect(ctx, c.ID, client.ContainerInspectOptions{})
	if err != nil || !got.Container.State.Running {
		return c.stillborn(err)
	}
	end := got.Container.NetworkSettings.Networks[n.Name]
	if end == nil || !n.IPv4.Contains(end.IPAddress) || !n.IPv6.Contains(end.GlobalIPv6Address) {
		return fmt.Errorf("it has no addresses on network %s", n.Name)
	}
	c.IPv4, c.IPv6 = end.IPAddress, end.GlobalIPv6Address
	bound := got.Container.NetworkSettings.Ports[controlPort]
	if len(bound) == 0 {
		return fmt.Errorf("its control port %s is not published", controlPort)
	}
	c.Control = "127.0.0.1:" + bound[0].HostPort
	return nil
}

// stillborn is the error of a container that was gone as soon as started.
func (c *Container) stillborn(err error) error {
	select {
	case <-c.ended:
		return errors.New(c.Why())
	case <-time.After(leaveTime):
		return fmt.Errorf("it does not run: %w", err)
	}
}

// Stop kills the container and removes it, at once. Stopping one that is
// gone is no error.
func (c *Container) Stop(ctx context.Context) error {
	if err := c.d.removeContainer(ctx, c.ID); err != nil {
		return fmt.Errorf("stop container %s: %w", c.Name, err)
	}
	return nil
}

// StartAll starts containers side by side, in the order of specs. When one
// fails, those that did start are stopped again.
func (d *Daemon) StartAll(ctx context.Context, specs []Spec) ([]*Container, error) {
	containers, errs := make([]*Container, len(specs)), make([]error, len(specs))
	var wg sync.WaitGroup
	for i, s := range specs {
		wg.Go(func() { containers[i], errs[i] = d.Start(ctx, s) })
	}
	wg.Wait()
	err := errors.Join(errs...)
	if err == nil {
		return containers, nil
	}
	late, cancel := context.WithTimeout(context.WithoutCancel(ctx), leaveTime)
	defer cancel()
	return nil, errors.Join(err, StopAll(late, containers))
}

// StopAll stops containers side by side; nil ones are passed over.
func StopAll(ctx context.Context, containers []*Container) error {
	errs := make([]error, len(containers))
	var wg sync.WaitGroup
	for i, c := range containers {
		if c != nil {
			wg.Go(func() { errs[i] = c.Stop(ctx) })
		}
	}
	wg.Wait()
	return errors.Join(errs...)
}
