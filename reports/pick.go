package reports

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"hybridlab/lab"
)

// Pick finds the cell of a finding by what a user calls it: the cell's id, the
// beginning of an id that is no other finding's, or the number that Terminal
// gives the finding, which stands for its first cell. The error names the
// choices.
func Pick(rep lab.Report, verdicts Verdicts, what string) (cell string, err error) {
	var ids []string
	exact := false
	s, err := summarize(rep, verdicts, func(v lab.Verdict) {
		exact = exact || v.Cell == what
		if v.Outcome.Finding() {
			ids = append(ids, v.Cell)
		}
	})
	if err != nil {
		return "", err
	}
	firsts := s.firsts(ids)
	if n, err := strconv.Atoi(what); err == nil && n > 0 && n <= len(firsts) {
		return firsts[n-1], nil
	}
	var alike []string
	for _, id := range ids {
		if id == what {
			return id, nil
		}
		if what != "" && strings.HasPrefix(id, what) {
			alike = append(alike, id)
		}
	}
	switch {
	case len(alike) == 1:
		return alike[0], nil
	case len(alike) > 1:
		return "", fmt.Errorf("pick finding %q: %s begin so:\n%s", text(what), count(len(alike), "finding"), choices(alike))
	case len(ids) == 0:
		return "", fmt.Errorf("pick finding %q: the run has no findings", text(what))
	case exact:
		return "", fmt.Errorf("pick finding %q: that cell is no finding; there are:\n%s", text(what), choices(firsts))
	}
	return "", fmt.Errorf("pick finding %q: there is none; want a number, a cell or the beginning of one:\n%s", text(what), choices(firsts))
}

// firsts are the first cells of the numbered findings.
func (s *summary) firsts(ids []string) []string {
	var out []string
	for _, g := range s.findings() {
		i := slices.IndexFunc(ids, func(id string) bool { return name(id) == g.examples[0].Cell })
		out = append(out, ids[i])
	}
	return out
}

// choices lists cells, a line each, with their numbers.
func choices(ids []string) string {
	const most = 12
	var b strings.Builder
	for i, id := range ids[:min(len(ids), most)] {
		fmt.Fprintf(&b, "%3d %s\n", i+1, name(id))
	}
	if more := len(ids) - most; more > 0 {
		fmt.Fprintf(&b, "    and %s more\n", number(more))
	}
	return strings.TrimRight(b.String(), "\n")
}
