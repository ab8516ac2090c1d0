package lab

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"hybridlab/lab/yaml"
)

// Deviation is a finding that is expected, and why. It is told by the cells
// it is in and by what is found there. A list of patterns that is left out
// stands for anything; in a pattern "*" stands for any text.
type Deviation struct {
	Name   string   `json:"name" yaml:"name"`
	Client []string `json:"client,omitempty" yaml:"client"`
	Server []string `json:"server,omitempty" yaml:"server"`
	Offer  []string `json:"offer,omitempty" yaml:"offer"`
	Accept []string `json:"accept,omitempty" yaml:"accept"`
	Link   []string `json:"link,omitempty" yaml:"link"`
	Boxes  []string `json:"boxes,omitempty" yaml:"boxes"` // of the chain, as a+b; none: no box
	Cert   []string `json:"cert,omitempty" yaml:"cert"`

	Outcome Outcome `json:"outcome" yaml:"outcome"`
	Cause   Cause   `json:"cause,omitempty" yaml:"cause"` // empty: any
	Blame   string  `json:"blame,omitempty" yaml:"blame"` // a pattern too; empty: anybody
	// Chance: whether a cell ends so is a matter of chance. So attempts that
	// disagree are explained as well if one of them ended so, and a run without
	// any such cell says nothing.
	Chance bool   `json:"chance,omitempty" yaml:"chance"`
	Reason string `json:"reason" yaml:"reason"`
	See    string `json:"see,omitempty" yaml:"see"` // where it is written down: a bug, an advisory
}

// Deviations is a list of known deviations. The first that matches counts.
type Deviations []Deviation

// LoadDeviations reads a file of known deviations; fixtures/known.yaml is
// one. name is the file's name for error messages.
func LoadDeviations(r io.Reader, name string) (Deviations, error) {
	var file struct {
		Known Deviations `yaml:"known"`
	}
	f, err := yaml.Read(r, name, &file)
	if err != nil {
		return nil, err
	}
	for i, d := range file.Known {
		if key, err := d.check(file.Known[:i]); err != nil {
			return nil, f.Errorf(yaml.Path{"known", i, key}, "known deviation %q: %v", d.Name, err)
		}
	}
	return file.Known, nil
}

// check names the key that makes no sense.
func (d Deviation) check(before Deviations) (key string, err error) {
	switch {
	case d.Name == "":
		return "name", errors.New("it needs a name")
	case before.find(d.Name) >= 0:
		return "name", errors.New("the name is taken")
	case d.Reason == "":
		return "reason", errors.New("it needs a reason: why is this expected?")
	case !slices.Contains(Outcomes, d.Outcome) || d.Outcome.Pass() || d.Outcome == Fault:
		return "outcome", fmt.Errorf("outcome %q: want one of %s", d.Outcome, strings.Join(deviating(), ", "))
	case d.Blame != "" && d.Blame != blameClient && d.Blame != blameServer && d.Blame != blameLink && !strings.HasPrefix(d.Blame, "box "):
		return "blame", fmt.Errorf("blame %q: want client, server, link or box NAME", d.Blame)
	}
	return "", nil
}

// deviating are the outcomes that can be expected against the rules.
func deviating() (names []string) {
	for _, o := range Outcomes {
		if !o.Pass() && o != Fault {
			names = append(names, string(o))
		}
	}
	return names
}

func (ds Deviations) find(name string) int {
	return slices.IndexFunc(ds, func(d Deviation) bool { return d.Name == name })
}

// Join adds the entries of another list; the error names one that both have.
func (ds Deviations) Join(more Deviations) (Deviations, error) {
	for _, d := range more {
		if ds.find(d.Name) >= 0 {
			return nil, fmt.Errorf("join lists of known deviations: %q is in two of them", d.Name)
		}
		ds = append(ds, d)
	}
	return ds, nil
}

// covers reports whether the cell of a verdict is one that the entry is about.
func (d Deviation) covers(v Verdict) bool {
	cert := v.Cert
	if cert == "" {
		cert = DefaultCert
	}
	boxes := strings.Join(v.Boxes, "+")
	if boxes == "" {
		boxes = "none"
	}
	for _, axis := range []struct {
		patterns []string
		value    string
	}{
		{d.Client, string(v.Client)}, {d.Server, string(v.Server)}, {d.Offer, v.Offer.String()}, {d.Accept, v.Accept.String()},
		{d.Link, v.Link}, {d.Boxes, boxes}, {d.Cert, cert},
	} {
		if len(axis.patterns) > 0 && !slices.ContainsFunc(axis.patterns, func(p string) bool { return glob(p, axis.value) }) {
			return false
		}
	}
	return true
}

