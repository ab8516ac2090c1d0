package peers

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"hybridlab/lab"
	"hybridlab/peers/crafted"
)

// The crafted peer and its profiles take settings: "crafted{pad=1449,cut=100}"
// is a client whose hello is padded to 1,449 bytes and sent in two segments,
// the first of 100. Each names one thing about the hello, so that one thing at
// a time can be changed.

// shapeSetting is one of them.
type shapeSetting struct {
	key  string
	role lab.Role // whose hello it shapes; either
	want string   // what its value may be; empty: it has none
	does string   // what it does then
	set  func(s *Shape, value string) bool
}

// maxOffset bounds an offset into a hello, in bytes: no handshake message that
// the crafted peer sends is longer.
const maxOffset = 1 << 16

// maxGap bounds the pause between two segments.
const maxGap = time.Minute

var shapeSettings = []shapeSetting{
	{"pad", lab.ClientRole, "bytes of the ClientHello, record header included", "", func(s *Shape, v string) bool { return number(v, maxOffset-1, &s.PadTo) }},
	{"cut", either, "offsets in the stream where a TCP segment begins, in order, as in 1:2:3", "", func(s *Shape, v string) bool { return offsets(v, &s.Segments) }},
	{"segments", either, "the most bytes a TCP segment of the hello has", "", func(s *Shape, v string) bool { return multiples(v, &s.Segments) }},
	{"gap", either, "the pause between two segments, such as 50ms", "", func(s *Shape, v string) bool { return pause(v, &s.Gap) }},
	{"record", either, "offsets in the hello where a TLS record begins, in order, as in 100:200", "", func(s *Shape, v string) bool { return offsets(v, &s.Records) }},
	{"records", either, "the most bytes a TLS record of the hello has", "", func(s *Shape, v string) bool { return multiples(v, &s.Records) }},
	{"late-name", lab.ClientRole, "", "server_name is the last extension, behind the shares", func(s *Shape, _ string) bool { s.LateName = true; return true }},
	{"grease", lab.ClientRole, "", "reserved values stand in every list of the ClientHello", func(s *Shape, _ string) bool { s.GREASE = true; return true }},
	{"ml-dsa", lab.ClientRole, "", "ML-DSA in signature_algorithms, and understood", func(s *Shape, _ string) bool { s.SigAlgs = append(s.SigAlgs, mlDSA...); return true }},
	{"ml-dsa-cert", lab.ClientRole, "", "ML-DSA in signature_algorithms_cert", func(s *Shape, _ string) bool { s.CertSigAlgs = mlDSA; return true }},
	{"schemes", lab.ClientRole, "how many signature schemes nobody knows are advertised beside", "", func(s *Shape, v string) bool { return unknownSchemes(v, &s.SigAlgs) }},
	{"flaw", lab.ClientRole, "one of " + join(crafted.Flaws()), "", func(s *Shape, v string) bool {
		s.Flaw = crafted.Flaw(v)
		return slices.Contains(crafted.Flaws(), s.Flaw)
	}},
	{"classical", lab.ClientRole, "", "the flaw is of the classical shares", func(s *Shape, _ string) bool { s.Classical = true; return true }},
	{"hrr", lab.ServerRole, "", "every first ClientHello is answered with a HelloRetryRequest", func(s *Shape, _ string) bool { s.Retry = true; return true }},
	{"death", lab.ServerRole, "one of " + join(crafted.Deaths()), "", func(s *Shape, v string) bool {
		s.Death = crafted.Death(v)
		return slices.Contains(crafted.Deaths(), s.Death)
	}},
}

// mlDSA are the signature schemes ML-DSA-44, 65 and 87, draft-ietf-tls-mldsa.
var mlDSA = []uint16{0x0904, 0x0905, 0x0906}

func number(text string, most int, n *int) bool {
	var err error
	*n, err = strconv.Atoi(text)
	return err == nil && *n > 0 && *n <= most
}

func offsets(text string, to *[]int) bool {
	last := 0
	for part := range strings.SplitSeq(text, ":") {
		var at int
		if !number(part, maxOffset-1, &at) || at <= last || *to == nil && last > 0 {
			return false
		}
		*to, last = append(*to, at), at
	}
	return true
}

