package box

import (
	"cmp"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"

	"hybridlab/lab/yaml"
)

// Confidence says how well a breakage is documented. The three are never mixed.
type Confidence string

const (
	Confirmed Confidence = "confirmed" // the maker says so, or its source or fix was read
	Reported  Confidence = "reported"  // a user says so, with evidence
	Inferred  Confidence = "inferred"  // it follows from source, standard or likeness; nobody is on record
)

var confidences = []Confidence{Confirmed, Reported, Inferred}

// Box is an entry of a catalogue.
type Box struct {
	Name       string     `yaml:"name"`
	ID         string     `yaml:"id"`         // number of the breakage it stands for
	About      string     `yaml:"about"`      // what it does, in words
	Origin     string     `yaml:"origin"`     // whose it is: maker, product, versions
	Evidence   []string   `yaml:"evidence"`   // links
	Confidence Confidence `yaml:"confidence"` //
	Fix        string     `yaml:"fix"`        // what mends it, or works around it
	Layer      Layer      `yaml:"layer"`      // Packet when empty
	Params     string     `yaml:"params"`     // parameters and their defaults: "bytes=1024,port=443"
	When       string     `yaml:"when"`       // conditions; $name stands for a parameter
	Do         string     `yaml:"do"`         // actions; likewise
	Otherwise  string     `yaml:"otherwise"`  // actions where the conditions do not hold
	Expect     []Expect   `yaml:"expect"`     // what the lab must find
}

// Expect is the verdict that one probe must come to behind the box. What is
// empty is not looked at.
type Expect struct {
	Probe     string `yaml:"probe"`     // name of a probe
	With      string `yaml:"with"`      // parameters of the box, other than the defaults
	Outcome   string `yaml:"outcome"`   //
	Cause     string `yaml:"cause"`     //
	Trigger   string `yaml:"trigger"`   // by triage
	Threshold int    `yaml:"threshold"` // by triage: the smallest number that breaks
	Deed      string `yaml:"deed"`      // what the box must have done, where a pass does not show it
}

// Probe is a cell without boxes, by its id.
type Probe struct {
	Name string `yaml:"name"`
	Cell string `yaml:"cell"`
}

// Text is the entry as it stands in a file, without what the lab expects of
// it, and with these parameters for defaults.
func (b Box) Text(set []Param) (string, error) {
	params, err := b.params(set)
	if err != nil {
		return "", err
	}
	var list []string
	for _, p := range params {
		list = append(list, p.Name+"="+p.Value)
	}
	b.Params, b.Expect = strings.Join(list, ","), nil
	return yaml.Text(Catalogue{Boxes: []Box{b}}), nil
}

// LeftOut is a known breakage that is no box, and why.
type LeftOut struct {
	ID     string `yaml:"id"`
	Name   string `yaml:"name"`
	Reason string `yaml:"reason"`
}

// Catalogue is a file of boxes.
type Catalogue struct {
	Probes  []Probe   `yaml:"probes"`
	Boxes   []Box     `yaml:"boxes"`
	LeftOut []LeftOut `yaml:"left_out"`
}

// boxName is what can stand in a cell id and in a list.
var boxName = regexp.MustCompile(`^[a-z0-9]([a-z0-9.-]{0,62}[a-z0-9])?$`)

// Load reads a catalogue; fixtures/boxes.yaml shows the form. name is the
// file's name for error messages, which give line, key and valid choices.
// probes are those that the file may name besides its own.
func Load(r io.Reader, name string, probes []Probe) (Catalogue, error) {
	var c Catalogue
	f, err := yaml.Read(r, name, &c)
	if err != nil {
		return c, err
	}
	if len(c.Boxes) == 0 {
		return c, f.Errorf(nil, "no boxes: want a list under the key \"boxes\"")
	}
	known := map[string]bool{}
	for _, p := range slices.Concat(probes, c.Probes) {
		known[p.Name] = true
	}
	for i := range c.Boxes {
		b := &c.Boxes[i]
		at := yaml.Path{"boxes", i}
		if key, err := b.check(known); err != nil {
			return c, f.Errorf(append(at, key...), "box %q: %v", b.Name, err)
		}
		if slices.ContainsFunc(c.Boxes[:i], func(o Box) bool { return o.Name == b.Name }) {
			return c, f.Errorf(append(at, "name"), "box %q: it is defined twice", b.Name)
		}
	}
	return c, nil
}

