package rig

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"sync"

	"hybridlab/lab"
	"hybridlab/netem"
	"hybridlab/netem/box"
)

// Inputs are what the verdicts of a run are made from, apart from the cells.
// Two runs with the same inputs may take over each other's verdicts.
type Inputs struct {
	Tool             string // hybridlab's commit: rules, engine and embedded peers
	Fabric           Kind
	Kernel           string
	Seed             uint64
	Attempts, Repeat int
	Peers            []lab.PeerInfo
	Links            Links
	Boxes            Boxes
	Real             []lab.BoxInfo // real middleboxes among the boxes
}

// Named reports whether a commit says what hybridlab is. Verdicts of one that
// was changed since are good for its own run only.
func (in Inputs) Named() bool {
	return in.Tool != unknownTool && !strings.HasSuffix(in.Tool, dirty)
}

// ingredients are the inputs of one cell. They are fingerprinted as JSON, so
// that a field that is new or that has another name is another fingerprint:
// old verdicts then do not count, which is the safe side. The names of link and
// boxes are in the cell's id; here is what they stand for.
type ingredients struct {
	Cell           lab.Cell
	Fates          string // name by which chance treats the packets
	Link           netem.Link
	Boxes          []box.Program
	Client, Server peerInput
	Real           []peerInput `json:",omitempty"` // of the real middleboxes, client to server
}

type peerInput struct{ Version, Image string }

// Of is the fingerprint of a verdict on the cell that was held against the
// controls: SHA-256 in hex. It is empty where something has no name that would
// change with it.
func (in Inputs) Of(c lab.Cell, controls []lab.ControlTaken) string {
	if !in.Named() {
		return ""
	}
	all := []ingredients{}
	for _, k := range controls {
		control, err := lab.ParseCell(k.Cell)
		if err != nil {
			return ""
		}
		i, ok := in.of(control)
		if !ok {
			return ""
		}
		all = append(all, i)
	}
	this, ok := in.of(c)
	if !ok {
		return ""
	}
	b, err := json.Marshal(struct {
		Tool, Build, Fabric, Kernel string
		Seed                        uint64
		Attempts, Repeat            int
		Cells                       []ingredients // the controls, and the cell
	}{in.Tool, madeOf(), string(in.Fabric), in.Kernel, in.Seed, in.Attempts, in.Repeat, append(all, this)})
	if err != nil {
		return ""
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

func (in Inputs) of(c lab.Cell) (ingredients, bool) {
	link, err := in.Links.Lookup(c.Link)
	if err != nil {
		return ingredients{}, false
	}
	link.Name, link.About = "", ""
	boxes, err := in.Boxes.chain(c)
	client, haveClient := in.peer(c.Client)
	server, haveServer := in.peer(c.Server)
	real, haveReal := in.real(c)
	return ingredients{c, cmp.Or(c.Fates, c.ID), link, boxes, client, server, real}, err == nil && haveClient && haveServer && haveReal
}

// real tells the real middleboxes of a cell as peer does peers.
func (in Inputs) real(c lab.Cell) (out []peerInput, ok bool) {
	for _, ref := range c.Boxes {
		if !Real(ref) {
			continue
		}
		i := slices.IndexFunc(in.Real, func(b lab.BoxInfo) bool { return b.Name == ref })
		if i < 0 || in.Real[i].Image == "" {
			return nil, false
		}
		out = append(out, peerInput{in.Real[i].Version, in.Real[i].Image})
	}
	return out, true
}

// peer is what tells a peer from another of its name: the image by its digest,
// the program by its own words. Where it runs in this process that is Go's
// version, and the commit and the build say the rest.
func (in Inputs) peer(id lab.PeerID) (peerInput, bool) {
	for _, p := range in.Peers {
		if p.ID == id {
			return peerInput{p.Version, p.Image}, p.Unavailable == "" && (p.Image != "" || in.Fabric == Embedded)
		}
	}
	return peerInput{}, false
}

// madeOf is what this binary was made of and how Go was told to behave.
var madeOf = sync.OnceValue(func() string {
	var b strings.Builder
	fmt.Fprintln(&b, runtime.Version(), runtime.GOOS, runtime.GOARCH, os.Getenv("GODEBUG"))
	bi, ok := debug.ReadBuildInfo()
	if !ok {
		return b.String()
	}
	for _, s := range bi.Settings {
		if s.Key == "DefaultGODEBUG" {
			fmt.Fprintln(&b, s.Value)
		}
	}
	for _, m := range bi.Deps {
		if m.Replace != nil {
			m = m.Replace
		}
		fmt.Fprintln(&b, m.Path, m.Version, m.Sum)
	}
	return b.String()
})
