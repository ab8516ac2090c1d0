package scenarios

import (
	"context"
	"fmt"
	"io"
	"slices"
	"sync"

	"hybridlab/lab"
	"hybridlab/lab/triage"
)

// groupsAtOnce is how many groups of findings are traced side by side: their
// trials have to share the processors without disturbing one another.
const groupsAtOnce = 4

// Triage traces the findings of a run that is over, and puts what comes of it
// into their verdicts.
func (s *Session) Triage(ctx context.Context, progress io.Writer) error {
	findings, err := s.findings()
	if err != nil || len(findings) == 0 {
		return err
	}
	groups := triage.Groups(findings)
	groups = groups[:min(len(groups), triage.MostGroups)]
	fmt.Fprintf(progress, "triage: %d findings in %d groups", len(findings), len(groups))
	all := len(groups)
	if groups = slices.DeleteFunc(groups, traced); len(groups) < all {
		fmt.Fprintf(progress, ", %d of them traced in the old run", all-len(groups))
	}
	fmt.Fprintln(progress)
	better := map[string]lab.Verdict{}
	var mu sync.Mutex
	var wg sync.WaitGroup
	turn := make(chan struct{}, groupsAtOnce)
	for _, g := range groups {
		wg.Go(func() {
			turn <- struct{}{}
			defer func() { <-turn }()
			traced := triage.Trace(s.field, g, triage.SideBySide(ctx, s.Trial))
			mu.Lock()
			defer mu.Unlock()
			for _, v := range traced {
				v.Shard = 0 // traced here, with the whole of its group
				better[v.Cell] = v
			}
		})
	}
	wg.Wait()
	if ctx.Err() != nil {
		return context.Cause(ctx) // what is half traced is not traced
	}
	return s.Recorder.Amend(better)
}

// traced reports whether a group was traced in an old run, all of it: one that
// has new findings is traced as a whole, as its findings explain each other.
func traced(group []triage.Finding) bool {
	said := false
	for _, f := range group {
		if f.Verdict.Reused == "" {
			return false
		}
		said = said || f.Verdict.Traced != ""
	}
	return said
}

func (s *Session) findings() ([]triage.Finding, error) {
	var out []triage.Finding
	for v, err := range s.Recorder.Verdicts() {
		if err != nil {
			return nil, err
		}
		if o, ok := s.Seen(v.Cell); ok && v.Outcome.Finding() && v.Known == "" {
			out = append(out, triage.Finding{Verdict: v, Seen: o})
		}
	}
	return out, nil
}
