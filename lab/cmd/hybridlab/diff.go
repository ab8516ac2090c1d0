package main

import (
	"errors"

	"github.com/spf13/cobra"

	"hybridlab/lab"
	"hybridlab/lab/compare"
	"hybridlab/reports"
)

func diffCommand() *cobra.Command {
	var entries []string
	var asJSON, markdown bool
	cmd := &cobra.Command{
		Use:   "diff BEFORE AFTER",
		Short: "Show what changed between two runs",
		Long: `Compare two run directories cell by cell: what broke and what was mended, new downgrades,
new HelloRetryRequests, larger hellos, and times that shifted by more than chance. Times can
only be compared where there are samples enough: run both with --repeat, on an idle machine.

Exit code 0: nothing is worse; 1: something is.`,
		Example: `  hybridlab diff runs/monday runs/tuesday
  hybridlab diff runs/old runs/new --map nginx@trixie=nginx@forky --markdown
  hybridlab diff runs/both runs/both --map nginx@trixie=nginx@forky`,
		Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := compareDirs(args[0], args[1], entries)
			if err != nil {
				return err
			}
			w := cmd.OutOrStdout()
			switch {
			case asJSON:
				err = writeJSON(w, c)
			case markdown:
				err = reports.DiffMarkdown(w, c)
			default:
				err = reports.Diff(w, c, reports.TerminalOptions{})
			}
			if err == nil && c.Worse() {
				err = &exitError{code: exitFindings}
			}
			return labError(err)
		},
	}
	cmd.Flags().StringArrayVar(&entries, "map", nil, "a peer and what stands in its place after, as nginx@trixie=nginx@forky (repeatable)")
	cmd.Flags().BoolVar(&asJSON, "json", false, "as JSON")
	cmd.Flags().BoolVar(&markdown, "markdown", false, "as Markdown, for a pull request")
	cmd.MarkFlagsMutuallyExclusive("json", "markdown")
	return cmd
}

// compareDirs compares two run directories.
func compareDirs(before, after string, entries []string) (*compare.Comparison, error) {
	m, err := compare.ParseMap(entries)
	if err != nil {
		return nil, err
	}
	a, errA := lab.OpenRun(before)
	b, errB := lab.OpenRun(after)
	if err := errors.Join(errA, errB); err != nil {
		return nil, err
	}
	if err := m.Check(a.Report, b.Report); err != nil {
		return nil, err
	}
	return compare.Runs(compare.Side{Report: a.Report, Verdicts: a.Verdicts(), Key: m.KeyBefore},
		compare.Side{Report: b.Report, Verdicts: b.Verdicts(), Key: m.KeyAfter})
}
