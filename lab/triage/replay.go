package triage

import "hybridlab/lab"

// Replay traces the findings of a stored run again from what its trials saw.
// verdicts are the run's, judged anew; those of findings are replaced in
// place. A run without trials was not traced, and is not now.
func Replay(field Field, d *lab.RunDir, verdicts []lab.Verdict) error {
	firsts, trials := map[string]lab.Observation{}, map[string]lab.Observation{}
	for o, err := range d.Observations() {
		switch {
		case err != nil:
			return err
		case o.Trial:
			trials[lab.TrialKey(o.Cell.ID, o.Seed)] = o // of two the later counts, as it did
		case o.Attempt == 1:
			firsts[o.Cell.ID] = o
		}
	}
	if len(trials) == 0 {
		return nil
	}
	place := map[string]int{}
	findings := map[int][]Finding{} // by shard: each traced its own
	for i, v := range verdicts {
		place[v.Cell] = i
		if v.Outcome.Finding() && v.Known == "" {
			findings[v.Shard] = append(findings[v.Shard], Finding{v, firsts[v.Cell]})
		}
	}
	for _, shard := range findings {
		groups := Groups(shard)
		for _, g := range groups[:min(len(groups), MostGroups)] {
			for _, v := range Trace(field, g, recorded(trials)) {
				verdicts[place[v.Cell]] = v
			}
		}
	}
	return nil
}

func recorded(seen map[string]lab.Observation) Try {
	return func(trials []Trial) []lab.Observation {
		out := make([]lab.Observation, len(trials))
		for i, t := range trials {
			out[i] = seen[lab.TrialKey(t.Cell.ID, t.Seed)]
		}
		return out
	}
}
