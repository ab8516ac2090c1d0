// Package docker is the lab's whole knowledge of containers: it builds the
// peers' images, starts and stops containers, and leaves nothing behind. It
// knows nothing of TLS, peers or cells; its folders do: docker/<peer> holds
// the Dockerfile of a peer, and one more peer is one more folder.
//
// Decisions that are not obvious from the code:
//
//   - Images are built by the classic builder from Dockerfiles without
//     BuildKit syntax, so that a daemon as old as Engine 20.10 will do. Where
//     no registry answers, the base image is made from the Debian archive.
//   - A container is a peer because our own static binary is copied into it as
//     PID 1, so that any image can be one without being rebuilt.
//   - Everything is labelled with the run and with the process that owns it,
//     before it exists. Clean-up is the agent's lease (see docker/control), the
//     daemon's own removal of stopped containers, and Sweep for what is left:
//     never the reaper of testcontainers, whose image may be out of reach.
//   - Networks are not "internal": Docker drops bridged packets with foreign
//     addresses there, and foreign addresses are what the cells' are.
package docker

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/moby/moby/client"
	tclog "github.com/testcontainers/testcontainers-go/log"
)

// Daemon is a Docker daemon that answers. It is safe for concurrent use.
type Daemon struct {
	Version string // of the engine: "20.10.24"
	Arch    string // of its containers, in Go's words: "amd64"
	// Progress hears of what takes long, one line each; nil: nobody does.
	// It may be called from several goroutines.
	Progress func(line string)

	cli *client.Client
}

// answerTime is how long a daemon may take to say that it is there.
const answerTime = 5 * time.Second

// Available says whether a daemon can be used; its error names the remedy.
func Available(ctx context.Context) error {
	d, err := Connect(ctx)
	if err != nil {
		return err
	}
	return d.Close()
}

// Connect finds the daemon as the docker command does: DOCKER_HOST, or the
// default socket, or that of a rootless daemon. The error names the remedy.
func Connect(ctx context.Context) (*Daemon, error) {
	settle()
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	cli, err := client.New(client.FromEnv)
	if err != nil {
		return nil, fmt.Errorf("connect to Docker: %w (check DOCKER_HOST)", err)
	}
	d := &Daemon{cli: cli}
	if err := d.introduce(ctx); err != nil {
		cli.Close()
		return nil, err
	}
	return d, nil
}

// introduce asks the daemon what it is.
func (d *Daemon) introduce(ctx context.Context) error {
	v, err := d.cli.ServerVersion(ctx, client.ServerVersionOptions{})
	if err != nil {
		return fmt.Errorf("connect to Docker at %s: %w%s", d.cli.DaemonHost(), err, remedy(err))
	}
	if v.Os != "linux" {
		return fmt.Errorf("connect to Docker at %s: its containers are for %s, the lab's are for Linux", d.cli.DaemonHost(), v.Os)
	}
	d.Version, d.Arch = v.Version, v.Arch
	return nil
}

func remedy(err error) string {
	switch {
	case errors.Is(err, fs.ErrPermission):
		return " (add yourself to the group \"docker\", or run as root)"
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Sprintf(" (no answer within %v: is the daemon overloaded?)", answerTime)
	}
	return " (install Docker Engine, start it, or point DOCKER_HOST at one; the embedded fabric needs none)"
}

// Close ends the connection. Containers are not touched.
func (d *Daemon) Close() error { return d.cli.Close() }

func (d *Daemon) say(format string, args ...any) {
	if d.Progress != nil {
		d.Progress(fmt.Sprintf(format, args...))
	}
}

// settle makes testcontainers, which reads its settings from the environment
// once, use the daemon we use, start no reaper and keep quiet.
var settle = sync.OnceFunc(func() {
	os.Setenv("TESTCONTAINERS_RYUK_DISABLED", "true")
	tclog.SetDefault(tclog.NewNoopLogger())
	if os.Getenv(client.EnvOverrideHost) == "" {
		if host := rootless(); host != "" {
			os.Setenv(client.EnvOverrideHost, host)
		}
	}
})

// rootless returns the address of a rootless daemon, when there is its socket
// and not the usual one.
func rootless() string {
	dir := os.Getenv("XDG_RUNTIME_DIR")
	if _, err := os.Stat("/var/run/docker.sock"); err == nil || dir == "" {
		return ""
	}
	socket := filepath.Join(dir, "docker.sock")
	if _, err := os.Stat(socket); err != nil {
		return ""
	}
	return "unix://" + socket
}
