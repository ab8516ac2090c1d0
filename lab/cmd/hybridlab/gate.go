package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"hybridlab/lab"
	"hybridlab/lab/compare"
	"hybridlab/lab/gate"
	"hybridlab/lab/rig"
	"hybridlab/reports"
	"hybridlab/scenarios"
)

// gateFlags are the flags of gate.
type gateFlags struct {
	scenarios.Axes
	scenarios.Options
	before, after, role, policyFile string
	policy                          gate.Policy
	parallel                        int
	asJSON                          bool
}

func gateCommand() *cobra.Command {
	f := gateFlags{policy: gate.Default()}
	cmd := &cobra.Command{
		Use:   "gate --before PEER --after PEER",
		Short: "Answer whether one peer may replace another: yes or no, with the reason",
		Long: `Run one plan with either peer in the same place, side by side, and answer whether the one after
may replace the one before. PEER is an id (nginx@forky), an image (nginx@mine=my/nginx:1.30), either
set up for a list of groups: openssl@trixie/x25519+secp256r1, nginx@mine/x25519=my/nginx, or a row of
the table that speaks TLS as a configuration file says: nginx@trixie:nginx.conf, haproxy@forky:haproxy.cfg,
apache@trixie:ssl.conf, openssl@trixie:openssl.cnf. Of the file what concerns TLS is taken, and listed.

A policy file (YAML) may hold, beside what the flags below say (success, fallback, downgrade, p95,
p99): require: [GROUPS that must come out], forbid: [OUTCOMES that must not], versions: [openssl >= 3.5].

Exit code 0: yes; 1: no; 2: usage; 3: the lab failed.`,
		Example: `  hybridlab gate --before nginx@trixie --after nginx@forky
  hybridlab gate --before nginx@old=my/nginx:1.28 --after nginx@new=my/nginx:1.30 --p95 20% --repeat 10
  hybridlab gate --before nginx@trixie:/etc/nginx/nginx.conf --after nginx@trixie:new.conf
  hybridlab gate --before openssl@trixie --after openssl@trixie/x25519+secp256r1`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return f.run(cmd) },
	}
	registerAxes(cmd, &f.Axes)
	fl := cmd.Flags()
	fl.StringVar(&f.before, "before", "", "the peer that is there")
	fl.StringVar(&f.after, "after", "", "the peer that is to take its place")
	fl.StringVar(&f.role, "role", "", "try them as server or client only (default: as both, where both can)")
	fl.StringVar(&f.policyFile, "policy", "", "YAML file with what the peer after must live up to")
	for _, s := range f.shares() {
		fl.Var((*shareFlag)(s.share), s.name, s.help)
	}
	fl.StringVar(&f.Out, "out", "", "directory to create for both runs, gate.json and gate.md (default: runs/gate-<run id>)")
	fl.Uint64Var(&f.Seed, "seed", 1, "seed of everything random")
	fl.IntVar(&f.Attempts, "attempts", 2, "attempts at a finding before it is believed")
	fl.IntVar(&f.Repeat, "repeat", 1, "runs of every cell that is no finding: times take many")
	fl.IntVar(&f.parallel, "parallel", 0, "pairs of cells in flight (default: by fabric)")
	fl.BoolVar(&f.asJSON, "json", false, "answer as JSON")
	for _, name := range []string{"before", "after"} {
		if err := cmd.MarkFlagRequired(name); err != nil {
			panic(err)
		}
	}
	return cmd
}

// shares are the thresholds that are flags and keys of the policy file alike.
func (f *gateFlags) shares() []struct {
	name, help string
	share      *gate.Share
} {
	return []struct {
		name, help string
		share      *gate.Share
	}{
		{"success", "least share of the handshakes that worked before and must still", &f.policy.Success},
		{"fallback", "greatest share of hybrid handshakes that may be classical now", &f.policy.Fallback},
		{"downgrade", "greatest share of handshakes that may be downgrades now and were none", &f.policy.Downgrade},
		{"p95", "by how much the slowest 5% of handshakes may get slower, group by group (default: not judged)", &f.policy.P95},
		{"p99", "by how much the slowest 1% may (default: not judged)", &f.policy.P99},
	}
}

// shareFlag makes a share a flag's value.
type shareFlag gate.Share

func (s *shareFlag) Set(text string) error { return (*gate.Share)(s).UnmarshalText([]byte(text)) }
func (s *shareFlag) String() string        { return gate.Share(*s).String() }
func (s *shareFlag) Type() string          { return "percentage" }

// loadPolicy reads the policy file under the flags that were given.
func (f *gateFlags) loadPolicy(cmd *cobra.Command) error {
	if f.policyFile == "" {
		return nil
	}
	file, err := os.Open(f.policyFile)
	if err != nil {
		return fmt.Errorf("read policy: %w", err)
	}
	defer file.Close()
	p, err := gate.Load(file, f.policyFile)
	if err != nil {
		return err
	}
	flagged := f.policy
	f.policy = p
	given := gateFlags{policy: flagged}
	for i, s := range f.shares() {
		if cmd.Flags().Changed(s.name) {
			*s.share = *given.shares()[i].share
		}
	}
	return nil
}

