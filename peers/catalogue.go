package peers

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"hybridlab/lab"
	"hybridlab/lab/wire"
)

// Catalogue is the peers of a run, sorted by id: the table's rows, and those
// of images that the user brought.
type Catalogue []Peer

// Table returns the rows of the table. The slice is the caller's.
func Table() Catalogue { return slices.Clone(table) }

// Lookup finds a row of the table; the error names those there are.
func Lookup(id lab.PeerID) (Peer, error) { return Catalogue(table).Lookup(id) }

// Lookup finds a peer, which may have settings; the error names those there
// are.
func (c Catalogue) Lookup(id lab.PeerID) (Peer, error) {
	name, set, err := lab.SplitSettings(string(id))
	if err != nil {
		return Peer{}, fmt.Errorf("look up peer: %w", err)
	}
	p, err := c.row(lab.PeerID(name))
	if err != nil || set == nil {
		return p, err
	}
	if p.set == nil {
		return p, fmt.Errorf("look up peer %q: %s takes no settings", id, name)
	}
	p.ID = id
	if p, err = p.set(p, override(p.settings, set)); err != nil {
		return p, fmt.Errorf("look up peer %q: %w", id, err)
	}
	return p, nil
}

// override is the settings old with those of set in their place or after.
func override(old, set []lab.Setting) []lab.Setting {
	kept := slices.DeleteFunc(slices.Clone(old), func(o lab.Setting) bool {
		return slices.ContainsFunc(set, func(s lab.Setting) bool { return s.Key == o.Key })
	})
	return append(kept, set...)
}

// row finds a peer without settings.
func (c Catalogue) row(id lab.PeerID) (Peer, error) {
	var ids []string
	for _, p := range c {
		if p.ID == id {
			return p, nil
		}
		if profile := p.About != ""; profile == strings.HasPrefix(string(id), "crafted@") {
			ids = append(ids, string(p.ID)) // many: named only to those who look for one
		}
	}
	return Peer{}, fmt.Errorf("look up peer %q: want one of %s; or bring an image (--peer NAME@VERSION=IMAGE) or a configuration file (--peer NAME@VERSION=ROW:FILE) of your own", id, strings.Join(ids, ", "))
}

// Image is a container image that the user gives for a peer.
type Image struct {
	Ref    string            // as the user wrote it
	Entry  []string          // the program it starts, with arguments
	Labels map[string]string // for a peer of CONTRACT.md: what it can do
}

// ownID is what a peer may be called: it becomes part of cell ids.
var ownID = regexp.MustCompile(`^[a-z0-9][a-z0-9.-]*@[A-Za-z0-9][A-Za-z0-9._-]*$`)

// ParseOwn reads "NAME@VERSION=IMAGE" or "NAME@VERSION=ROW:FILE".
func ParseOwn(spec string) (id lab.PeerID, ref string, err error) {
	name, ref, _ := strings.Cut(spec, "=")
	if !ownID.MatchString(name) || ref == "" {
		return "", "", fmt.Errorf("read peer %q: want NAME@VERSION=IMAGE, such as nginx@mine=registry.example/nginx:1.30, or NAME@VERSION=ROW:FILE, such as nginx@mine=nginx@trixie:nginx.conf", spec)
	}
	return lab.PeerID(name), ref, nil
}

// Bring makes a peer of an image. Where the table has peers of that name, it
// is configured as one of them: the one whose version the id's begins with
// ("openssl@bookworm-mine"), else trixie's, else the first. Any other name is
// a peer of CONTRACT.md.
func (c Catalogue) Bring(id lab.PeerID, img Image) (Peer, error) {
	if _, err := c.Lookup(id); err == nil {
		return Peer{}, fmt.Errorf("use image %q as %s: there is a peer of that name; choose another version, such as %s-mine", img.Ref, id, id)
	}
	p, known := c.like(id)
	if !known {
		var err error
		if p, err = byContract(img); err != nil {
			return Peer{}, fmt.Errorf("use image %q as %s: %w", img.Ref, id, err)
		}
	}
	p.ID, p.Image, p.Folder, p.Suite, p.Missing, p.local, p.set = id, img.Ref, "", "", "", nil, nil
	p.Rules.Hello = lab.HelloSize{} // of the row's version, not of this one
	return p, nil
}

