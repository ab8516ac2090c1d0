package lab

import (
	"fmt"
	"slices"
	"strings"
)

// A peer, a link or a box may be given settings in braces:
// "crafted{pad=1449,cut=100}", "clean{mtu=9000}". Here is only how that is
// written; what a setting means is known to those who have it.

// Setting is one of them. A setting without a value, as in "{grease}", is on.
type Setting struct{ Key, Value string }

func (s Setting) String() string {
	if s.Value == "" {
		return s.Key
	}
	return s.Key + "=" + s.Value
}

// SplitSettings takes "name{key=value,...}" apart. A name without braces has
// no settings. Keys and values hold nothing that would mean something else in
// a cell id or in a list by commas.
func SplitSettings(text string) (name string, set []Setting, err error) {
	name, rest, braces := strings.Cut(text, "{")
	if !braces && !strings.Contains(text, "}") {
		return text, nil, nil
	}
	inside, closed := strings.CutSuffix(rest, "}")
	if name == "" || inside == "" || !closed || !braces {
		return "", nil, fmt.Errorf("read %q: want NAME{key=value,...}", text)
	}
	for part := range strings.SplitSeq(inside, ",") {
		key, value, given := strings.Cut(part, "=")
		if key == "" || given == (value == "") || strings.ContainsFunc(key+value, reserved) {
			return "", nil, fmt.Errorf("read %q: %q is not a setting: want key=value, of letters, digits, dots, dashes and colons", text, part)
		}
		if slices.ContainsFunc(set, func(s Setting) bool { return s.Key == key }) {
			return "", nil, fmt.Errorf("read %q: %s is set twice", text, key)
		}
		set = append(set, Setting{key, value})
	}
	return name, set, nil
}

func reserved(r rune) bool {
	return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune(".:_-", r))
}

// JoinSettings is the inverse of SplitSettings.
func JoinSettings(name string, set []Setting) string {
	if len(set) == 0 {
		return name
	}
	parts := make([]string, len(set))
	for i, s := range set {
		parts[i] = s.String()
	}
	return name + "{" + strings.Join(parts, ",") + "}"
}

// SplitNames splits a list by the commas that are not inside braces.
func SplitNames(list string) []string {
	var names []string
	depth, from := 0, 0
	for i, r := range list {
		switch {
		case r == '{':
			depth++
		case r == '}':
			depth--
		case r == ',' && depth == 0:
			names = append(names, list[from:i])
			from = i + 1
		}
	}
	return append(names, list[from:])
}
