package reports

import (
	"go/ast"
	"go/parser"
	"go/token"
	"slices"
	"strconv"
	"strings"
	"testing"

	"hybridlab/lab"
)

// declaredCauses reads the closed list of causes from its source: Go has no
// other way to enumerate constants.
func declaredCauses(t *testing.T) []lab.Cause {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), "../lab/cause.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var out []lab.Cause
	ast.Inspect(f, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok || len(spec.Names) != 1 || !strings.HasPrefix(spec.Names[0].Name, "Cause") {
			return true
		}
		s, err := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, lab.Cause(s))
		return true
	})
	if len(out) < 20 {
		t.Fatalf("found only %d causes in lab/cause.go", len(out))
	}
	return out
}

func TestEveryCauseHasWords(t *testing.T) {
	causes := declaredCauses(t)
	for _, c := range causes {
		if causeWords[c] == "" {
			t.Errorf("cause %q has no words", c)
		}
	}
	for c := range causeWords {
		if !slices.Contains(causes, c) {
			t.Errorf("words for a cause that is not declared: %q", c)
		}
	}
	if got := because(lab.CauseOfAlert("handshake_failure")); got != "the alert handshake_failure ended it" {
		t.Errorf("words of an alert: %q", got)
	}
	if got := because("brand-new"); got != "brand-new" {
		t.Errorf("words of an unknown cause: %q", got)
	}
}

func TestEveryOutcomeHasWords(t *testing.T) {
	for _, o := range lab.Outcomes {
		_, has := outcomeWords[o]
		if has == o.Pass() {
			t.Errorf("outcome %q is a pass: %t, has words: %t", o, o.Pass(), has)
		}
		if !strings.Contains(pageCSS, ".o-"+string(o)) || sgr[o] == "" {
			t.Errorf("outcome %q has no colour", o)
		}
	}
}

func TestAnswer(t *testing.T) {
	for _, c := range []struct {
		counts map[lab.Outcome]int
		want   string
	}{
		{nil, "No cell was run."},
		{map[lab.Outcome]int{lab.Hybrid: 600, lab.Refused: 12}, "All 612 handshakes did what both stacks’ rules predict."},
		{map[lab.Outcome]int{lab.Classical: 1, lab.Fault: 3}, "The one handshake judged did what both stacks’ rules predict."},
		{map[lab.Outcome]int{lab.Hybrid: 1500, lab.Size: 1, lab.Unsupported: 40}, "1 of 1,501 handshakes did not do what both stacks’ rules predict."},
		{map[lab.Outcome]int{lab.Fault: 12}, "Nothing learned: none of 12 cells could be judged."},
	} {
		s := &summary{counts: c.counts}
		s.total = s.sum(func(lab.Outcome) bool { return true })
		if got := s.answer(); got != c.want {
			t.Errorf("answer for %v: %q, want %q", c.counts, got, c.want)
		}
	}
}

func TestReach(t *testing.T) {
	all := map[string]int{"a": 10, "b": 10, "c": 10, "clean": 10, "d": 10}
	for _, c := range []struct {
		hit, all map[string]int
		want     string
	}{
		{map[string]int{"b": 4}, all, "only link b (4 of 10 cells there)"},
		{map[string]int{"b": 4}, map[string]int{"b": 10}, "link b"},
		{map[string]int{"b": 4, "clean": 1}, all, "links clean and b"},
		{map[string]int{"a": 1, "b": 1, "c": 1, "d": 1}, all, "4 of 5 links"},
		{all, all, "all 5 links"},
		{map[string]int{"a": 1, "b": 1}, map[string]int{"a": 1, "b": 1}, "both links"},
	} {
		if got := reach("link", c.hit, c.all); got != c.want {
			t.Errorf("reach of %v in %v: %q, want %q", c.hit, c.all, got, c.want)
		}
	}
}
