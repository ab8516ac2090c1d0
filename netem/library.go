package netem

import (
	"bytes"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strings"
	"sync"

	"hybridlab/lab/yaml"
)

//go:embed links.yaml
var linksYAML []byte

// library is read by the same code as users' files; a test keeps it readable.
var library = sync.OnceValue(func() []Link {
	links, err := LoadLinks(bytes.NewReader(linksYAML), "links.yaml")
	if err != nil {
		panic("netem: " + err.Error())
	}
	return links
})

// Links are the links of the library, in the order of its file.
func Links() []Link { return slices.Clone(library()) }

// LookupLink finds a link of the library. The error names the valid ones.
func LookupLink(name string) (Link, error) { return FindLink(library(), name) }

// FindLink finds a link by name. The error names the valid ones.
func FindLink(links []Link, name string) (Link, error) {
	var names []string
	for _, l := range links {
		if l.Name == name {
			return l, nil
		}
		names = append(names, l.Name)
	}
	return Link{}, fmt.Errorf("unknown link %q%s; valid links: %s", name, yaml.DidYouMean(name, names), strings.Join(names, ", "))
}

// linksFile is what a file of links holds.
type linksFile struct {
	Links []linkEntry `yaml:"links"`
}

// linkEntry is a link as it is written.
type linkEntry struct {
	Name   string `yaml:"name"`
	About  string `yaml:"about"`
	Family Family `yaml:"family"`
	Both   Shape  `yaml:"both"` // up and down alike
	Up     Shape  `yaml:"up"`
	Down   Shape  `yaml:"down"`
}

// LoadLinks reads links from YAML; see links.yaml for the form. name is the
// file's name for error messages, which give the line and the valid choices.
func LoadLinks(r io.Reader, name string) ([]Link, error) {
	var file linksFile
	f, err := yaml.Read(r, name, &file)
	if err != nil {
		return nil, err
	}
	if len(file.Links) == 0 {
		return nil, f.Errorf(nil, "no links: want a list under the key \"links\"")
	}
	return checkLinks(f, file.Links)
}

// Text is the link as it stands in a file.
func (l Link) Text() string {
	e := linkEntry{Name: l.Name, About: l.About, Family: l.Family, Up: l.Up, Down: l.Down}
	if reflect.DeepEqual(l.Up, l.Down) {
		e.Both, e.Up, e.Down = l.Up, Shape{}, Shape{}
	}
	return yaml.Text(linksFile{Links: []linkEntry{e}})
}

// checkLinks holds the entries against sense and against one another.
func checkLinks(f *yaml.File, entries []linkEntry) ([]Link, error) {
	var links []Link
	for i, e := range entries {
		entry := func(keys ...any) yaml.Path { return append(yaml.Path{"links", i}, keys...) }
		both := f.Has(entry("both"))
		if both && (f.Has(entry("up")) || f.Has(entry("down"))) {
			return nil, f.Errorf(entry("both"), "link %q: both excludes up and down", e.Name)
		}
		l := Link{Name: e.Name, About: e.About, Family: e.Family, Up: e.Up, Down: e.Down}
		if both {
			l.Up, l.Down = e.Both, e.Both
		}
		if err := l.Validate(); err != nil {
			keys, err := place(both, err)
			return nil, f.Errorf(entry(keys...), "link %q: %v", l.Name, err)
		}
		if slices.ContainsFunc(links, func(o Link) bool { return o.Name == l.Name }) {
			return nil, f.Errorf(entry("name"), "link %q is defined twice", l.Name)
		}
		links = append(links, l)
	}
	return links, nil
}

// place is where in its entry the file has the field that an error of
// Validate is about, and the error in the file's words.
func place(both bool, err error) (keys []any, _ error) {
	var fe *fieldError
	if !errors.As(err, &fe) {
		return nil, err
	}
	field := fe.field
	if rest, ok := strings.CutPrefix(field, "up."); ok && both {
		field = "both." + rest
	}
	for key := range strings.SplitSeq(field, ".") {
		keys = append(keys, key)
	}
	return keys, &fieldError{field, fe.problem}
}
