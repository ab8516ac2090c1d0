package rig

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"hybridlab/docker"
	"hybridlab/lab"
	"hybridlab/peers"
	"hybridlab/peers/config"
)

// Catalogue is the peers of a run as the planner, the judge and the fabrics
// need them: the table's rows, and the images that the user brought. The zero
// value has the table only.
type Catalogue struct{ rows peers.Catalogue }

var _ lab.Catalogue = Catalogue{}

// table is the built-in rows.
var table = peers.Table()

func (c Catalogue) all() peers.Catalogue {
	if c.rows == nil {
		return table
	}
	return c.rows
}

// Bring adds the user's own peers to the table: images, each given as
// NAME@VERSION=IMAGE, and rows of the table with a configuration file,
// NAME@VERSION=ROW:FILE. An image that is not here is pulled.
func Bring(ctx context.Context, k Kind, specs []string) (Catalogue, error) {
	var c Catalogue
	if len(specs) == 0 {
		return c, nil
	}
	if k != Containers {
		return c, errors.New("use an image or a configuration file as a peer: it needs --fabric containers")
	}
	d, err := docker.Connect(ctx)
	if err != nil {
		return c, err
	}
	defer d.Close()
	for _, spec := range specs {
		id, ref, err := peers.ParseOwn(spec)
		if err != nil {
			return c, err
		}
		if row, file, ok := c.all().ParseConfigured(ref); ok {
			p, err := c.configure(id, row, file)
			if err != nil {
				return c, err
			}
			c.rows = c.all().With(p)
			continue
		}
		img, err := d.Find(ctx, ref)
		if err != nil {
			return c, fmt.Errorf("use an image as peer %s: %w", id, err)
		}
		p, err := c.all().Bring(id, peers.Image{Ref: ref, Entry: img.Entry, Labels: img.Labels})
		if err != nil {
			return c, err
		}
		if argv := p.Asks(); argv != nil {
			answer, err := d.Ask(ctx, img.ID, argv)
			if err == nil {
				p, err = p.Told(answer)
			}
			if err != nil {
				return c, fmt.Errorf("use image %q as %s: %w", ref, id, err)
			}
		}
		c.rows = c.all().With(p)
	}
	return c, nil
}

// maxConfig bounds a configuration file, in bytes.
const maxConfig = 256 << 10

func (c Catalogue) configure(id lab.PeerID, row peers.Peer, file string) (peers.Peer, error) {
	f, err := os.Open(file)
	if err != nil {
		return peers.Peer{}, fmt.Errorf("configure %s: %w", row.ID, err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxConfig+1))
	if err != nil {
		return peers.Peer{}, fmt.Errorf("configure %s: %w", row.ID, err)
	}
	if len(text) > maxConfig {
		return peers.Peer{}, fmt.Errorf("configure %s: %s is larger than %d bytes", row.ID, file, maxConfig)
	}
	return c.all().Configure(id, row, file, text)
}

// configInfo is what a report says of a configuration file.
func configInfo(c *peers.Configured) *lab.ConfigInfo {
	lines := func(ls []config.Line) []string {
		var out []string
		for _, l := range ls {
			out = append(out, l.String())
		}
		return out
	}
	return &lab.ConfigInfo{File: c.Name, Taken: lines(c.Taken), Left: lines(c.Left)}
}

// Configs are what the files said by which the user's own peers are
// configured.
func (c Catalogue) Configs() map[lab.PeerID]*lab.ConfigInfo {
	out := map[lab.PeerID]*lab.ConfigInfo{}
	for _, p := range c.rows {
		if p.Config() != nil {
			out[p.ID] = configInfo(p.Config())
		}
	}
	return out
}

// IsConfigured reports whether text is ROW:FILE, a row of the table with a
// configuration file, and what that is called where the user does not say.
func IsConfigured(text string) (lab.PeerID, bool) {
	row, file, ok := table.ParseConfigured(text)
	return peers.ConfiguredID(row.ID, file), ok
}

