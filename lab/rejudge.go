package lab

import "fmt"

// Rejudge judges a stored run again by the rules of today, without peers,
// packets or containers. It returns the new verdicts in the order of the old
// ones. cleanLink must be the function the run used.
func Rejudge(d *RunDir, known Catalogue, cleanLink func(string) string) ([]Verdict, error) {
	attempts := map[string][]Observation{}
	for o, err := range d.Observations() {
		if err != nil {
			return nil, err
		}
		if !o.Trial {
			attempts[o.Cell.ID] = append(attempts[o.Cell.ID], o)
		}
	}
	var out []Verdict
	for old, err := range d.Verdicts() {
		if err != nil {
			return nil, err
		}
		all := attempts[old.Cell]
		if len(all) == 0 {
			return nil, fmt.Errorf("judge cell %q: no observation of it in %s", old.Cell, ObservationsFile)
		}
		var taken []ControlTaken
		if judgeOne(known, all[0], nil).Outcome.Disputed() {
			taken = retaken(all[0].Cell, attempts, known, cleanLink)
		}
		v := Settle(known, all[:min(len(all), max(1, len(old.Attempts)))], taken)
		v.Inputs, v.Reused, v.Shard = old.Inputs, old.Reused, old.Shard
		out = append(out, v)
	}
	return out, nil
}

// retaken are the controls of c that were observed, judged anew. Controls
// count by their first attempt, as they did in the run.
func retaken(c Cell, attempts map[string][]Observation, known Catalogue, cleanLink func(string) string) []ControlTaken {
	var taken []ControlTaken
	for _, k := range Controls(c, cleanLink(c.Link), known) {
		if seen := attempts[k.Cell.ID]; len(seen) > 0 {
			taken = append(taken, ControlTaken{k.Kind, k.Cell.ID, judgeOne(known, seen[0], nil).Outcome})
		}
	}
	return taken
}