// explains reports whether the entry says that the cell ends so.
func (d Deviation) explains(v Verdict) bool {
	is := v.Outcome == d.Outcome && (d.Cause == "" || d.Cause == v.Cause) && (d.Blame == "" || glob(d.Blame, v.Blame))
	return (is || d.Chance && d.once(v)) && d.covers(v)
}

// once reports whether attempts at the cell disagree and one ended as the entry
// says.
func (d Deviation) once(v Verdict) bool {
	return v.Outcome == Flaky && slices.ContainsFunc(v.Attempts, func(a Attempt) bool {
		return a.Outcome == d.Outcome && (d.Cause == "" || d.Cause == a.Cause)
	})
}

// glob matches s with a pattern in which "*" stands for any text.
func glob(pattern, s string) bool {
	parts := strings.Split(pattern, "*")
	last := len(parts) - 1
	if last == 0 {
		return pattern == s
	}
	if !strings.HasPrefix(s, parts[0]) {
		return false
	}
	s = s[len(parts[0]):]
	for _, part := range parts[1:last] {
		i := strings.Index(s, part)
		if i < 0 {
			return false
		}
		s = s[i+len(part):]
	}
	return strings.HasSuffix(s, parts[last])
}

// KnownSeen is a known deviation and how a run bore it out.
type KnownSeen struct {
	Deviation
	Cells   int `json:"cells"`   // that it is about and that were decided, or matched
	Matched int `json:"matched"` // that ended as it says
}

// Gone reports whether the run looked and did not find it: it is not a
// deviation any more, or the entry is wrong. An entry about cells that were
// not run is not gone, nor is one about chance.
func (k KnownSeen) Gone() bool { return k.Cells > 0 && k.Matched == 0 && !k.Chance }

// markKnown says in the verdict which entry explains it, and keeps the books.
func markKnown(known []KnownSeen, v *Verdict) {
	v.Known = ""
	for i := range known {
		k := &known[i]
		explained := v.Known == "" && k.explains(*v)
		if explained {
			v.Known = k.Name
			k.Matched++
		}
		if explained || k.covers(*v) && (v.Outcome.Pass() || v.Outcome.Finding()) {
			k.Cells++
		}
	}
}

// unexpected reports whether somebody has to look: a finding, or attempts that
// disagree, and nothing says that it is known.
func (v Verdict) unexpected() bool {
	return (v.Outcome.Finding() || v.Outcome == Flaky) && v.Known == ""
}

// count adds a verdict to the report, marked by the known deviations.
func (r *Report) count(v *Verdict) {
	markKnown(r.Known, v)
	r.Judged++
	if v.Reused != "" {
		r.Reused++
	}
	r.Counts[v.Outcome]++
	if v.unexpected() {
		r.Unexpected++
	}
}

// Recount counts the verdicts anew, after they were judged again or the list
// of known deviations changed; each is marked in place.
func (r *Report) Recount(known Deviations, verdicts []Verdict) {
	r.Judged, r.Reused, r.Unexpected, r.Counts = 0, 0, 0, map[Outcome]int{}
	r.Expect(known)
	for i := range verdicts {
		r.count(&verdicts[i])
	}
}

// Expect sets the known deviations, nothing seen of them yet.
func (r *Report) Expect(known Deviations) {
	r.Known = nil
	for _, d := range known {
		r.Known = append(r.Known, KnownSeen{Deviation: d})
	}
}

// Deviations are the known deviations the run was judged with.
func (r Report) Deviations() Deviations {
	var out Deviations
	for _, k := range r.Known {
		out = append(out, k.Deviation)
	}
	return out
}

// Gone lists the known deviations that the run looked for and did not find.
func (r Report) Gone() []KnownSeen {
	var out []KnownSeen
	for _, k := range r.Known {
		if k.Gone() {
			out = append(out, k)
		}
	}
	return out
}