// Recall is the catalogue by which a stored run is judged again: today's
// table, and the peers that were brought to that run, as it recorded them.
func Recall(infos []lab.PeerInfo) Catalogue {
	var c Catalogue
	for _, i := range infos {
		if i.Rules != nil {
			p := c.all().Recall(i.ID, i.Client.Declared, i.Server.Declared, *i.Rules)
			if i.Config != nil {
				p.Rules = *i.Rules // the row's, as the file changed them
			}
			c.rows = c.all().With(p)
		}
	}
	return c
}

// Brought lists the user's own peers.
func (c Catalogue) Brought() []lab.PeerID {
	var out []lab.PeerID
	for _, p := range c.rows {
		if p.Image != "" || p.Config() != nil {
			out = append(out, p.ID)
		}
	}
	return out
}

// Peers lists the peers that have the role in the fabric, without the
// profiles of peers.
func (c Catalogue) Peers(k Kind, role lab.Role) []lab.PeerID {
	var out []lab.PeerID
	for _, p := range c.all() {
		if p.About == "" && p.Missing == "" && p.Plays(role) && k.runs(p) {
			out = append(out, p.ID)
		}
	}
	return out
}

// Missing lists the peers of the fabric that have no image: they are reported
// as unavailable, with the reason, until the user brings one.
func (c Catalogue) Missing(k Kind) []lab.PeerID {
	var out []lab.PeerID
	for _, p := range c.all() {
		brought := slices.ContainsFunc(c.Brought(), func(id lab.PeerID) bool { return strings.HasPrefix(string(id), string(p.ID)+"@") })
		if p.Missing != "" && k == Containers && !brought {
			out = append(out, p.ID)
		}
	}
	return out
}

// Profiles lists the profiles of the crafted peer that have the role; every
// fabric runs them.
func Profiles(role lab.Role) []lab.PeerID { return peers.Profiles(role) }

// Settings takes a peer's id apart: what it is without settings, and those it
// has or, being a profile, stands for.
func (c Catalogue) Settings(id lab.PeerID) (lab.PeerID, []lab.Setting) {
	p, err := c.all().Lookup(id)
	if err != nil {
		return id, nil
	}
	return p.Base()
}

// SettingsHelp describes the settings that the crafted peer takes.
func SettingsHelp() string { return peers.SettingsHelp() }

// Check says whether a peer has the role in the fabric; the error names those
// that have.
func (c Catalogue) Check(k Kind, id lab.PeerID, role lab.Role) error {
	p, err := c.all().Lookup(id)
	switch {
	case err != nil:
		return err
	case p.Missing != "":
		return fmt.Errorf("use %s as %s: %s", id, role, p.Missing)
	case !p.Plays(role):
		return fmt.Errorf("use %s as %s: it has no such role; want one of %s", id, role, join(c.Peers(k, role)))
	case !k.runs(p):
		return fmt.Errorf("use %s in the embedded fabric: it runs in containers only; want one of %s", id, join(c.Peers(k, role)))
	}
	return nil
}

// CheckPeer is Check for a peer in whichever role it has.
func (c Catalogue) CheckPeer(k Kind, id lab.PeerID) error {
	err := c.Check(k, id, lab.ClientRole)
	if err != nil && c.Check(k, id, lab.ServerRole) == nil {
		return nil
	}
	return err
}

// runs reports whether the fabric can run the peer at all.
func (k Kind) runs(p peers.Peer) bool {
	_, err := peers.InProcess(p.ID)
	return k == Containers || err == nil
}

// Rules implements lab.Catalogue.
func (c Catalogue) Rules(id lab.PeerID) lab.Rules {
	p, err := c.all().Lookup(id)
	if err != nil {
		return lab.Rules{}
	}
	return p.Rules
}

// Unsupported implements lab.Catalogue.
func (c Catalogue) Unsupported(id lab.PeerID, role lab.Role, o lab.Offer) string {
	p, err := c.all().Lookup(id)
	if err != nil {
		return err.Error()
	}
	if err := p.Supports(role, o); err != nil {
		return err.Error()
	}
	return ""
}
