package main

import (
	"fmt"
	"path/filepath"

	"github.com/spf13/cobra"

	"hybridlab/lab"
	"hybridlab/reports"
	"hybridlab/scenarios"
)

func reportCommand() *cobra.Command {
	var markdown bool
	cmd := &cobra.Command{
		Use:   "report DIR",
		Short: "Write the page, the JUnit file, the table and the metrics of a stored run anew",
		Long: `Write index.html, junit.xml, cells.csv, metrics.prom (Prometheus) and metrics.json (OpenTelemetry)
of a stored run anew, from its verdicts, observations and captures. Nothing is judged again: that is
hybridlab judge.`,
		Example: `  hybridlab report runs/night
  hybridlab report runs/night --markdown >> "$GITHUB_STEP_SUMMARY"`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			d, err := lab.OpenRun(args[0])
			if err != nil {
				return err
			}
			if err := scenarios.Render(d); err != nil {
				return broken(err)
			}
			if markdown {
				return labError(reports.Markdown(cmd.OutOrStdout(), d.Report, d.Verdicts()))
			}
			fmt.Fprintf(cmd.OutOrStdout(), "The page   %s\n", filepath.Join(d.Dir, lab.IndexFile))
			return nil
		},
	}
	cmd.Flags().BoolVar(&markdown, "markdown", false, "print a job summary in Markdown instead of where the page is")
	return cmd
}
