package box

import (
	"fmt"
	"slices"
)

// contradiction says why the conditions can never hold together.
func contradiction(cs []Condition) error {
	for i, a := range cs {
		for _, b := range cs[:i] {
			if a.Text == b.Text {
				return fmt.Errorf("condition %q is given twice", a.Text)
			}
			if exclude(a, b) || exclude(b, a) {
				return fmt.Errorf("conditions %q and %q can never hold together", b.Text, a.Text)
			}
		}
	}
	return nil
}

// measures are conditions on the same number.
var measures = map[string]string{"ch": "message", "rec": "record", "frag1": "record"}

// subsets pair a condition on what a list has with one on what it may have.
var subsets = map[string]string{"grp_offered": "grp_only", "version": "version_only"}

func exclude(a, b Condition) bool {
	in := func(set []uint16) func(uint16) bool {
		return func(v uint16) bool { return slices.Contains(set, v) }
	}
	switch {
	case measures[a.Name] != "" && measures[a.Name] == measures[b.Name] && a.Under != b.Under:
		low, high := a, b
		if a.Under {
			low, high = b, a
		}
		return low.N+1 >= high.N
	case subsets[a.Name] != "" && subsets[a.Name] == b.Name:
		return !slices.ContainsFunc(a.Codes, in(b.Codes))
	case a.Name == "ks_offered" && b.Name == "ks_lacks":
		return !slices.ContainsFunc(a.Codes, func(v uint16) bool { return !slices.Contains(b.Codes, v) })
	case a.Name == "server_first":
		return b.Name != "port" // the hello is then not the first thing said, and sniffers stop
	}
	return false
}

// conflict says why the actions make no sense together.
func conflict(as []Action) error {
	var over []Action
	for i, a := range as {
		if slices.ContainsFunc(as[:i], func(b Action) bool { return b.Text == a.Text }) {
			return fmt.Errorf("action %q is given twice", a.Text)
		}
		if a.Name == "probabilistic" && (i > 0 || len(as) == 1) {
			return fmt.Errorf("action %q comes first, and is about those that follow", a.Text)
		}
		if a.over() {
			over = append(over, a)
		}
	}
	for i, a := range over {
		for _, b := range over[:i] {
			if !apart(a, b) {
				return fmt.Errorf("actions %q and %q exclude each other: either ends the connection", b.Text, a.Text)
			}
		}
	}
	return needs(as, over)
}

// over: the connection ends with it.
func (a Action) over() bool {
	k, _ := lookupAction(a.Name)
	return k.ends || a.Name == "drop" && a.Seg == 0 && !a.Packet
}

// apart: a RST or FIN to one end, and one to the other.
func apart(a, b Action) bool {
	return len(a.Ends) == 1 && len(b.Ends) == 1 && a.Ends[0] != b.Ends[0]
}

// needs holds each action against what it cannot be without, or be with.
func needs(as, over []Action) error {
	for _, a := range as {
		switch a.Name {
		case "alert":
			if !slices.ContainsFunc(over, func(b Action) bool { return b.Name == "FIN" || b.Name == "RST" }) {
				return fmt.Errorf("action %q needs FIN or RST after it: nobody sends an alert and goes on", a.Text)
			}
		case "cooldown":
			if len(over) == 0 {
				return fmt.Errorf("action %q needs one that ends the connection, to be done again", a.Text)
			}
		case "delay", "rewrite", "pass-uninspected", "misroute", "truncate", "strip", "reencrypt":
			if len(over) > 0 {
				return fmt.Errorf("action %q has no effect: %q ends the connection", a.Text, over[0].Text)
			}
		}
	}
	return nil
}

// fitting says why the actions make no sense under the conditions.
func fitting(cs []Condition, as []Action) error {
	single := slices.ContainsFunc(cs, func(c Condition) bool { k, _ := lookupCondition(c.Name); return k.each })
	for _, a := range as {
		if a.Packet && !single {
			return fmt.Errorf("action %q needs a condition on packets, pkt>N or ip_frag; to drop everything write drop(flow)", a.Text)
		}
	}
	return nil
}
