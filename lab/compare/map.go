package compare

import (
	"fmt"
	"slices"
	"strings"

	"hybridlab/lab"
)

// Map says which peer of the run before is compared with which of the run
// after. A run that has both can be compared with itself.
type Map []struct{ Before, After lab.PeerID }

// ParseMap reads entries of the form "nginx@trixie=nginx@forky".
func ParseMap(entries []string) (Map, error) {
	var m Map
	for _, e := range entries {
		a, b, ok := strings.Cut(e, "=")
		if !ok || a == "" || b == "" || a == b {
			return nil, fmt.Errorf("read map %q: want BEFORE=AFTER, such as nginx@trixie=nginx@forky", e)
		}
		for _, other := range m {
			if other.Before == lab.PeerID(a) || other.After == lab.PeerID(b) {
				return nil, fmt.Errorf("read map %q: %s=%s is in the map already", e, other.Before, other.After)
			}
		}
		m = append(m, struct{ Before, After lab.PeerID }{lab.PeerID(a), lab.PeerID(b)})
	}
	return m, nil
}

// KeyBefore is the id that a cell of the run before has in the run after. It
// ranks by the peers that the map renamed, the server before the client: where
// a run has both versions, what is compared is the one before.
func (m Map) KeyBefore(cell string) (key string, rank int) {
	client, server, cert, rest := split(cell)
	for i, p := range []*string{&client, &server} {
		if at := m.before(*p); at >= 0 {
			*p = string(m[at].After)
			rank += 1 + i
		}
	}
	return client + "/" + server + cert + rest, rank
}

// KeyAfter is the id of a cell of the run after, which has no peer that is
// compared as another one.
func (m Map) KeyAfter(cell string) (key string, rank int) {
	client, server, _, _ := split(cell)
	for _, p := range []string{client, server} {
		if m.before(p) >= 0 && m.after(p) < 0 {
			return "", -1
		}
	}
	return cell, 0
}

func (m Map) before(id string) int {
	return slices.IndexFunc(m, func(e struct{ Before, After lab.PeerID }) bool { return string(e.Before) == id })
}

func (m Map) after(id string) int {
	return slices.IndexFunc(m, func(e struct{ Before, After lab.PeerID }) bool { return string(e.After) == id })
}

// split takes a cell id apart: client, server, the certificate with its "+",
// and everything from the second slash.
func split(cell string) (client, server, cert, rest string) {
	client, rest, _ = strings.Cut(cell, "/")
	if i := strings.IndexByte(rest, '/'); i >= 0 {
		server, rest = rest[:i], rest[i:]
	} else {
		server, rest = rest, ""
	}
	if i := strings.IndexByte(server, '+'); i >= 0 {
		server, cert = server[:i], server[i:]
	}
	return client, server, cert, rest
}

// Check refuses an entry whose peer is in no cell of its run.
func (m Map) Check(before, after lab.Report) error {
	has := func(r lab.Report, id lab.PeerID) bool {
		return slices.ContainsFunc(r.Peers, func(p lab.PeerInfo) bool { return p.ID == id })
	}
	for _, e := range m {
		for _, s := range []struct {
			when string
			rep  lab.Report
			id   lab.PeerID
		}{{"before", before, e.Before}, {"after", after, e.After}} {
			if !has(s.rep, s.id) {
				return fmt.Errorf("use map %s=%s: the run %s has no peer %s; it has %s", e.Before, e.After, s.when, s.id, peersOf(s.rep))
			}
		}
	}
	return nil
}

func peersOf(r lab.Report) string {
	var ids []string
	for _, p := range r.Peers {
		ids = append(ids, string(p.ID))
	}
	return strings.Join(ids, ", ")
}
