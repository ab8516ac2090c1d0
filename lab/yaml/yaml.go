// Package yaml reads what people write by hand: links, boxes, known deviations,
// policies. Every mistake is named with its file and line and with what would
// have been right, and nothing is ignored: a key nobody knows is an error.
//
// The library's parser gives the tree. Filling Go values from it is done here,
// because its own decoder neither says which keys would have been right nor
// keeps the lines for what is checked afterwards.
package yaml

import (
	"encoding"
	"errors"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

// File is one document that was read. It knows the lines, for errors about
// values that are well formed and make no sense.
type File struct {
	name string
	root ast.Node
}

// MaxFile bounds a file, in bytes.
const MaxFile = 256 << 10

// Read reads exactly one document into the struct that v points to. Struct
// fields take the key of their yaml tag; a field without one is not to be
// written in files. Values are structs, slices, text, whole numbers, true and
// false, durations such as 20ms, and whatever implements TextUnmarshaler.
// name is the file's name for error messages.
func Read(r io.Reader, name string, v any) (*File, error) {
	data, err := io.ReadAll(io.LimitReader(r, MaxFile+1))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if len(data) > MaxFile {
		return nil, fmt.Errorf("%s: larger than %d bytes", name, MaxFile)
	}
	f, err := parse(data, name)
	if err != nil {
		return nil, err
	}
	return f, f.decode(f.root, "the file", reflect.ValueOf(v).Elem())
}

func parse(data []byte, name string) (*File, error) {
	f, err := parser.ParseBytes(data, 0)
	if err != nil {
		var at yaml.Error
		if errors.As(err, &at) && at.GetToken() != nil {
			return nil, fmt.Errorf("%s:%d: %s", name, at.GetToken().Position.Line, at.GetMessage())
		}
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	var bodies []ast.Node
	for _, d := range f.Docs {
		if d.Body != nil && d.Body.Type() != ast.CommentGroupType {
			bodies = append(bodies, d.Body)
		}
	}
	if len(bodies) != 1 {
		return nil, fmt.Errorf("%s: holds %d YAML documents, want 1", name, len(bodies))
	}
	return &File{name, bodies[0]}, nil
}

// Path leads to a value: keys of mappings and indexes of lists, outermost
// first.
type Path []any

// Errorf is an error with the line of the value at p, or of the last on the
// way there that the file has.
func (f *File) Errorf(p Path, format string, args ...any) error {
	n, _ := f.find(p)
	return f.errorAt(n, format, args...)
}

// Has reports whether the file has a value at p.
func (f *File) Has(p Path) bool {
	_, ok := f.find(p)
	return ok
}

// find walks down from the root as far as the path exists.
func (f *File) find(p Path) (ast.Node, bool) {
	n := f.root
	for _, step := range p {
		next := child(n, step)
		if next == nil {
			return n, false
		}
		n = next
	}
	return n, true
}

func child(n ast.Node, step any) ast.Node {
	switch step := step.(type) {
	case int:
		if seq, ok := n.(*ast.SequenceNode); ok && step < len(seq.Values) {
			return seq.Values[step]
		}
	case string:
		pairs, _ := mapping(n)
		for _, p := range pairs {
			if p.Key.GetToken().Value == step {
				return p.Value
			}
		}
	}
	return nil
}

// errorAt is an error with the place of a node.
func (f *File) errorAt(n ast.Node, format string, args ...any) error {
	line := 1
	if n != nil && n.GetToken() != nil {
		line = n.GetToken().Position.Line
	}
	return fmt.Errorf("%s:%d: %s", f.name, line, fmt.Sprintf(format, args...))
}

// decode fills v from a node.
func (f *File) decode(n ast.Node, what string, v reflect.Value) error {
	if u, ok := v.Addr().Interface().(encoding.TextUnmarshaler); ok {
		return f.decodeText(n, what, u.UnmarshalText)
	}
	if d, ok := v.Addr().Interface().(*time.Duration); ok {
		return f.decodeText(n, what, func(text []byte) (err error) {
			if *d, err = time.ParseDuration(string(text)); err != nil {
				err = fmt.Errorf("%q is not a time such as 20ms or 1.5s", text)
			}
			return err
		})
	}
	switch v.Kind() {
	case reflect.Struct:
		return f.decodeStruct(n, what, v)
	case reflect.Slice:
		return f.decodeSlice(n, what, v)
	}
	return f.decodeScalar(n, what, v)
}

func (f *File) decodeStruct(n ast.Node, what string, v reflect.Value) error {
	pairs, ok := mapping(n)
	if !ok {
		return f.errorAt(n, "%s must be a mapping of keys to values", what)
	}
	keys := keysOf(v.Type())
	var seen []string
	for _, p := range pairs {
		key := p.Key.GetToken().Value
		i := slices.Index(keys, key)
		if i < 0 || key == "" {
			return f.errorAt(p.Key, "unknown key %q in %s%s; valid keys: %s",
				key, what, DidYouMean(key, keys), strings.Join(slices.DeleteFunc(keys, empty), ", "))
		}
		if slices.Contains(seen, key) {
			return f.errorAt(p.Key, "key %q is given twice in %s", key, what)
		}
		seen = append(seen, key)
		if err := f.decode(p.Value, key, v.Field(i)); err != nil {
			return err
		}
	}
	return nil
}

func empty(s string) bool { return s == "" }

// keysOf are the yaml tags of a struct's fields, by index.
func keysOf(t reflect.Type) []string {
	keys := make([]string, t.NumField())
	for i := range keys {
		keys[i] = t.Field(i).Tag.Get("yaml")
	}
	return keys
}

func (f *File) decodeSlice(n ast.Node, what string, v reflect.Value) error {
	seq, ok := n.(*ast.SequenceNode)
	if !ok {
		return f.errorAt(n, "%s must be a list", what)
	}
	for _, item := range seq.Values {
		e := reflect.New(v.Type().Elem()).Elem()
		if err := f.decode(item, what, e); err != nil {
			return err
		}
		v.Set(reflect.Append(v, e))
	}
	return nil
}

func (f *File) decodeText(n ast.Node, what string, set func([]byte) error) error {
	if _, ok := n.(ast.ScalarNode); !ok {
		return f.errorAt(n, "%s must be a single value", what)
	}
	if err := set([]byte(n.GetToken().Value)); err != nil {
		return f.errorAt(n, "%s: %v", what, err)
	}
	return nil
}

func (f *File) decodeScalar(n ast.Node, what string, v reflect.Value) error {
	switch v.Kind() {
	case reflect.String:
		switch s := n.(type) {
		case *ast.StringNode:
			v.SetString(s.Value)
			return nil
		case *ast.LiteralNode:
			v.SetString(strings.TrimSpace(s.Value.Value))
			return nil
		}
		return f.errorAt(n, "%s must be text; put it in quotes", what)
	case reflect.Int:
		if i, ok := n.(*ast.IntegerNode); ok {
			switch x := i.Value.(type) {
			case uint64:
				if x <= 1<<31 {
					v.SetInt(int64(x))
					return nil
				}
			case int64:
				v.SetInt(x)
				return nil
			}
		}
		return f.errorAt(n, "%s must be a whole number", what)
	case reflect.Bool:
		if b, ok := n.(*ast.BoolNode); ok {
			v.SetBool(b.Value)
			return nil
		}
		return f.errorAt(n, "%s must be true or false", what)
	}
	panic("yaml: no form in a file for " + v.Type().String())
}

// mapping is the pairs of a mapping node, which the parser makes in two ways.
func mapping(n ast.Node) ([]*ast.MappingValueNode, bool) {
	switch m := n.(type) {
	case *ast.MappingNode:
		return m.Values, true
	case *ast.MappingValueNode:
		return []*ast.MappingValueNode{m}, true
	}
	return nil, false
}

// DidYouMean is a hint at the nearest valid name; empty: none is near.
func DidYouMean(name string, valid []string) string {
	best, least := "", 3 // more than two slips are another word
	for _, v := range valid {
		if d := distance(name, v); v != "" && d < least {
			best, least = v, d
		}
	}
	if best == "" {
		return ""
	}
	return fmt.Sprintf(" (did you mean %q?)", best)
}

// distance is Levenshtein's: the fewest letters to add, drop or change.
func distance(a, b string) int {
	if len(a) > 64 || len(b) > 64 {
		return 64
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, diagonal+1)
		}
	}
	return row[len(b)]
}