// check says what is wrong with an entry, and under which key.
func (b *Box) check(probes map[string]bool) (yaml.Path, error) {
	b.Layer = cmp.Or(b.Layer, Packet)
	switch {
	case !boxName.MatchString(b.Name):
		return yaml.Path{"name"}, fmt.Errorf("a name is 1 to 64 lower-case letters, digits, dots and dashes")
	case !slices.Contains(layers, b.Layer):
		return yaml.Path{"layer"}, fmt.Errorf("layer %q is none of packet, stream, tls", b.Layer)
	case b.Confidence != "" && !slices.Contains(confidences, b.Confidence):
		return yaml.Path{"confidence"}, fmt.Errorf("confidence %q is none of confirmed, reported, inferred", b.Confidence)
	case b.When == "":
		return nil, fmt.Errorf("it lacks the key \"when\": conditions joined by %q", and)
	case b.Do == "":
		return nil, fmt.Errorf("it lacks the key \"do\": actions joined by %q", then)
	}
	if _, key, err := b.program(nil); err != nil {
		return yaml.Path{key}, err
	}
	for i, e := range b.Expect {
		if !probes[e.Probe] {
			return yaml.Path{"expect", i, "probe"}, fmt.Errorf("unknown probe %q", e.Probe)
		}
		set, err := parseParams(e.With)
		if err == nil {
			_, _, err = b.program(set)
		}
		if err != nil {
			return yaml.Path{"expect", i, "with"}, err
		}
	}
	return nil, nil
}

// Param is a parameter's name and value.
type Param struct{ Name, Value string }

func parseParams(text string) ([]Param, error) {
	var out []Param
	if text == "" {
		return nil, nil
	}
	for part := range strings.SplitSeq(text, ",") {
		name, value, ok := strings.Cut(strings.TrimSpace(part), "=")
		if !ok || name == "" || value == "" {
			return nil, fmt.Errorf("parameter %q is not written name=value", part)
		}
		if slices.ContainsFunc(out, func(p Param) bool { return p.Name == name }) {
			return nil, fmt.Errorf("parameter %q is given twice", name)
		}
		out = append(out, Param{name, value})
	}
	return out, nil
}

// Program is the box with these parameters in place of its defaults. The name
// is what the cell calls it.
func (b Box) Program(name string, set []Param) (Program, error) {
	p, _, err := b.program(set)
	p.Name = name
	return p, err
}

// program also names the key that an error is about.
func (b Box) program(set []Param) (p Program, key string, err error) {
	p = Program{Name: b.Name, Layer: b.Layer}
	params, err := b.params(set)
	if err != nil {
		return p, "params", err
	}
	used := map[string]bool{}
	for _, part := range []struct {
		key, text string
		parse     func(string) error
	}{
		{"when", b.When, func(s string) (err error) { p.When, err = parseWhen(s, p.Layer); return err }},
		{"do", b.Do, func(s string) (err error) { p.Do, err = parseDo(s, p.Layer); return err }},
		{"otherwise", b.Otherwise, func(s string) (err error) { p.Otherwise, err = parseDo(s, p.Layer); return err }},
	} {
		if part.text == "" {
			continue
		}
		text, err := fill(part.text, params, used)
		if err == nil {
			err = part.parse(text)
		}
		if err != nil {
			return p, part.key, err
		}
	}
	if err := fitting(p.When, p.Do); err != nil {
		return p, "do", err
	}
	for _, q := range params {
		if !used[q.Name] {
			return p, "params", fmt.Errorf("parameter %q is used nowhere", q.Name)
		}
	}
	return p, "", nil
}

// params are the defaults, changed by set.
func (b Box) params(set []Param) ([]Param, error) {
	params, err := parseParams(b.Params)
	if err != nil {
		return nil, err
	}
	for _, s := range set {
		i := slices.IndexFunc(params, func(p Param) bool { return p.Name == s.Name })
		if i < 0 {
			return nil, fmt.Errorf("box %q has no parameter %q; it has: %s", b.Name, s.Name, cmp.Or(b.Params, "none"))
		}
		params[i].Value = s.Value
	}
	return params, nil
}

var variable = regexp.MustCompile(`\$[a-z0-9_]*`)

// fill puts the parameters' values in.
func fill(text string, params []Param, used map[string]bool) (string, error) {
	var err error
	out := variable.ReplaceAllStringFunc(text, func(v string) string {
		i := slices.IndexFunc(params, func(p Param) bool { return "$"+p.Name == v })
		if i < 0 {
			err = fmt.Errorf("%s is no parameter of the box", v)
			return v
		}
		used[params[i].Name] = true
		return params[i].Value
	})
	return out, err
}
