package box

import (
	"fmt"
	"slices"
	"strings"
)

// Layer says what of a connection ends at the box.
type Layer string

const (
	Packet Layer = "packet" // nothing: it looks at packets going by
	Stream Layer = "stream" // TCP: it reads a stream and opens another connection
	TLS    Layer = "tls"    // TLS: it decrypts, and encrypts again

	// Outside is a real middlebox, a program that runs elsewhere: what it does
	// is its own affair, and nobody can write one in a file.
	Outside Layer = "outside"
	// Routed is one that packets are routed through, and that ends no connection.
	Routed Layer = "routed"
)

// real are the layers of programs that run elsewhere.
var real = []Layer{Outside, Routed}

var layers = []Layer{Packet, Stream, TLS}

// Program is a box ready to run. It is plain data, and safe to share.
type Program struct {
	Name      string // as the cell names it, parameters included
	Layer     Layer
	When      []Condition // all must hold
	Do        []Action    // what happens then
	Otherwise []Action    // what happens where they do not; mostly nothing
}

// Validate says why the program cannot run.
func (p Program) Validate() error {
	if slices.Contains(real, p.Layer) && p.Name != "" && len(p.When)+len(p.Do)+len(p.Otherwise) == 0 {
		return nil
	}
	if p.Name == "" || !slices.Contains(layers, p.Layer) {
		return fmt.Errorf("box %q: layer %q is none of %v", p.Name, p.Layer, layers)
	}
	for _, c := range p.When {
		if _, err := lookupCondition(c.Name); err != nil {
			return fmt.Errorf("box %q: %w", p.Name, err)
		}
	}
	for _, a := range slices.Concat(p.Do, p.Otherwise) {
		if _, err := lookupAction(a.Name); err != nil {
			return fmt.Errorf("box %q: %w", p.Name, err)
		}
	}
	return nil
}

// EndsTCP reports whether connections end at the box.
func (p Program) EndsTCP() bool { return p.Layer != Packet && p.Layer != Routed }

// NeedsDecoy reports whether the box sends connections to another server.
func (p Program) NeedsDecoy() bool {
	return slices.ContainsFunc(slices.Concat(p.Do, p.Otherwise), func(a Action) bool { return a.Name == "misroute" })
}

// When and do as they are written.

const (
	and  = "&&"
	then = "+"
)

func parseWhen(text string, layer Layer) ([]Condition, error) {
	var out []Condition
	for part := range strings.SplitSeq(text, and) {
		c, err := parseCondition(strings.TrimSpace(part), layer)
		if err != nil {
			return nil, err
		}
		out = append(out, c)
	}
	return out, contradiction(out)
}

func parseDo(text string, layer Layer) ([]Action, error) {
	var out []Action
	for _, part := range splitOutside(text, then[0]) {
		a, err := parseAction(strings.TrimSpace(part), layer)
		if err != nil {
			return nil, err
		}
		out = append(out, a)
	}
	return out, conflict(out)
}

// splitOutside splits at the separators that stand outside brackets.
func splitOutside(text string, sep byte) []string {
	var parts []string
	depth, from := 0, 0
	for i := range len(text) {
		switch text[i] {
		case '(', '{':
			depth++
		case ')', '}':
			depth--
		case sep:
			if depth == 0 {
				parts = append(parts, text[from:i])
				from = i + 1
			}
		}
	}
	return append(parts, text[from:])
}

// Help lists the conditions and actions, one a line.
func Help() string {
	var b strings.Builder
	b.WriteString("Conditions (when), joined by &&:\n")
	for _, k := range conditions {
		fmt.Fprintf(&b, "  %-28s %s\n", k.name+formTexts[k.form], k.about)
	}
	b.WriteString("Actions (do, otherwise), joined by +:\n")
	for _, k := range acts {
		fmt.Fprintf(&b, "  %s\n  %-28s %s\n", k.usage(), "", k.about)
	}
	return b.String()
}
