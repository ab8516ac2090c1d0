package peers

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"hybridlab/lab"
	"hybridlab/lab/wire"
	"hybridlab/peers/config"
)

// configurable is a driver whose server can be told how to speak TLS by a file
// of the user's, in the language it returns; nil: it cannot.
type configurable interface{ language() config.Language }

func (s service) language() config.Language { return s.reads }

func (d openssl) language() config.Language {
	if d.oqs || d.tls12 {
		return nil
	}
	return config.OpenSSL
}

// Configured is a server of a row with whatever a configuration file of the
// user's says about TLS.
type Configured struct {
	config.Config
	Name string // the file's
	text []byte
}

// ParseConfigured takes "ROW:FILE" apart; false: it is something else, such as
// an image.
func (c Catalogue) ParseConfigured(spec string) (row Peer, file string, ok bool) {
	id, file, found := strings.Cut(spec, ":")
	row, err := c.Lookup(lab.PeerID(id))
	return row, file, found && file != "" && err == nil
}

// unfit is what a file name has that an id may not.
var unfit = regexp.MustCompile(`[^A-Za-z0-9._-]+`)

// ConfiguredID is what a row with a configuration file is called where the
// user does not say: "nginx@trixie-new.conf".
func ConfiguredID(row lab.PeerID, file string) lab.PeerID {
	base := file[strings.LastIndexByte(file, '/')+1:]
	return row + "-" + lab.PeerID(strings.Trim(unfit.ReplaceAllString(base, "-"), "-"))
}

// Configure makes a peer of a row and a configuration file: a server that
// speaks TLS as the file says, and takes no other list of groups.
func (c Catalogue) Configure(id lab.PeerID, row Peer, file string, text []byte) (Peer, error) {
	if _, err := c.Lookup(id); err == nil {
		return Peer{}, fmt.Errorf("configure %s by %s: there is a peer of that name; choose another (NAME@VERSION=%s:%s)", id, file, row.ID, file)
	}
	var read config.Language
	if d, ok := row.driver.(configurable); ok && row.Plays(lab.ServerRole) {
		read = d.language()
	}
	if read == nil {
		return Peer{}, fmt.Errorf("configure %s by %s: that takes nginx, haproxy, apache or openssl", row.ID, file)
	}
	conf, err := read.Read(file, text)
	if err != nil {
		return Peer{}, fmt.Errorf("configure %s: %w", row.ID, err)
	}
	p := row
	p.ID, p.Roles, p.config = id, serverOnly, &Configured{conf, file, text}
	if conf.Groups != "" {
		if p.Rules.Default, err = parseOpenSSLGroups(conf.Groups, row); err != nil {
			return Peer{}, fmt.Errorf("configure %s by %s: %w", row.ID, file, err)
		}
	}
	p.Rules = followConfig(p.Rules, conf)
	return p, nil
}

// followConfig are the rules of a server that a file has changed.
func followConfig(r lab.Rules, c config.Config) lab.Rules {
	switch c.Only {
	case config.TLS12:
		r = tls12(r)
	case config.TLS13:
		r.TLS13 = true
	}
	switch c.Order {
	case config.ServerOrder:
		r = ownOrder(r)
	case config.ClientOrder:
		r.ClientOrder, r.Old.ClientOrder = true, true
	}
	return r
}

// Config is the user's file that the peer is configured by; nil: there is none.
func (p Peer) Config() *Configured { return p.config }

// parseOpenSSLGroups reads a group list of OpenSSL: ":" inside a tuple, "/"
// between tuples, "*" before a group whose share a client sends, "?" before
// one that may be unknown, "-" before one that is taken out again, and DEFAULT
// for the row's own list (SSL_CTX_set1_groups_list(3)). A server that does not
// know one of the others does not start, which is what the error says.
func parseOpenSSLGroups(list string, row Peer) (lab.Offer, error) {
	var o lab.Offer
	tier := -1
	for part := range strings.SplitSeq(strings.ReplaceAll(list, " ", ""), "/") {
		tier++
		for entry := range strings.SplitSeq(part, ":") {
			name := strings.TrimLeft(entry, "*?-")
			marks := entry[:len(entry)-len(name)]
			if strings.EqualFold(name, "DEFAULT") {
				for _, l := range row.Rules.Default.Listed {
					o = withGroup(o, l.Group, tier+l.Tier)
				}
				tier += row.Rules.Default.Listed[len(row.Rules.Default.Listed)-1].Tier
				continue
			}
			g, err := wire.LookupGroup(name)
			switch unknown := err != nil || !slices.Contains(row.Groups, g); {
			case strings.Contains(marks, "-"):
				o.Listed = slices.DeleteFunc(o.Listed, func(l lab.ListedGroup) bool { return l.Group == g })
			case unknown && strings.Contains(marks, "?"):
			case unknown:
				return o, fmt.Errorf("the list of groups %q: %s does not know %q and would not start", list, row.ID, name)
			default:
				o = withGroup(o, g, tier)
			}
		}
	}
	if len(o.Listed) == 0 {
		return o, fmt.Errorf("the list of groups %q: nothing is left of it", list)
	}
	return consecutive(o), nil
}

func withGroup(o lab.Offer, g wire.Group, tier int) lab.Offer {
	if !o.Has(g) {
		o.Listed = append(o.Listed, lab.ListedGroup{Group: g, Tier: tier})
	}
	return o
}

// consecutive numbers the tiers without a gap.
func consecutive(o lab.Offer) lab.Offer {
	tier, last := -1, -1
	for i, l := range o.Listed {
		if l.Tier != last {
			tier++
		}
		last, o.Listed[i].Tier = l.Tier, tier
	}
	return o
}
