package docker

import (
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
func (d *Daemon) Ask(ctx context.Context, image string, argv []string) (answer []byte, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("ask image %q: %w", image, err)
		}
	}()
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	labels, err := ownLabels("ask")
	if err != nil {
		return nil, err
	}
	pids := int64(256)
	made, err := d.cli.ContainerCreate(ctx, client.ContainerCreateOptions{
		Config: &container.Config{Image: image, Entrypoint: argv, User: "0:0", Labels: labels, Tty: true}, // one stream, not two in frames
		HostConfig: &container.HostConfig{
			NetworkMode: "none",
			LogConfig:   container.LogConfig{Type: "json-file", Config: map[string]string{"max-size": "16m"}},
			Resources:   container.Resources{Memory: 512 << 20, PidsLimit: &pids},
		},
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
	ended := d.cli.ContainerWait(ctx, made.ID, client.ContainerWaitOptions{Condition: container.WaitConditionNextExit})
	if _, err := d.cli.ContainerStart(ctx, made.ID, client.ContainerStartOptions{}); err != nil {
		return nil, err
	}
	select {
	case <-ended.Result:
	case err := <-ended.Error:
		return nil, err
	}
	said, err := d.cli.ContainerLogs(ctx, made.ID, client.ContainerLogsOptions{ShowStdout: true})
	if err != nil {
		return nil, err
	}
	defer said.Close()
	return io.ReadAll(io.LimitReader(said, maxAnswer))
}
