package docker

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/moby/moby/client"
)

const (
	runLabel   = "hybridlab"       // the run a container or network belongs to
	ownerLabel = "hybridlab.owner" // the process that made it
)

// Item is a container or network of some lab.
type Item struct {
	Kind     string // "container" or "network"
	ID, Name string
	Run      string
	Orphan   bool // the process that made it is certainly gone
}

// Scope says what a sweep removes.
type Scope func(Item) bool

// Orphans are what labs that died have left. A lab that runs, here or on
// another machine, is not touched.
func Orphans(i Item) bool { return i.Orphan }

// Everything is everything with the lab's label, also of labs that run.
func Everything(Item) bool { return true }

// OfRun is what one run has left, with an orphan or without.
func OfRun(run string) Scope { return func(i Item) bool { return i.Run == run } }

var runName = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,40}$`)

// ownLabels are the labels of what this process makes for a run. Run ids
// become parts of names at the daemon, hence their limits.
func ownLabels(run string) (map[string]string, error) {
	if !runName.MatchString(run) {
		return nil, fmt.Errorf("run id %q: want 1 to 41 lower-case letters, digits and dashes", run)
	}
	me, err := self("/proc")
	if err != nil {
		return nil, fmt.Errorf("find out which process this is: %w", err)
	}
	return map[string]string{runLabel: run, ownerLabel: me.String()}, nil
}

// List lists the containers and networks of all labs at this daemon.
func (d *Daemon) List(ctx context.Context) ([]Item, error) {
	me, err := self("/proc")
	if err != nil {
		return nil, fmt.Errorf("find out which process this is: %w", err)
	}
	labelled := make(client.Filters).Add("label", runLabel)
	containers, err := d.cli.ContainerList(ctx, client.ContainerListOptions{All: true, Filters: labelled})
	if err != nil {
		return nil, fmt.Errorf("list containers: %w", err)
	}
	networks, err := d.cli.NetworkList(ctx, client.NetworkListOptions{Filters: labelled})
	if err != nil {
		return nil, fmt.Errorf("list networks: %w", err)
	}
	var items []Item
	for _, c := range containers.Items {
		name := strings.TrimPrefix(strings.Join(c.Names, " "), "/")
		items = append(items, Item{"container", c.ID, name, c.Labels[runLabel], orphaned(c.Labels, me)})
	}
	for _, n := range networks.Items {
		items = append(items, Item{"network", n.ID, n.Name, n.Labels[runLabel], orphaned(n.Labels, me)})
	}
	return items, nil
}

// orphaned errs on the side of leaving things alone: an owner that cannot be
// read is somebody's.
func orphaned(labels map[string]string, me owner) bool {
	o, err := parseOwner(labels[ownerLabel])
	return err == nil && o.dead(me, "/proc")
}

// Sweep removes what is in scope: containers first, then networks. It
// returns what it removed, also when something could not be.
func (d *Daemon) Sweep(ctx context.Context, in Scope) (removed []Item, err error) {
	items, err := d.List(ctx)
	if err != nil {
		return nil, fmt.Errorf("sweep: %w", err)
	}
	var errs []error
	for _, item := range items { // List has containers first
		if !in(item) {
			continue
		}
		remove := d.removeContainer
		if item.Kind == "network" {
			remove = d.removeNetwork
		}
		if err := remove(ctx, item.ID); err != nil {
			errs = append(errs, fmt.Errorf("sweep: remove %s %s: %w", item.Kind, item.Name, err))
			continue
		}
		removed = append(removed, item)
	}
	return removed, errors.Join(errs...)
}

// removeContainer kills and removes a container. One that is gone, or on its
// way out because it stopped by itself, is as good as removed.
func (d *Daemon) removeContainer(ctx context.Context, id string) error {
	_, err := d.cli.ContainerRemove(ctx, id, client.ContainerRemoveOptions{Force: true, RemoveVolumes: true})
	if err == nil || cerrdefs.IsNotFound(err) || cerrdefs.IsConflict(err) {
		return nil
	}
	return err
}

// leaveTime is how long containers that are being removed may take to leave
// their network.
const leaveTime = 5 * time.Second

// removeNetwork removes a network as soon as the last container has left it.
func (d *Daemon) removeNetwork(ctx context.Context, id string) error {
	ctx, cancel := context.WithTimeout(ctx, leaveTime)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		_, err := d.cli.NetworkRemove(ctx, id, client.NetworkRemoveOptions{})
		if err == nil || cerrdefs.IsNotFound(err) {
			return nil
		}
		if !strings.Contains(err.Error(), "active endpoints") {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-tick.C:
		}
	}
}
