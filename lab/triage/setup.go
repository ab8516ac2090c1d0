package triage

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"hybridlab/lab"
	"hybridlab/lab/wire"
)

// The peers that trials are made with, where the finding's own will not do.
const (
	craftedPeer  lab.PeerID = "crafted"       // takes settings, and any group
	goPeer       lab.PeerID = "go@1.26"       // a second server to compare with
	oldPeer      lab.PeerID = "go-tls12@1.26" // TLS 1.2 at most
	jumboMTU                = 9000
	smallMSS                = 536
	paddedBytes             = 400 // of a small hello that is to be cut: its offsets are then known
	lastCut                 = paddedBytes - 1
	firstCut                = 20 // before anything but the record and message headers and a part of the random
	lastRecord              = paddedBytes - 5 - 1
	testGap                 = 50 // ms
	manySchemes             = 100
	recordBytes             = 1000
	anotherSeeds            = 3
)

// setup is everything of a cell that a trial may change.
type setup struct {
	client        lab.PeerID // without settings
	set           []lab.Setting
	server        lab.PeerID
	offer, accept lab.Offer
	link          string
	boxes         []string
	cert          string
}

func (s setup) trial(changed string, args ...any) Trial {
	client := lab.PeerID(lab.JoinSettings(string(s.client), s.set))
	c := lab.NewCell(client, s.server, s.offer, s.accept, s.link, s.boxes...)
	if s.cert != "" {
		c = c.WithCert(s.cert)
	}
	return Trial{Changed: fmt.Sprintf(changed, args...), Cell: c}
}

// with is the setup with settings of the client changed or added.
func (s setup) with(set ...lab.Setting) setup {
	for _, one := range set {
		s = s.without(one.Key)
		s.set = append(s.set, one)
	}
	return s
}

func (s setup) without(keys ...string) setup {
	s.set = slices.DeleteFunc(slices.Clone(s.set), func(o lab.Setting) bool { return slices.Contains(keys, o.Key) })
	return s
}

func (s setup) has(key string) bool {
	return slices.ContainsFunc(s.set, func(o lab.Setting) bool { return o.Key == key })
}

// over is the setup over its link with one more setting.
func (s setup) over(key string, value int) setup {
	name, set, err := lab.SplitSettings(s.link)
	if err == nil {
		set = slices.DeleteFunc(set, func(o lab.Setting) bool { return o.Key == key })
		s.link = lab.JoinSettings(name, append(set, number(key, value)))
	}
	return s
}

func (s setup) groups(offer, accept lab.Offer) setup {
	s.offer, s.accept = offer, accept
	return s
}

func number(key string, n int) lab.Setting { return lab.Setting{Key: key, Value: strconv.Itoa(n)} }

func on(key string) lab.Setting { return lab.Setting{Key: key} }

func gapOf(ms int) lab.Setting { return lab.Setting{Key: "gap", Value: fmt.Sprintf("%dms", ms)} }

// set makes the three setups that trials start from: the finding's own, its
// imitation, and a small hello with one classical group.
func (x *explorer) set() {
	c := x.f.Seen.Cell
	base, set := x.Settings(c.Client)
	x.real = setup{client: c.Client, server: c.Server, offer: c.Offer, accept: c.Accept, link: c.Link, boxes: c.Boxes, cert: c.Cert}
	x.mimic = x.real
	x.mimic.client, x.mimic.set = craftedPeer, slices.Clone(set)
	x.mimic.offer = x.offered()
	if h, ok := x.hello(); ok && base != craftedPeer {
		x.mimic.set = []lab.Setting{number("pad", h.Bytes)}
		for _, trait := range h.Traits {
			x.mimic.set = append(x.mimic.set, on(trait))
		}
	}
	x.small = x.real.groups(only(x.classical()), only(x.classical()))
	x.small.client = craftedPeer
}

// hello is the finding's first ClientHello.
func (x *explorer) hello() (lab.Hello, bool) {
	if hs := x.f.Seen.Wire.ClientHellos; len(hs) > 0 {
		return hs[0], true
	}
	return lab.Hello{}, false
}

// bytes is the size of the finding's largest ClientHello.
func (x *explorer) bytes() int {
	most := 0
	for _, h := range x.f.Seen.Wire.ClientHellos {
		most = max(most, h.Bytes)
	}
	return most
}

// offered is the offer that the finding's hello made on the wire, as far as
// the crafted client can make it too.
func (x *explorer) offered() lab.Offer {
	h, ok := x.hello()
	if !ok {
		return x.real.offer
	}
	var o lab.Offer
	for _, g := range h.Groups {
		if x.Known.Unsupported(craftedPeer, lab.ClientRole, only(g)) == "" && !o.Has(g) {
			o.Listed = append(o.Listed, lab.ListedGroup{Group: g, Share: lab.ShareWithheld})
		}
	}
	return sharing(o, h.Shares...)
}

