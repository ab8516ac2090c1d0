package main

import (
	"fmt"
	"path/filepath"

	"github.com/spf13/cobra"

	"hybridlab/lab"
	"hybridlab/scenarios"
)

func reportCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "report DIR",
		Short: "Write the page and the JUnit file of a stored run anew",
		Long: `Write index.html and junit.xml of a stored run anew, from its verdicts, observations
and captures. Nothing is judged again: that is hybridlab judge.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			d, err := lab.OpenRun(args[0])
			if err != nil {
				return err
			}
			if err := scenarios.Render(d); err != nil {
				return broken(err)
			}
			fmt.Fprintf(cmd.OutOrStdout(), "The page   %s\n", filepath.Join(d.Dir, lab.IndexFile))
			return nil
		},
	}
}
