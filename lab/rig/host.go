package rig

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"strings"

	"hybridlab/docker"
	"hybridlab/lab"
	"hybridlab/netem/tc"
	"hybridlab/peers"
)

// Check is one thing the lab needs or would like, and whether it is there.
type Check struct {
	Name   string
	OK     bool
	Detail string // what was found, or what to do about it
	Needed bool   // without it the container fabric cannot work
}

// Doctor looks at this machine.
func Doctor(ctx context.Context) []Check {
	checks := []Check{
		{"go", true, runtime.Version() + " " + runtime.GOOS + "/" + runtime.GOARCH, false},
		{"kernel", true, kernel(), false},
		{"embedded fabric", true, "needs nothing: no root, no Docker", false},
		netemCheck(),
	}
	d, err := docker.Connect(ctx)
	if err != nil {
		return append(checks, Check{"docker", false, err.Error(), true})
	}
	defer d.Close()
	checks = append(checks, Check{"docker", true, "Engine " + d.Version + " " + d.Arch, true}, tunCheck())
	return append(checks, imageChecks(ctx, d)...)
}

// netemCheck looks for what hybridlab tc needs, and nothing else does.
func netemCheck() Check {
	switch err := tc.Probe(); {
	case err == nil:
		return Check{"sch_netem", true, "hybridlab tc can apply links", false}
	case errors.Is(err, tc.ErrNoNetem):
		return Check{"sch_netem", false, "hybridlab tc cannot apply links: " + tc.ErrNoNetem.Error(), false}
	default:
		return Check{"sch_netem", false, "not known: " + err.Error(), false}
	}
}

func kernel() string {
	b, err := os.ReadFile("/proc/sys/kernel/osrelease")
	if err != nil {
		return runtime.GOOS
	}
	return "Linux " + strings.TrimSpace(string(b))
}

// tunCheck looks for the TUN device, which the daemon passes to the path's
// container. With a daemon on another machine this says nothing.
func tunCheck() Check {
	const device = "/dev/net/tun"
	if _, err := os.Stat(device); err != nil {
		return Check{"tun", false, device + " is missing: run modprobe tun as root, or use --fabric embedded", true}
	}
	return Check{"tun", true, device, true}
}

func imageChecks(ctx context.Context, d *docker.Daemon) []Check {
	images, err := d.Images(ctx)
	if err != nil {
		return []Check{{"images", false, err.Error(), false}}
	}
	var out []Check
	for _, f := range folders() {
		c := Check{Name: "image " + f.name, Detail: "not built yet: hybridlab images build, or the first run does it"}
		for _, i := range images {
			if i.Folder == f.folder && strings.Contains(i.Ref, f.suite) {
				c.OK, c.Detail = true, i.Ref
			}
		}
		out = append(out, c)
	}
	return out
}

type folder struct{ name, folder, suite string }

// folders are the images that the path, all peers and all middleboxes need,
// each once.
func folders() []folder { return foldersOf(peers.Table(), peers.Middleboxes()) }

func foldersOf(rows []peers.Peer, middleboxes []peers.Middlebox) []folder {
	out := []folder{{pathFolder + "-" + pathSuite, pathFolder, pathSuite}}
	add := func(name, suite string) {
		if f := (folder{name + "-" + suite, name, suite}); !slices.Contains(out, f) {
			out = append(out, f)
		}
	}
	for _, p := range rows {
		if p.Missing == "" {
			add(p.Folder, p.Suite)
		}
	}
	for _, m := range middleboxes {
		add(m.Folder, m.Suite)
	}
	return out
}

// ErrPeer is wrapped by errors about a peer's or a middlebox's name that are
// the user's.
var ErrPeer = errors.New("no such peer or middlebox")

// named are the images of these peers and middleboxes.
func named(ids []lab.PeerID) ([]folder, error) {
	var rows []peers.Peer
	var middleboxes []peers.Middlebox
	for _, id := range ids {
		p, err := peers.Lookup(id)
		m, noBox := peers.LookupMiddlebox(string(id))
		switch {
		case err == nil:
			rows = append(rows, p)
		case noBox == nil:
			middleboxes = append(middleboxes, m)
		default:
			return nil, fmt.Errorf("%w: %w; %w", ErrPeer, err, noBox)
		}
	}
	return foldersOf(rows, middleboxes), nil
}

// BuildImages builds the images of the path and of the peers and middleboxes,
// all of them where none is named; with fresh also those that are there, with
// the newest packages.
func BuildImages(ctx context.Context, w io.Writer, fresh bool, ids ...lab.PeerID) error {
	wanted := folders()
	if len(ids) > 0 {
		var err error
		if wanted, err = named(ids); err != nil {
			return err
		}
	}
	d, err := docker.Connect(ctx)
	if err != nil {
		return err
	}
	defer d.Close()
	d.Progress = func(line string) { fmt.Fprintln(w, line) }
	for _, f := range wanted {
		img, err := d.Build(ctx, f.folder, f.suite, fresh)
		if err != nil {
			return err
		}
		fmt.Fprintf(w, "%s %s\n", img.Ref, img.ID)
	}
	return nil
}

// ListImages prints the images that are ours.
func ListImages(ctx context.Context, w io.Writer) error {
	d, err := docker.Connect(ctx)
	if err != nil {
		return err
	}
	defer d.Close()
	images, err := d.Images(ctx)
	for _, i := range images {
		fmt.Fprintf(w, "%-44s %s  %d MB\n", i.Ref, i.ID, i.Size>>20)
	}
	return err
}

// Clean removes containers and networks: those whose lab is gone, or with
// all also those of labs that run. With images, the images as well.
func Clean(ctx context.Context, w io.Writer, all, images bool) error {
	d, err := docker.Connect(ctx)
	if err != nil {
		return err
	}
	defer d.Close()
	scope := docker.Orphans
	if all {
		scope = docker.Everything
	}
	removed, err := d.Sweep(ctx, scope)
	for _, i := range removed {
		fmt.Fprintf(w, "removed %s %s of run %s\n", i.Kind, i.Name, i.Run)
	}
	var refs []string
	if err == nil && images {
		refs, err = d.RemoveImages(ctx)
		for _, r := range refs {
			fmt.Fprintf(w, "removed image %s\n", r)
		}
	}
	if err == nil && len(removed)+len(refs) == 0 {
		fmt.Fprintln(w, "nothing to remove")
	}
	return err
}