// sharing is the offer with the shares of these groups sent and no others.
func sharing(o lab.Offer, shares ...wire.Group) lab.Offer {
	some := slices.ContainsFunc(o.Listed, func(l lab.ListedGroup) bool { return slices.Contains(shares, l.Group) })
	o.Listed = slices.Clone(o.Listed)
	for i := range o.Listed {
		l := &o.Listed[i]
		switch {
		case !some:
			l.Share = lab.ShareWithheld
		case slices.Contains(shares, l.Group):
			l.Share = lab.ShareSent
		default:
			l.Share = lab.ShareDefault
		}
	}
	return o
}

func only(gs ...wire.Group) lab.Offer {
	var o lab.Offer
	for _, g := range gs {
		o.Listed = append(o.Listed, lab.ListedGroup{Group: g})
	}
	return o
}

// classical is the classical group of the small hello: the first that the
// server can be set to.
func (x *explorer) classical() wire.Group {
	for _, g := range []wire.Group{wire.X25519, wire.SecP256r1, wire.SecP384r1} {
		if x.Known.Unsupported(x.f.Seen.Cell.Server, lab.ServerRole, only(g)) == "" {
			return g
		}
	}
	return wire.X25519
}

// another is a classical group beside that one.
func (x *explorer) another() wire.Group {
	if x.classical() == wire.X25519 {
		return wire.SecP256r1
	}
	return wire.X25519
}

// postQuantum are the post-quantum groups of the imitation, best first.
func (x *explorer) postQuantum() []wire.Group {
	return slices.DeleteFunc(x.mimic.offer.Groups(), func(g wire.Group) bool { return !g.PostQuantum() })
}

// The trials. Each is named for what is different.

func (x *explorer) clean() Trial {
	s := x.real
	if s.link = x.CleanLink(s.link); s.link == x.real.link {
		return Trial{}
	}
	return s.trial("a clean link")
}

func (x *explorer) bare() Trial {
	s := x.real
	if s.boxes = nil; len(x.real.boxes) == 0 {
		return Trial{}
	}
	return s.trial("no box")
}

// unboxed leaves one box of several out.
func (x *explorer) unboxed(i int) Trial {
	s := x.real
	s.boxes = slices.Delete(slices.Clone(s.boxes), i, i+1)
	return s.trial("no box %s", x.real.boxes[i])
}

func (x *explorer) reseeded(n int) Trial {
	t := x.real.trial("another seed")
	t.Seed = 1000 + uint64(n)
	return t
}

func (x *explorer) imitated() Trial { return x.mimic.trial("an imitation of the hello") }

// without leaves out one peculiarity of the imitation.
func (x *explorer) without(keys ...string) Trial {
	return x.mimic.without(keys...).trial("the imitation without %s", strings.Join(keys, " and "))
}

// whole sends the hello in one segment.
func (x *explorer) whole(s setup) Trial {
	return s.without("cut", "segments", "gap").over("mtu", jumboMTU).trial("%s in one segment (MTU %s)", x.called(s), count(jumboMTU))
}

// cutWhole sends the hello in two segments where everything else, the answer
// too, takes one.
func (x *explorer) cutWhole() Trial {
	return x.mimic.with(number("cut", firstCut)).over("mtu", jumboMTU).trial("the imitation cut in two, and nothing else (MTU %s)", count(jumboMTU))
}

// chopped sends everything in small packets.
func (x *explorer) chopped(s setup) Trial { return x.segmented(s, smallMSS) }

func (x *explorer) segmented(s setup, mss int) Trial {
	return s.over("mss", mss).trial("%s, no TCP segment over %s bytes", x.called(s), count(mss))
}

func (x *explorer) called(s setup) string {
	switch {
	case s.client == x.real.client && len(s.set) == 0:
		return "the same"
	case s.offer.String() == x.small.offer.String():
		return fmt.Sprintf("%s alone%s,", x.classical(), inWords(s.set))
	}
	return "the imitation"
}

// ownClassical is the finding's own client with the classical group.
func (x *explorer) ownClassical() Trial {
	g := only(x.classical())
	return x.real.groups(g, g).trial("%s at both ends", x.classical())
}

// ownAnother is the same with another classical group than the finding's.
func (x *explorer) ownAnother() Trial {
	g := wire.SecP256r1
	if x.real.offer.Has(g) {
		g = wire.X25519
	}
	return x.real.groups(only(g), only(g)).trial("%s at both ends", g)
}

