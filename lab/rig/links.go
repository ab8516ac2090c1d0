package rig

import (
	"context"
	"fmt"
	"io"
	"slices"
	"time"

	"hybridlab/lab"
	"hybridlab/netem"
)

// Links are the links a run may name: the library's, and the user's own.
type Links map[string]netem.Link

// The links that controls use in place of any other.
const (
	cleanV4 = "clean"
	cleanV6 = "clean-v6"
)

// NewLinks joins the library with the links read from r, which may be nil.
// A user's link may not take a library link's name.
func NewLinks(r io.Reader, name string) (Links, error) {
	ls := Links{}
	for _, l := range netem.Links() {
		ls[l.Name] = l
	}
	if r == nil {
		return ls, nil
	}
	own, err := netem.LoadLinks(r, name)
	if err != nil {
		return nil, err
	}
	for _, l := range own {
		if _, taken := ls[l.Name]; taken {
			return nil, fmt.Errorf("read links from %s: %q is the name of a link of the library; choose another", name, l.Name)
		}
		ls[l.Name] = l
	}
	return ls, nil
}

// Lookup finds a link by name, which may have settings: "clean{mtu=9000}". The
// error names the valid ones.
func (ls Links) Lookup(text string) (netem.Link, error) {
	name, set, err := lab.SplitSettings(text)
	if err != nil {
		return netem.Link{}, fmt.Errorf("look up link: %w", err)
	}
	l, ok := ls[name]
	if !ok {
		return netem.Link{}, fmt.Errorf("look up link %q: want one of %s", name, join(ls.Names()))
	}
	for _, s := range set {
		if l, err = l.Set(s.Key, s.Value); err != nil {
			return netem.Link{}, fmt.Errorf("look up link %q: %w", text, err)
		}
	}
	return l, nil
}

// get is the link of a name that was looked up before.
func (ls Links) get(text string) netem.Link {
	l, _ := ls.Lookup(text)
	return l
}

// Names lists the links, sorted.
func (ls Links) Names() []string {
	var names []string
	for n := range ls {
		names = append(names, n)
	}
	slices.Sort(names)
	return names
}

// Clean names the unimpaired link of the same family.
func (ls Links) Clean(link string) string {
	if ls.get(link).V6() {
		return cleanV6
	}
	return cleanV4
}

// Infos say what the named links do, for the report.
func (ls Links) Infos(names []string) []lab.LinkInfo {
	var out []lab.LinkInfo
	for _, n := range names {
		l := ls.get(n)
		_, err := netem.LookupLink(l.Name)
		out = append(out, lab.LinkInfo{
			Name: n, About: l.About, RTTMS: float64(l.Up.Delay+l.Down.Delay) / float64(time.Millisecond), MTU: l.Up.MTU, IPv6: l.V6(),
			Entry: l.Text(), Own: err != nil,
		})
	}
	return out
}

// Round trips a handshake may take: TCP, hello, HelloRetryRequest, and one
// for a flight beyond the initial congestion window.
const handshakeTrips = 4

// slack is what the peers' own work and this machine may add before a
// handshake counts as slow: just under TCP's initial retransmission timeout
// of 1 s (RFC 6298 section 2.1), so that one unexplained timeout shows.
const slack = 900 * time.Millisecond

// flightBytes bounds what both ends send in a handshake, headers included.
const flightBytes = 16 << 10

// budget is the longest a handshake takes that the link explains when it
// drops nothing.
func budget(l netem.Link) time.Duration {
	return handshakeTrips*(oneWay(l.Up)+oneWay(l.Down)) + serialise(l.Up) + serialise(l.Down) + slack
}

func oneWay(s netem.Shape) time.Duration {
	d := s.Delay + s.Jitter
	if s.Reorder.Rate > 0 {
		d += max(s.Reorder.By, netem.DefaultReorder)
	}
	return d
}

func serialise(s netem.Shape) time.Duration {
	if s.Rate <= 0 {
		return 0
	}
	return time.Duration(flightBytes * 8 * int64(time.Second) / int64(s.Rate))
}

// patience is how long an attempt may take before the lab stops it. Where
// the link loses packets by chance it covers four retransmissions of a SYN
// (at 1, 3, 7 and 15 s), and where it asks for smaller packets their repair;
// elsewhere five of a segment, enough to see that the
// same one is lost each time.
func patience(l netem.Link) time.Duration {
	if chancy(l.Up) || chancy(l.Down) || told(l.Up) || told(l.Down) {
		return 17*time.Second + 2*budget(l)
	}
	return 3*time.Second + 2*budget(l)
}

// wait is how long the client may take. In a hurry it is twice what the link
// explains and what the fabric's peers need, where nothing on the link takes
// a retransmission to repair.
//
// A real middlebox may have patience of its own before it decides.
func (r road) wait(ctx context.Context, client lab.PeerID, l netem.Link, behind bool) time.Duration {
	most := patience(l)
	if behind {
		most += boxPatience
	} else if lab.Hurried(ctx) && !chancy(l.Up) && !chancy(l.Down) && !told(l.Up) && !told(l.Down) {
		most = 2*(budget(l)-slack) + r.kind.answer()
	}
	return most + pauseOf(client)
}

// boxPatience is longer than the five seconds that routers are mostly told to
// wait for a hello.
const boxPatience = 4 * time.Second

// answer is how long peers take at most that answer at all, on a machine that
// has other things to do.
func (k Kind) answer() time.Duration {
	if k == Embedded {
		return 150 * time.Millisecond
	}
	return 1500 * time.Millisecond
}

// told reports whether the shape refuses large packets and says so: a sender
// that has a whole flight under way may repair it one packet a timeout.
func told(s netem.Shape) bool { return s.MTU > 0 && (s.TooBig == "" || s.TooBig == netem.SendICMP) }

// chancy reports whether the shape loses or damages packets by chance.
func chancy(s netem.Shape) bool {
	return s.Loss.Rate > 0 || s.Loss.Burst.Enter > 0 || s.Corrupt.Rate > 0
}
