package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"hybridlab/lab"
	"hybridlab/lab/rig"
	"hybridlab/reports"
	"hybridlab/scenarios"
)

// runFlags are the flags of run.
type runFlags struct {
	scenarios.Axes
	scenarios.Options
	known    []string
	parallel int
	noTriage bool
	reuse    string
}

func runCommand() *cobra.Command {
	var f runFlags
	cmd := &cobra.Command{
		Use:   "run",
		Short: "Run a matrix, show it, and write a run directory",
		Long: `Run every selected cell, judge it from its packets, and write a run directory:
report.json, verdicts.jsonl, observations.jsonl, junit.xml, index.html and captures.

A list of groups is written as in x25519mlkem768+x25519 (one tier), x25519mlkem768>x25519
(the second only where the first cannot be had), x25519+~x25519mlkem768 (X25519 share sent,
the hybrid only advertised).`,
		Example: `  hybridlab run
  hybridlab run --fabric embedded --links clean,mtu1280-icmp-eaten
  hybridlab run --cell 'openssl@trixie/go@1.26/x25519mlkem768/mtu1280'`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return f.run(cmd) },
	}
	register(cmd, &f.Axes)
	fl := cmd.Flags()
	fl.StringVar(&f.Out, "out", "", "run directory to create (default: runs/<run id>)")
	fl.Uint64Var(&f.Seed, "seed", 1, "seed of everything random")
	fl.IntVar(&f.Attempts, "attempts", 2, "attempts at a finding before it is believed")
	fl.IntVar(&f.Repeat, "repeat", 1, "runs of every cell that is no finding: its handshake times, and whether it is flaky")
	registerKnown(cmd, &f.known)
	fl.BoolVar(&f.noTriage, "no-triage", false, "do not trace findings to one variable, one culprit and one number")
	fl.StringVar(&f.reuse, "reuse", "", `old run directory: cells whose peers, configuration, link, boxes, seed and hybridlab have not
changed since are not run again; its passes and findings are taken over, marked as reused`)
	fl.IntVar(&f.parallel, "parallel", 0, "cells in flight (default: by fabric)")
	return cmd
}

func (f *runFlags) run(cmd *cobra.Command) error {
	ctx, w := cmd.Context(), cmd.ErrOrStderr()
	if f.Attempts < 1 || f.Repeat < 1 || f.parallel < 0 {
		return errors.New("read flags: --attempts and --repeat must be at least 1 and --parallel not negative")
	}
	known, err := scenarios.LoadKnown(f.known)
	if err != nil {
		return err
	}
	f.Known = known
	if f.reuse != "" {
		if f.Reuse, err = lab.OpenRun(f.reuse); err != nil {
			return fmt.Errorf("read --reuse: %w", err)
		}
	}
	s, err := f.Choose(ctx)
	if errors.Is(err, rig.ErrNoDocker) {
		return broken(err)
	}
	if err != nil {
		return err
	}
	if f.parallel == 0 {
		f.parallel = s.InFlight()
	}
	f.Command, f.Progress = again(os.Args[1:]), w
	fmt.Fprintf(w, "%s fabric (%s): %d cells, %d combinations excluded\n", s.Fabric, s.FabricWhy, len(s.Plan.Cells), len(s.Plan.Excluded))
	writeConfigs(w, s.Peers)
	ss, err := scenarios.Start(ctx, s, f.Options)
	if err != nil {
		return startError(ctx, err)
	}
	if f.Reuse != nil {
		fmt.Fprintln(w, reuseLine(ss))
	}
	bar := newProgress(w, isTerminal(w), len(s.Plan.Cells)-ss.Reused.Cells)
	ss.Recorder.OnVerdict = bar.add
	err = ss.Run(ctx, s.Plan.Cells, f.parallel)
	bar.end()
	if err == nil && !f.noTriage {
		err = ss.Triage(ctx, w)
	}
	if err == nil {
		err = ss.Prove(ctx)
	}
	if err != nil {
		err = interrupted(ctx, broken(err))
	}
	return errors.Join(err, finish(cmd.OutOrStdout(), ss))
}