// multiples are the multiples of a number.
func multiples(text string, to *[]int) bool {
	var n int
	if !number(text, maxOffset-1, &n) || *to != nil {
		return false
	}
	for at := n; at < maxOffset; at += n {
		*to = append(*to, at)
	}
	return true
}

func pause(text string, d *time.Duration) bool {
	var err error
	*d, err = time.ParseDuration(text)
	return err == nil && *d > 0 && *d <= maxGap
}

// unknownSchemes are of the range for private use, RFC 8446 section 4.2.3.
func unknownSchemes(text string, to *[]uint16) bool {
	const private, most = 0xfe00, 0x200
	var n int
	if !number(text, most, &n) {
		return false
	}
	for i := range n {
		*to = append(*to, uint16(private+i))
	}
	return true
}

// shapeOf is what the settings make of a hello. The error names the setting
// and what would be valid.
func shapeOf(set []lab.Setting) (Shape, error) {
	var s Shape
	for _, one := range set {
		i := slices.IndexFunc(shapeSettings, func(k shapeSetting) bool { return k.key == one.Key })
		if i < 0 {
			return s, fmt.Errorf("unknown setting %q: want some of %s", one.Key, shapeKeys())
		}
		k := shapeSettings[i]
		if (k.want == "") != (one.Value == "") || !k.set(&s, one.Value) {
			return s, fmt.Errorf("setting %s: want %s", one, cmp.Or(k.want, "no value"))
		}
	}
	switch {
	case s.Gap > 0 && s.Segments == nil:
		return s, fmt.Errorf("setting gap needs cut or segments: there is nothing to pause between")
	case s.Classical && s.Flaw == "":
		return s, fmt.Errorf("setting classical needs flaw: there is nothing wrong with the shares")
	case s.Death != "" && !s.Retry:
		return s, fmt.Errorf("setting death needs hrr: it is the second hello that is not answered")
	}
	return s, nil
}

// SettingsHelp describes the settings, one a line.
func SettingsHelp() string {
	var b strings.Builder
	for _, k := range shapeSettings {
		fmt.Fprintf(&b, "  %-12s %s\n", k.key, cmp.Or(k.want, k.does))
	}
	return b.String()
}

func shapeKeys() string {
	var keys []string
	for _, k := range shapeSettings {
		keys = append(keys, k.key)
	}
	return strings.Join(keys, ", ")
}

// shapeRoles are the ends that can do what the settings say.
func shapeRoles(set []lab.Setting) []lab.Role {
	roles := bothRoles
	for _, k := range shapeSettings {
		if k.role != either && slices.ContainsFunc(set, func(s lab.Setting) bool { return s.Key == k.key }) {
			roles = slices.DeleteFunc(slices.Clone(roles), func(r lab.Role) bool { return r != k.role })
		}
	}
	return roles
}

// shaped is the crafted peer's row or a profile's, whose hello is then of
// another shape. Its processes are told by their argument, the peer's id.
func shaped(p Peer, set []lab.Setting) (Peer, error) {
	shape, err := shapeOf(set)
	if err != nil {
		return p, err
	}
	if p.Roles = shapeRoles(set); len(p.Roles) == 0 {
		return p, fmt.Errorf("settings of a client's hello beside those of a server's")
	}
	if f, ok := spoilt(shape); ok && shape.Flaw != "" {
		p.Groups, p.Rules.Default = f.with.groups, f.with.offer
		p.Rules.Breach = lab.Breach{What: f.about, Alerts: f.alerts, MayPass: f.mayPass, Classical: shape.Classical}
	}
	p.Rules.Retry, p.Rules.Hello = shape.Retry, weigh(craftedHello, shape)
	if slices.Contains(shape.SigAlgs, mlDSA[0]) {
		p.Rules.Certs = CertKinds() // what it advertises it understands
	}
	p.driver = contract{argv: []string{Binary, "peer", string(p.ID)}}
	p.local = craftedStack{shape: shape, untouched: p.Rules.Default}
	p.pause = time.Duration(len(shape.Segments)) * shape.Gap
	p.settings = set
	return p, nil
}

func join[T ~string](names []T) string {
	out := make([]string, len(names))
	for i, n := range names {
		out[i] = string(n)
	}
	return strings.Join(out, ", ")
}