// Recall makes the row again of a peer that was brought to an earlier run,
// from what the run recorded: enough to judge by, and nothing to start.
func (c Catalogue) Recall(id lab.PeerID, client, server []wire.Group, rules lab.Rules) Peer {
	p, known := c.like(id)
	if !known {
		p = Peer{Rules: rules, driver: contract{}}
	}
	if p.Missing != "" {
		p.Rules = rules // what its image was asked for
	}
	p.ID, p.Image, p.Missing, p.local, p.set, p.Roles = id, "recorded", "", nil, nil, nil
	p.Rules.Hello = lab.HelloSize{}
	if p.Groups = client; client != nil {
		p.Roles = append(p.Roles, lab.ClientRole)
	}
	if server != nil {
		p.Groups, p.Roles = server, append(p.Roles, lab.ServerRole)
	}
	return p
}

// like finds the row that a peer of the same name is configured as.
func (c Catalogue) like(id lab.PeerID) (best Peer, ok bool) {
	name, version, _ := strings.Cut(string(id), "@")
	for _, p := range c {
		n, v, _ := strings.Cut(string(p.ID), "@")
		switch {
		case n != name || p.Image != "":
		case strings.HasPrefix(version, v+"-"):
			return p, true
		case !ok || v == "trixie":
			best, ok = p, true
		}
	}
	return best, ok
}

// With is the catalogue and one more peer.
func (c Catalogue) With(p Peer) Catalogue {
	out := append(slices.Clone(c), p)
	slices.SortFunc(out, func(a, b Peer) int { return strings.Compare(string(a.ID), string(b.ID)) })
	return out
}

// The labels of an image that follows CONTRACT.md.
const (
	labelRoles   = "hybridlab.roles"
	labelGroups  = "hybridlab.groups"
	labelDefault = "hybridlab.default"
	labelShares  = "hybridlab.default.shares"
	labelCerts   = "hybridlab.certs"
)

// byContract makes a row of what an image says of itself. How it chooses is
// not known, so any common group may come out.
func byContract(img Image) (p Peer, err error) {
	label := func(name string) string { return strings.ReplaceAll(img.Labels[name], " ", "") }
	if len(img.Entry) == 0 {
		return p, fmt.Errorf("it starts nothing: it needs an ENTRYPOINT (%s)", contractPage)
	}
	p.driver = contract{argv: img.Entry}
	for role := range strings.SplitSeq(label(labelRoles), ",") {
		switch r := lab.Role(role); r {
		case lab.ClientRole, lab.ServerRole:
			p.Roles = append(p.Roles, r)
		default:
			return p, fmt.Errorf("label %s=%q: want client, server or client,server (%s)", labelRoles, img.Labels[labelRoles], contractPage)
		}
	}
	for name := range strings.SplitSeq(label(labelGroups), ",") {
		g, err := wire.LookupGroup(name)
		if err != nil {
			return p, fmt.Errorf("label %s: %w (%s)", labelGroups, err, contractPage)
		}
		p.Groups = append(p.Groups, g)
	}
	if p.Rules.Default, err = parseContractOffer(label(labelDefault), label(labelShares)); err != nil {
		return p, fmt.Errorf("labels %s and %s: %w", labelDefault, labelShares, err)
	}
	p.Rules.Certs = classicalCerts
	if certs := label(labelCerts); certs != "" {
		p.Rules.Certs = strings.Split(certs, ",")
		for _, kind := range p.Rules.Certs {
			if err := CheckCert(kind); err != nil {
				return p, fmt.Errorf("label %s: %w (%s)", labelCerts, err, contractPage)
			}
		}
	}
	return p, nil
}

const contractPage = "see peers/CONTRACT.md; docker/example is a complete image"
