package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"hybridlab/lab"
	"hybridlab/lab/rig"
	"hybridlab/netem/box"
	"hybridlab/scenarios"
)

func boxesCommand() *cobra.Command {
	var file string
	var check bool
	var seed uint64
	cmd := &cobra.Command{
		Use:   "boxes [BOX...]",
		Short: "Show the middleboxes: what each does, who has it, how sure that is",
		Long: `Show the catalogue of middleboxes, or some of it. Each stands for a breakage known from the
field; a file of your own has the same form (--box-file). Behind them are listed the real middleboxes
that can stand in the same places, programs in containers:

boxes:
  - name: mine
    when: seg1_incomplete_record && gap>20ms
    do: RST(client) + cooldown(2m)

` + box.Help(),
		Example: `  hybridlab boxes proxysg-rst
  hybridlab boxes --check`,
		RunE: func(cmd *cobra.Command, names []string) error {
			bs, err := scenarios.LoadBoxes(file)
			if err != nil {
				return err
			}
			chosen, real, err := choose(bs, names)
			if err != nil {
				return err
			}
			if check {
				if len(real) > 0 && len(names) > 0 {
					return fmt.Errorf("check %s: what a real middlebox breaks is not known beforehand; try hybridlab run --level middleboxes --boxes %s", real[0], real[0])
				}
				return checkBoxes(cmd.Context(), cmd.OutOrStdout(), bs, chosen, seed)
			}
			for _, b := range chosen {
				writeBox(cmd.OutOrStdout(), b)
			}
			return writeReal(cmd.OutOrStdout(), bs, real)
		},
	}
	cmd.Flags().StringVar(&file, "box-file", "", "YAML file with boxes of your own")
	cmd.Flags().BoolVar(&check, "check", false, "run each box's probes (embedded fabric) and hold the verdicts against what must be found")
	cmd.Flags().Uint64Var(&seed, "seed", 1, "seed of everything random")
	return cmd
}

// choose tells the boxes of the engine from real middleboxes.
func choose(bs rig.Boxes, names []string) (ours []box.Box, real []string, err error) {
	if len(names) == 0 {
		return bs.All(), rig.Middleboxes(), nil
	}
	for _, n := range names {
		if rig.Real(n) {
			real = append(real, n)
			continue
		}
		b, err := bs.Find(n)
		if err != nil {
			return nil, nil, err
		}
		ours = append(ours, b)
	}
	return ours, real, nil
}

func writeReal(w io.Writer, bs rig.Boxes, ids []string) error {
	for _, id := range ids {
		m, err := bs.Middlebox(id)
		if err != nil {
			return err
		}
		fmt.Fprintf(w, "\n%s  a real middlebox, in a container\n  %-8s %s\n", m.ID, "", m.About)
		if m.Fix != "" {
			fmt.Fprintf(w, "  %-8s %s\n", "fix", m.Fix)
		}
	}
	return nil
}

func writeBox(w io.Writer, b box.Box) {
	fmt.Fprintf(w, "\n%s  %s\n", b.Name, strings.TrimSpace(b.ID+" "+string(b.Confidence)))
	for _, l := range []struct{ label, text string }{
		{"", b.About}, {"origin", b.Origin}, {"layer", string(b.Layer)}, {"params", b.Params}, {"when", b.When}, {"do", b.Do}, {"else", b.Otherwise},
		{"fix", b.Fix}, {"see", strings.Join(b.Evidence, " ")},
	} {
		if l.text != "" {
			fmt.Fprintf(w, "  %-8s %s\n", l.label, l.text)
		}
	}
}

// checkBoxes prints a row per expectation. A box that is not caught is the
// lab's failure: it would not see the real one either.
func checkBoxes(ctx context.Context, w io.Writer, bs rig.Boxes, chosen []box.Box, seed uint64) error {
	var names []string
	for _, b := range chosen {
		names = append(names, b.Name)
	}
	catches, err := rig.CheckBoxes(ctx, bs, names, seed, true)
	if err != nil {
		return labError(err)
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "ID\tBOX\tPROBE\tWITHOUT\tWITH THE BOX\tCAUSE\tBLAME\tTRIGGER\tCAUGHT")
	missed := 0
	for _, c := range catches {
		caught := "yes"
		if c.Problem != "" {
			caught = "NO"
			missed++
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", c.ID, c.Box, c.Want.Probe, c.Bare.Outcome, c.Got.Outcome, dash(string(c.Got.Cause)), blamed(c), trigger(c.Got), caught)
	}
	t.Flush()
	for _, c := range catches {
		if c.Problem != "" {
			fmt.Fprintf(w, "NOT CAUGHT: %s: %s\n", c.Cell, c.Problem)
		}
	}
	fmt.Fprintf(w, "%d boxes, %d probes, %d as expected\n", len(slices.Compact(boxesOf(catches))), len(catches), len(catches)-missed)
	if missed > 0 {
		return broken(fmt.Errorf("%d of %d probes did not come to what must be found", missed, len(catches)))
	}
	return nil
}

func boxesOf(catches []rig.Catch) []string {
	var out []string
	for _, c := range catches {
		name, _, _ := strings.Cut(c.Box, "{")
		out = append(out, name)
	}
	return out
}

// blamed says "box" where it is this one.
func blamed(c rig.Catch) string {
	if c.Got.Blame == "box "+c.Box {
		return "box"
	}
	return dash(c.Got.Blame)
}

func trigger(v lab.Verdict) string {
	if v.Threshold > 0 {
		return fmt.Sprintf("%s %d", v.Trigger, v.Threshold)
	}
	return dash(string(v.Trigger))
}

func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}
