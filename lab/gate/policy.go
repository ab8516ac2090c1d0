// Package gate answers whether one peer may replace another: yes or no, with
// the reason. It judges a comparison of two runs (package compare) by a
// policy: how much of what worked must still work, how much may come out
// weaker, by how much handshakes may get slower, and what must or must not be
// there at all.
package gate

import (
	"cmp"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"hybridlab/lab"
	"hybridlab/lab/wire"
	"hybridlab/lab/yaml"
)

// Policy is what the peer after must live up to. A share that is not set is
// not judged.
type Policy struct {
	Success   Share     `yaml:"success"`   // least share of the handshakes that worked and still do
	Fallback  Share     `yaml:"fallback"`  // greatest share of hybrid handshakes that are classical now
	Downgrade Share     `yaml:"downgrade"` // greatest share of handshakes that are downgrades now and were none
	P95       Share     `yaml:"p95"`       // by how much the slowest 5 % of handshakes may get slower
	P99       Share     `yaml:"p99"`
	Require   []string  `yaml:"require"`  // groups that must come out somewhere
	Forbid    []string  `yaml:"forbid"`   // outcomes that must not come out anywhere
	Versions  []Minimum `yaml:"versions"` // "openssl >= 3.5", read from the peer's own words
}

// Default is the policy where none is given: nothing that worked may break or
// come out weaker. It does not judge times.
func Default() Policy {
	return Policy{Success: Share{1, true}, Fallback: Share{0, true}, Downgrade: Share{0, true}}
}

// Load reads a policy over the default one. name is the file's name for error
// messages.
func Load(r io.Reader, name string) (Policy, error) {
	p := Default()
	f, err := yaml.Read(r, name, &p)
	if err != nil {
		return p, err
	}
	for i, g := range p.Require {
		group, err := wire.LookupGroup(g)
		if err != nil {
			return p, f.Errorf(yaml.Path{"require", i}, "%v", err)
		}
		p.Require[i] = group.String()
	}
	for i, o := range p.Forbid {
		if !slices.Contains(lab.Outcomes, lab.Outcome(o)) {
			return p, f.Errorf(yaml.Path{"forbid", i}, "outcome %q: want one of %s", o, outcomes())
		}
	}
	return p, nil
}

func outcomes() string {
	var names []string
	for _, o := range lab.Outcomes {
		names = append(names, string(o))
	}
	return strings.Join(names, ", ")
}

// Share is a part of a whole, or nothing that is judged. Written "99.5%".
type Share struct {
	Of    float64 // 1 is all
	Given bool
}

// maxShare bounds a share: times may grow beyond their double.
const maxShare = 100

// UnmarshalText reads a percentage.
func (s *Share) UnmarshalText(b []byte) error {
	number, ok := strings.CutSuffix(string(b), "%")
	f, err := strconv.ParseFloat(number, 64)
	if !ok || err != nil || !(f >= 0 && f <= 100*maxShare) {
		return fmt.Errorf("%q is not a percentage such as 99.5%%", b)
	}
	*s = Share{f / 100, true}
	return nil
}

// MarshalText is the inverse.
func (s Share) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

func (s Share) String() string {
	if !s.Given {
		return ""
	}
	return percent(s.Of)
}

func percent(f float64) string { return strconv.FormatFloat(f*100, 'f', -1, 64) + "%" }

// Minimum is the least version of a program.
type Minimum struct {
	Program string
	Version []int
}

var minimum = regexp.MustCompile(`^([A-Za-z][A-Za-z0-9._-]*) *>= *(\d{1,9}(?:\.\d{1,9}){0,5})$`)

// UnmarshalText reads "openssl >= 3.5".
func (m *Minimum) UnmarshalText(b []byte) error {
	parts := minimum.FindStringSubmatch(string(b))
	if parts == nil {
		return fmt.Errorf("%q is not a least version such as openssl >= 3.5", b)
	}
	*m = Minimum{parts[1], numbers(parts[2])}
	return nil
}

func (m Minimum) String() string {
	text := make([]string, len(m.Version))
	for i, n := range m.Version {
		text[i] = strconv.Itoa(n)
	}
	return m.Program + " >= " + strings.Join(text, ".")
}

func numbers(version string) (out []int) {
	for part := range strings.SplitSeq(version, ".") {
		n, err := strconv.Atoi(part)
		if err != nil {
			n = 1 << 30 // more digits than any version has
		}
		out = append(out, n)
	}
	return out
}

// found is a version of a program in a peer's own words: "nginx/1.26.3",
// "OpenSSL 3.5.4 30 Sep 2025", "go1.26.8".
func (m Minimum) found(words string) (version string, ok bool) {
	re := regexp.MustCompile(`(?i)(?:^|[^a-z0-9])` + regexp.QuoteMeta(m.Program) + `[ /]?(?:version:? )?v?(\d+(?:\.\d+)*)`)
	parts := re.FindStringSubmatch(words)
	if parts == nil {
		return "", false
	}
	return parts[1], true
}

// reached reports whether the version is no less than the minimum. Parts that
// are not written are 0.
func (m Minimum) reached(version string) bool {
	have := numbers(version)
	for i := range max(len(have), len(m.Version)) {
		if c := cmp.Compare(at(have, i), at(m.Version, i)); c != 0 {
			return c > 0
		}
	}
	return true
}

func at(ns []int, i int) int {
	if i < len(ns) {
		return ns[i]
	}
	return 0
}