// little is the small hello with settings.
func (x *explorer) little(set ...lab.Setting) Trial {
	return x.small.with(set...).trial("%s alone%s", x.classical(), inWords(set))
}

func padded(n int) lab.Setting { return number("pad", n) }

// listing is the small hello with the group named in supported_groups, and no
// share of it.
func (x *explorer) listing(g wire.Group, set ...lab.Setting) Trial {
	c := x.classical()
	return x.small.groups(sharing(only(c, g), c), only(c)).with(set...).trial("%s's share sent, %s only listed%s", c, g, inWords(set))
}

// offering is the imitation with one post-quantum group only, its share sent,
// to a server that knows the classical one only.
func (x *explorer) offering(g wire.Group) Trial {
	c := x.classical()
	return x.mimic.groups(sharing(only(g, c), g, c), only(c)).trial("%s's share sent to a server that takes %s only", g, c)
}

// choosing is the imitation with one post-quantum group only, for the server
// to take.
func (x *explorer) choosing(g wire.Group) Trial {
	return x.mimic.groups(only(g), only(g)).trial("%s alone", g)
}

// beside is the imitation with that group's share sent and the classical group
// listed, for the server to take the former; both sends both shares.
func (x *explorer) beside(g wire.Group) Trial {
	return x.mimic.groups(sharing(only(g, x.classical()), g), only(g)).trial("%s's share sent, %s only listed", g, x.classical())
}

func (x *explorer) both(g wire.Group) Trial {
	return x.mimic.groups(sharing(only(g, x.classical()), g, x.classical()), only(g)).trial("the shares of %s and %s sent, for the server to take the former", g, x.classical())
}

// retried is a small hello that must be answered with a HelloRetryRequest.
func (x *explorer) retried() Trial {
	c, d := x.classical(), x.another()
	return x.small.groups(sharing(only(d, c), d), only(c)).trial("%s after a HelloRetryRequest", c)
}

// direct is the imitation with the share that the HelloRetryRequest asked for.
func (x *explorer) direct() Trial {
	r := x.f.Seen.Wire.HRR
	if r == nil || r.Group == 0 {
		return Trial{}
	}
	return x.sending(r.Group)
}

// sending is the imitation with this group's share sent, beside those it sends.
func (x *explorer) sending(g wire.Group) Trial {
	h, _ := x.hello()
	return x.mimic.groups(sharing(x.mimic.offer, append(slices.Clone(h.Shares), g)...), x.mimic.accept).trial("%s's share sent at once", g)
}

// older is a client of TLS 1.2, newer the same with TLS 1.3. The server is one
// that speaks both.
func (x *explorer) older() Trial {
	s := x.bilingual()
	s.client, s.set = oldPeer, nil
	return s.trial("a client of TLS 1.2%s", x.from(s))
}

func (x *explorer) newer() Trial {
	s := x.bilingual()
	return s.trial("%s alone%s", wire.SecP256r1, x.from(s))
}

func (x *explorer) bilingual() setup {
	s := x.small.groups(only(wire.SecP256r1), only(wire.SecP256r1))
	if x.Known.Rules(s.server).TLS13 {
		s.server = goPeer
	}
	return s
}

// from names the server where it is not the finding's.
func (x *explorer) from(s setup) string {
	if s.server == x.real.server {
		return ""
	}
	return fmt.Sprintf(", %s as the server", s.server)
}

// elsewhere is the imitation sent to another server.
func (x *explorer) elsewhere() Trial {
	s := x.mimic
	base, _ := x.Settings(s.server)
	if s.server = craftedPeer; base == craftedPeer {
		s.server = goPeer
	}
	return s.trial("%s as the server", s.server)
}

// inWords says what settings do to a hello.
func inWords(set []lab.Setting) string {
	var b strings.Builder
	for _, s := range set {
		words, ok := settingWords[s.Key]
		b.WriteString(", ")
		switch n, err := strconv.Atoi(s.Value); {
		case !ok:
			b.WriteString(s.String())
		case err == nil:
			fmt.Fprintf(&b, words, count(n))
		case s.Value != "":
			fmt.Fprintf(&b, words, s.Value)
		default:
			b.WriteString(words)
		}
	}
	return b.String()
}

var settingWords = map[string]string{
	"pad": "padded to %s bytes", "cut": "its first segment %s bytes", "gap": "the rest %s later", "record": "its first record %s bytes",
	"records": "no record over %s bytes", "segments": "no segment over %s bytes", "schemes": "%s more signature schemes",
	"late-name": "server_name last", "grease": "GREASE in its lists", "ml-dsa": "ML-DSA in signature_algorithms", "ml-dsa-cert": "ML-DSA in signature_algorithms_cert",
}

// count writes a number with commas.
func count(n int) string {
	s := strconv.Itoa(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
