// Package rig wires peers, links and containers into a lab.Fabric. It is the
// one place that knows all of them, shared by the command line and the
// Ginkgo suite, so that both run the same thing.
package rig

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"hybridlab/docker"
	"hybridlab/lab"
)

// Kind is which fabric carries the packets.
type Kind string

const (
	Embedded   Kind = "embedded"   // two netstacks in this process, Go peers
	Containers Kind = "containers" // kernel TCP, any peer
)

// ErrNoDocker says that containers were asked for and cannot be had.
var ErrNoDocker = errors.New("use containers")

// ChooseFabric turns the user's wish into a fabric and says why. "auto" is
// containers where a Docker daemon answers.
func ChooseFabric(ctx context.Context, want string) (Kind, string, error) {
	switch Kind(want) {
	case Embedded:
		return Embedded, "as asked", nil
	case Containers:
		if err := docker.Available(ctx); err != nil {
			return "", "", fmt.Errorf("%w: %w; or use --fabric embedded", ErrNoDocker, err)
		}
		return Containers, "as asked", nil
	case "auto":
		if err := docker.Available(ctx); err != nil {
			return Embedded, fmt.Sprintf("no containers: %v", err), nil
		}
		return Containers, "a Docker daemon answers", nil
	}
	return "", "", fmt.Errorf("choose fabric %q: want embedded, containers or auto", want)
}

// Cost is what a fabric costs by experience, for estimates.
type Cost struct{ Start, Cell time.Duration }

// Cost of the fabric on two cores.
func (k Kind) Cost() Cost {
	if k == Embedded {
		return Cost{Start: 100 * time.Millisecond, Cell: 2 * time.Millisecond}
	}
	return Cost{Start: 4 * time.Second, Cell: 40 * time.Millisecond}
}

// Parallel is how many cells are in flight by default: many more than cores,
// because a cell that a link silences waits and costs nothing.
func (k Kind) Parallel(cores int) int {
	if k == Embedded {
		return 256 * cores
	}
	return 64 * cores
}

// working is how many cells may keep the processors busy at once: enough
// that none is idle while peers wait for each other.
func (k Kind) working() int {
	if k == Embedded {
		return 8 * runtime.NumCPU()
	}
	return 4 * runtime.NumCPU() // each is two or three processes
}

// Waiting is how long a cell on the link waits in vain, at worst likely: two
// attempts where the link never delivers a large packet.
func (ls Links) Waiting(name string) time.Duration {
	l := ls.get(name)
	for _, s := range []struct{ eats bool }{{l.Up.TooBig == "eat"}, {l.Down.TooBig == "eat"}, {l.Up.Fragments == "drop"}, {l.Down.Fragments == "drop"}} {
		if s.eats {
			return 2 * patience(l)
		}
	}
	return budget(l) - slack
}

// Config says what a run needs.
type Config struct {
	Kind     Kind
	Run      string // run id, the label on every container
	Links    Links
	Boxes    Boxes
	Known    Catalogue
	Peers    []lab.PeerID // of those known
	Through  []string     // boxes of the plan: real ones among them have to be started
	Unprobed bool         // embedded: leave the peers unprobed; nothing is then said about their groups
	ProbeAll bool         // probe every group of the registry, not only the declared ones
	Logs     string       // directory for the peers' logs; created when there is something to log
	Progress io.Writer    // one line per slow step
}

// Rig is a started fabric with its peers probed.
type Rig struct {
	lab.Fabric
	closer io.Closer
	peers  []lab.PeerInfo
	real   map[string]*boxHost
	kernel string
}

// Introduce adds to what is said of boxes which real ones they are.
func (r *Rig) Introduce(infos []lab.BoxInfo) {
	for i := range infos {
		if h := r.real[infos[i].Name]; h != nil {
			infos[i].Version, infos[i].Image = h.version, h.image
		}
	}
}

// Open starts the fabric and probes the peers. The error is the lab's own.
func Open(ctx context.Context, c Config) (*Rig, error) {
	if c.Kind == Embedded {
		return openEmbedded(ctx, c)
	}
	return openContainers(ctx, c)
}

// infos are the provenances of the run's peers before anything is known but
// what their rows declare.
func (c Config) infos() ([]lab.PeerInfo, error) {
	var out []lab.PeerInfo
	for _, id := range c.Peers {
		p, err := c.Known.all().Lookup(id)
		if err != nil {
			return nil, err
		}
		info := lab.PeerInfo{ID: id, Client: lab.Capability{Declared: declared(p, lab.ClientRole)}, Server: lab.Capability{Declared: declared(p, lab.ServerRole)}}
		if p.Image != "" {
			info.Rules = &p.Rules
		}
		if conf := p.Config(); conf != nil {
			info.Rules, info.Config = &p.Rules, configInfo(conf)
		}
		out = append(out, info)
	}
	return out, nil
}

// Peers is the provenance of the peers in use.
func (r *Rig) Peers() []lab.PeerInfo { return r.peers }

// Kernel names the TCP/IP stack of the cells.
func (r *Rig) Kernel() string { return r.kernel }

// Close ends the peers and removes everything the fabric made.
func (r *Rig) Close() error { return r.closer.Close() }

// NewRunID makes a run id that sorts by time: 20261123-140507-3fa9.
func NewRunID() string {
	var b [2]byte
	rand.Read(b[:])
	return time.Now().UTC().Format("20060102-150405-") + hex.EncodeToString(b[:])
}

// version is set by the Makefile.
var version string

const (
	unknownTool = "unknown"
	dirty       = "-dirty" // built from files that no commit has
)

// ToolVersion is hybridlab's commit.
func ToolVersion() string {
	if version != "" {
		return version
	}
	commit, suffix := unknownTool, ""
	if bi, ok := debug.ReadBuildInfo(); ok {
		for _, s := range bi.Settings {
			switch {
			case s.Key == "vcs.revision":
				commit = s.Value
			case s.Key == "vcs.modified" && s.Value == "true":
				suffix = dirty
			}
		}
	}
	return commit + suffix
}

func join[T ~string](names []T) string {
	out := make([]string, len(names))
	for i, n := range names {
		out[i] = string(n)
	}
	return strings.Join(out, ", ")
}

// Probe starts the fabric with these peers, only to look at them; with every
// peer it can run where none is named.
func Probe(ctx context.Context, kind Kind, known Catalogue, ids []lab.PeerID, w io.Writer) ([]lab.PeerInfo, error) {
	links, err := NewLinks(nil, "")
	if err != nil {
		return nil, err
	}
	if len(ids) == 0 {
		ids = slices.Concat(known.Peers(kind, lab.ClientRole), known.Peers(kind, lab.ServerRole), known.Missing(kind))
	}
	ids = slices.Compact(slices.Sorted(slices.Values(ids)))
	r, err := Open(ctx, Config{Kind: kind, Run: NewRunID(), Links: links, Known: known, Peers: ids, ProbeAll: true, Progress: w})
	if err != nil {
		return nil, err
	}
	return r.Peers(), r.Close()
}
