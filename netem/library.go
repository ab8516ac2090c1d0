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

	"github.com/goccy/go-yaml/ast"
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
	return Link{}, fmt.Errorf("unknown link %q%s; valid links: %s", name, didYouMean(name, names), strings.Join(names, ", "))
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

// maxLinksFile bounds a file of links, in bytes.
const maxLinksFile = 256 << 10

// LoadLinks reads links from YAML; see links.yaml for the form. name is the
// file's name for error messages, which give the line and the valid choices.
func LoadLinks(r io.Reader, name string) ([]Link, error) {
	data, err := io.ReadAll(io.LimitReader(r, maxLinksFile+1))
	if err != nil {
		return nil, fmt.Errorf("read links %q: %w", name, err)
	}
	if len(data) > maxLinksFile {
		return nil, fmt.Errorf("read links %q: larger than %d bytes", name, maxLinksFile)
	}
	f, err := parseYAML(data, name)
	if err != nil {
		return nil, err
	}
	var file linksFile
	if err := f.decode(f.root, "the file", reflect.ValueOf(&file).Elem()); err != nil {
		return nil, err
	}
	if len(file.Links) == 0 {
		return nil, f.errorAt(f.root, "no links: want a list under the key \"links\"")
	}
	return f.links(file.Links)
}

// links checks the entries against sense and against one another.
func (f *yamlFile) links(entries []linkEntry) ([]Link, error) {
	nodes := at(f.root, "links").(*ast.SequenceNode).Values
	var links []Link
	for i, e := range entries {
		n := nodes[i]
		both := at(n, "both") != n
		if both && (at(n, "up") != n || at(n, "down") != n) {
			return nil, f.errorAt(at(n, "both"), "link %q: both excludes up and down", e.Name)
		}
		l := Link{Name: e.Name, About: e.About, Family: e.Family, Up: e.Up, Down: e.Down}
		if both {
			l.Up, l.Down = e.Both, e.Both
		}
		if err := l.Validate(); err != nil {
			return nil, f.place(n, l, both, err)
		}
		if slices.ContainsFunc(links, func(o Link) bool { return o.Name == l.Name }) {
			return nil, f.errorAt(at(n, "name"), "link %q is defined twice", l.Name)
		}
		links = append(links, l)
	}
	return links, nil
}

// place gives an error of Validate the line of the field it is about.
func (f *yamlFile) place(n ast.Node, l Link, both bool, err error) error {
	field := ""
	var fe *fieldError
	if errors.As(err, &fe) {
		field = fe.field
		if rest, ok := strings.CutPrefix(field, "up."); ok && both {
			field = "both." + rest
		}
		err = &fieldError{field, fe.problem}
	}
	return f.errorAt(at(n, strings.Split(field, ".")...), "link %q: %v", l.Name, err)
}
