package docker

import (
	"archive/tar"
	"context"
	"fmt"
	"io"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"
)

const (
	askTime   = time.Minute // an answer may take
	maxAnswer = 4 << 20     // bytes of it that are read
)

// Ask runs a program in a container of the image, without any network, and
// returns what it printed, at most 4 MiB. Its exit code does not matter.
func (d *Daemon) Ask(ctx context.Context, image string, argv []string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	answer, err := d.once(ctx, errand{image: image, argv: argv, memory: 512 << 20})
	if err != nil {
		return nil, fmt.Errorf("ask image %q: %w", image, err)
	}
	return answer, nil
}

// errand is a container that does one thing and ends.
type errand struct {
	image  string
	argv   []string
	binary string // copied in; empty: none
	memory int64
	limits func(*container.HostConfig) // what else it may; nil: nothing
	file   string                      // with its answer; empty: the answer is what it printed
}

// once runs an errand and returns its answer. Nothing of it is left.
func (d *Daemon) once(ctx context.Context, e errand) (answer []byte, err error) {
	labels, err := ownLabels("ask")
	if err != nil {
		return nil, err
	}
	pids := int64(256)
	host := &container.HostConfig{
		NetworkMode: "none",
		LogConfig:   container.LogConfig{Type: "json-file", Config: map[string]string{"max-size": "16m"}},
		Resources:   container.Resources{Memory: e.memory, PidsLimit: &pids},
	}
	if e.limits != nil {
		e.limits(host)
	}
	made, err := d.cli.ContainerCreate(ctx, client.ContainerCreateOptions{
		Config:     &container.Config{Image: e.image, Entrypoint: e.argv, User: "0:0", Labels: labels, Tty: true}, // one stream, not two in frames
		HostConfig: host,
	})
	if err != nil {
		return nil, err
	}
	defer func() {
		late, cancel := context.WithTimeout(context.WithoutCancel(ctx), leaveTime)
		defer cancel()
		if gone := d.removeContainer(late, made.ID); err == nil {
			err = gone
		}
	}()
	if e.binary != "" {
		if err := d.copyBinary(ctx, e.binary, made.ID); err != nil {
			return nil, err
		}
	}
	ended := d.cli.ContainerWait(ctx, made.ID, client.ContainerWaitOptions{Condition: container.WaitConditionNextExit})
	if _, err := d.cli.ContainerStart(ctx, made.ID, client.ContainerStartOptions{}); err != nil {
		return nil, err
	}
	select {
	case <-ended.Result:
	case err := <-ended.Error:
		return nil, err
	}
	said, err := d.said(ctx, made.ID)
	if err != nil || e.file == "" {
		return said, err
	}
	answer, err = d.readFile(ctx, made.ID, e.file)
	return answer, explain(err, said)
}

// said is what a container printed.
func (d *Daemon) said(ctx context.Context, id string) ([]byte, error) {
	logs, err := d.cli.ContainerLogs(ctx, id, client.ContainerLogsOptions{ShowStdout: true})
	if err != nil {
		return nil, err
	}
	defer logs.Close()
	return io.ReadAll(io.LimitReader(logs, maxAnswer))
}

// readFile reads a file of a container.
func (d *Daemon) readFile(ctx context.Context, id, file string) ([]byte, error) {
	got, err := d.cli.CopyFromContainer(ctx, id, client.CopyFromContainerOptions{SourcePath: file})
	if err != nil {
		return nil, err
	}
	defer got.Content.Close()
	t := tar.NewReader(got.Content)
	if _, err := t.Next(); err != nil {
		return nil, err
	}
	return io.ReadAll(io.LimitReader(t, maxAnswer))
}