// reuseLine says what came of --reuse.
func reuseLine(ss *scenarios.Session) string {
	rest := []string{}
	for _, why := range slices.Sorted(maps.Keys(ss.Reused.Rest)) {
		rest = append(rest, fmt.Sprintf("%d %s", ss.Reused.Rest[why], why))
	}
	line := fmt.Sprintf("reuse: %d cells are taken over", ss.Reused.Cells)
	if len(rest) > 0 {
		line += "; run: " + strings.Join(rest, ", ")
	}
	if tool := ss.Recorder.Report.Tool; !(rig.Inputs{Tool: tool}).Named() {
		line += fmt.Sprintf(" (hybridlab is %q: no commit says what it is made of, and nothing of it can be reused; build it from a commit)", tool)
	}
	return line
}

// startError tells a wrong --out or --reuse, the user's, from a fabric that did not
// start, the lab's.
func startError(ctx context.Context, err error) error {
	if errors.Is(err, lab.ErrRunDir) || errors.Is(err, lab.ErrReuse) {
		return err
	}
	return interrupted(ctx, broken(err))
}

// interrupted replaces an error that only says the user pressed Ctrl-C.
func interrupted(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return broken(errors.New("interrupted: the finished cells are reported, the others have no verdict"))
	}
	return err
}

// finish ends the session, shows the matrix and turns the counts into the
// exit code.
func finish(w io.Writer, ss *scenarios.Session) error {
	if err := ss.End(); err != nil {
		return broken(err)
	}
	return show(w, &ss.Recorder.RunDir)
}

// show prints a run and returns its exit code as an error.
func show(w io.Writer, d *lab.RunDir) error {
	if err := reports.Terminal(w, d.Report, d.Verdicts(), reports.TerminalOptions{Dir: d.Dir}); err != nil {
		return broken(err)
	}
	switch missed := d.Report.Missed(); {
	case len(d.Report.Missing) > 0:
		return broken(fmt.Errorf("shard %s is missing: its cells have no verdict", strings.Join(d.Report.Missing, ", ")))
	case len(missed) > 0:
		return broken(fmt.Errorf("%s (%d such): the lab does not see what that box is known for", missed[0], len(missed)))
	case d.Report.Counts[lab.Fault] > 0:
		return broken(fmt.Errorf("%d cells could not be run: the lab failed, see outcome \"fault\"", d.Report.Counts[lab.Fault]))
	case d.Report.Unexpected > 0 || len(d.Report.Gone()) > 0:
		return &exitError{code: exitFindings}
	case undecided(d.Report):
		return broken(fmt.Errorf("%d cells could not be decided, more than one in %d: that there are no findings says little; take a quieter machine or a lower --parallel",
			d.Report.Counts[lab.Inconclusive], mostUndecided))
	}
	return nil
}

func isTerminal(w any) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// again is the command line that makes the same run once more, quoted for a
// shell. The run directory is left out, as the next run needs another, and so
// is an old run, which may be gone.
func again(args []string) string {
	out := []string{"hybridlab"}
	skip := false
	for _, a := range args {
		flag, _, whole := strings.Cut(a, "=")
		if skip || flag == "--out" || flag == "--reuse" {
			skip = !skip && !whole
			continue
		}
		if strings.ContainsAny(a, " *?~>{}|&;()<$`\"'\\") {
			a = "'" + strings.ReplaceAll(a, "'", `'\''`) + "'"
		}
		out = append(out, a)
	}
	return strings.Join(out, " ")
}

// mostUndecided: if more than one cell in so many could not be decided, a run
// without findings must not look like a success.
const mostUndecided = 10

func undecided(r lab.Report) bool {
	all := 0
	for _, n := range r.Counts {
		all += n
	}
	return r.Counts[lab.Inconclusive]*mostUndecided > all
}