func (f *gateFlags) run(cmd *cobra.Command) error {
	swap, err := f.plan(cmd)
	if errors.Is(err, rig.ErrNoDocker) {
		return broken(err)
	}
	if err != nil {
		return err
	}
	ctx, w := cmd.Context(), cmd.ErrOrStderr()
	fmt.Fprintf(w, "%s fabric (%s): %d cells with %s, %d with %s\n", swap.Before.Fabric, swap.Before.FabricWhy,
		len(swap.Before.Plan.Cells), swap.Before.Name, len(swap.After.Plan.Cells), swap.After.Name)
	writeConfigs(w, swap.Before.Peers)
	writeConfigs(w, swap.After.Peers)
	before, after, err := f.abreast(ctx, swap, w)
	if err != nil {
		return err
	}
	return f.answer(cmd.OutOrStdout(), swap, before, after)
}

func (f *gateFlags) plan(cmd *cobra.Command) (*scenarios.Swap, error) {
	if f.Attempts < 1 || f.Repeat < 1 || f.parallel < 0 {
		return nil, errors.New("read flags: --attempts and --repeat must be at least 1 and --parallel not negative")
	}
	if f.role != "" && f.role != string(lab.ClientRole) && f.role != string(lab.ServerRole) {
		return nil, fmt.Errorf("read --role %q: want server or client", f.role)
	}
	if err := f.loadPolicy(cmd); err != nil {
		return nil, err
	}
	before, err := scenarios.ParseContender(f.before)
	if err != nil {
		return nil, err
	}
	after, err := scenarios.ParseContender(f.after)
	if err != nil {
		return nil, err
	}
	return f.Swap(cmd.Context(), before, after, lab.Role(f.role))
}

// abreast runs both sides and closes them.
func (f *gateFlags) abreast(ctx context.Context, swap *scenarios.Swap, w io.Writer) (before, after *lab.RunDir, err error) {
	if f.Out == "" {
		f.Out = filepath.Join("runs", "gate-"+rig.NewRunID())
	}
	f.Command, f.Progress = again(os.Args[1:]), w
	start := func(s scenarios.Selection, name string) (*scenarios.Session, error) {
		o := f.Options
		o.Out = filepath.Join(f.Out, name)
		ss, err := scenarios.Start(ctx, s, o)
		if err != nil {
			err = startError(ctx, err)
		}
		return ss, err
	}
	a, err := start(swap.Before.Selection, "before")
	if err != nil {
		return nil, nil, err
	}
	b, err := start(swap.After.Selection, "after")
	if err != nil {
		return nil, nil, errors.Join(err, a.End())
	}
	if f.parallel == 0 {
		f.parallel = swap.Before.InFlight() / 2
	}
	bar := newProgress(w, isTerminal(w), len(swap.Before.Plan.Cells)+len(swap.After.Plan.Cells))
	a.Recorder.OnVerdict, b.Recorder.OnVerdict = bar.add, bar.add
	err = swap.Abreast(ctx, a, b, f.parallel)
	bar.end()
	if err != nil {
		err = interrupted(ctx, broken(err))
	}
	if closing := errors.Join(a.End(), b.End()); closing != nil {
		err = errors.Join(err, broken(closing))
	}
	return &a.Recorder.RunDir, &b.Recorder.RunDir, err
}

// answer compares the two runs, writes the answer and returns it as an exit
// code.
func (f *gateFlags) answer(w io.Writer, swap *scenarios.Swap, before, after *lab.RunDir) error {
	for _, d := range []*lab.RunDir{before, after} {
		if n := d.Report.Counts[lab.Fault]; n > 0 {
			return broken(fmt.Errorf("%d cells of %s could not be run: the lab failed, see outcome \"fault\"", n, d.Dir))
		}
	}
	c, err := compare.Runs(compare.Side{Report: before.Report, Verdicts: before.Verdicts(), Key: swap.Before.Key},
		compare.Side{Report: after.Report, Verdicts: after.Verdicts(), Key: swap.After.Key})
	if err != nil {
		return broken(err)
	}
	a, b := side(swap.Before), side(swap.After)
	d, err := gate.Decide(f.policy, a, b, c, gate.Run{Report: after.Report, Verdicts: after.Verdicts()})
	if err != nil {
		return broken(err)
	}
	account := gateAccount{Sentence: d.Sentence(a, b), Decision: d, Comparison: c}
	if err := f.keep(account, a, b); err != nil {
		return broken(err)
	}
	if f.asJSON {
		err = writeJSON(w, account)
	} else {
		err = reports.Gate(w, a, b, d, c, reports.TerminalOptions{})
		fmt.Fprintf(w, "\nBoth runs and the answer are in %s\n", f.Out)
	}
	if err == nil && !d.Yes {
		err = &exitError{code: exitFindings}
	}
	return labError(err)
}

func side(s scenarios.Stand) gate.Side {
	return gate.Side{Name: s.Name, ID: s.ID, Default: s.Peers.Rules(s.ID).Default}
}

// gateAccount is gate.json.
type gateAccount struct {
	Sentence string `json:"sentence"`
	gate.Decision
	Comparison *compare.Comparison `json:"comparison"`
}

// keep writes gate.json and gate.md beside the runs.
func (f *gateFlags) keep(account gateAccount, before, after gate.Side) error {
	write := func(name string, render func(io.Writer) error) error {
		file, err := os.Create(filepath.Join(f.Out, name))
		if err != nil {
			return fmt.Errorf("write the answer: %w", err)
		}
		return errors.Join(render(file), file.Close())
	}
	return errors.Join(
		write("gate.json", func(w io.Writer) error { return writeJSON(w, account) }),
		write("gate.md", func(w io.Writer) error {
			return reports.GateMarkdown(w, before, after, account.Decision, account.Comparison)
		}))
}

func writeJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}
