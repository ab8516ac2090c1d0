package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"hybridlab/lab"
	"hybridlab/lab/rig"
	"hybridlab/reports"
)

// runFlags are the flags of run beyond the axes.
type runFlags struct {
	axes
	out      string
	seed     uint64
	parallel int
	attempts int
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
	f.register(cmd)
	fl := cmd.Flags()
	fl.StringVar(&f.out, "out", "", "run directory to create (default: runs/<run id>)")
	fl.Uint64Var(&f.seed, "seed", 1, "seed of everything random")
	fl.IntVar(&f.parallel, "parallel", 0, "cells in flight (default: by fabric)")
	fl.IntVar(&f.attempts, "attempts", 2, "attempts at a finding before it is believed")
	return cmd
}

func (f *runFlags) run(cmd *cobra.Command) error {
	ctx, w := cmd.Context(), cmd.ErrOrStderr()
	if f.attempts < 1 || f.parallel < 0 {
		return fmt.Errorf("read flags: --attempts must be at least 1 and --parallel not negative")
	}
	s, err := f.choose(cmd)
	if err != nil {
		return err
	}
	id := rig.NewRunID()
	if f.out == "" {
		f.out = filepath.Join("runs", id)
	}
	fmt.Fprintf(w, "%s fabric (%s): %d cells, %d combinations excluded\n", s.fabric, s.fabricWhy, len(s.plan.Cells), len(s.plan.Excluded))
	rec, err := lab.Record(f.out, f.head(s, id))
	if err != nil {
		return err
	}
	err = f.cells(ctx, w, s, id, rec)
	return errors.Join(f.finish(cmd.OutOrStdout(), rec), err)
}

// head is the part of the report known before the first cell.
func (f *runFlags) head(s selection, id string) lab.Report {
	return lab.Report{
		Run: id, Fabric: string(s.fabric), FabricWhy: s.fabricWhy, Seed: f.seed, Tool: rig.ToolVersion(), Started: time.Now().UTC(),
		Peers: []lab.PeerInfo{}, Cells: len(s.plan.Cells), Excluded: append([]lab.Exclusion{}, s.plan.Excluded...), PlanDigest: s.plan.Digest(),
		Command: commandLine(os.Args[1:]),
	}
}

// cells starts the fabric and takes the plan through it.
func (f *runFlags) cells(ctx context.Context, w io.Writer, s selection, id string, rec *lab.Recorder) error {
	r, err := rig.Open(ctx, rig.Config{Kind: s.fabric, Run: id, Links: s.links, Peers: s.plan.Peers(), Logs: filepath.Join(rec.Dir, lab.LogsDir), Progress: w})
	if err != nil {
		return interrupted(ctx, broken(err))
	}
	defer r.Close()
	rec.Report.Peers, rec.Report.Kernel = r.Peers(), r.Kernel()
	if err := rec.SaveReport(); err != nil {
		return broken(err)
	}
	bar := newProgress(w, isTerminal(w), len(s.plan.Cells))
	rec.OnVerdict = bar.add
	runner := &lab.Runner{Fabric: r, Known: rig.Catalogue{}, Sink: rec, Seed: f.seed, CleanLink: s.links.Clean, Attempts: f.attempts}
	err = runner.Run(ctx, s.plan.Cells, f.inFlight(s.fabric))
	bar.end()
	if err != nil {
		return interrupted(ctx, broken(err))
	}
	return nil
}

func (f *runFlags) inFlight(k rig.Kind) int {
	if f.parallel > 0 {
		return f.parallel
	}
	return k.Parallel(runtime.NumCPU())
}

// interrupted replaces an error that only says the user pressed Ctrl-C.
func interrupted(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return broken(errors.New("interrupted: the finished cells are reported, the others have no verdict"))
	}
	return err
}

// finish closes the run directory, renders it and turns the counts into the
// exit code.
func (f *runFlags) finish(w io.Writer, rec *lab.Recorder) error {
	if err := rec.Close(time.Now().UTC()); err != nil {
		return broken(err)
	}
	if err := render(w, &rec.RunDir); err != nil {
		return broken(err)
	}
	return outcome(rec.Report)
}

// outcome is the exit code of a finished run.
func outcome(rep lab.Report) error {
	findings := 0
	for o, n := range rep.Counts {
		if o.Finding() || o == lab.Flaky {
			findings += n
		}
	}
	switch {
	case rep.Counts[lab.Fault] > 0:
		return broken(fmt.Errorf("%d cells could not be run: the lab failed, see outcome \"fault\"", rep.Counts[lab.Fault]))
	case findings > 0:
		return &exitError{code: exitFindings}
	}
	return nil
}

// render writes the files made from a run and shows the matrix.
func render(w io.Writer, d *lab.RunDir) error {
	err := errors.Join(
		d.Replace(lab.JUnitFile, func(w io.Writer) error { return reports.JUnit(w, d.Report, d.Verdicts()) }),
		d.Replace(lab.IndexFile, func(w io.Writer) error { return reports.HTML(w, d.Report, d.Verdicts()) }),
	)
	if err != nil {
		return err
	}
	return reports.Terminal(w, d.Report, d.Verdicts(), reports.TerminalOptions{Dir: d.Dir})
}

func isTerminal(w any) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// commandLine quotes arguments so that a shell reads them back.
func commandLine(args []string) string {
	out := []string{"hybridlab"}
	for _, a := range args {
		if strings.ContainsAny(a, " *?~>|&;()<$`\"'\\") {
			a = "'" + strings.ReplaceAll(a, "'", `'\''`) + "'"
		}
		out = append(out, a)
	}
	return strings.Join(out, " ")
}
