package main

import (
	"errors"
	"fmt"
	"path/filepath"

	"github.com/spf13/cobra"

	"hybridlab/lab"
	"hybridlab/scenarios"
)

func mergeCommand() *cobra.Command {
	var out string
	var partial bool
	cmd := &cobra.Command{
		Use:   "merge SHARD...",
		Short: "Make one run of all the shards of a plan",
		Long: `Make one run directory of the run directories of all shards of a plan (run --shard 1/3, 2/3, 3/3).
Every cell has the verdict that its shard gave it; findings were traced shard by shard. Shards of
different plans, seeds, versions of hybridlab or of a peer are refused.`,
		Example: `  hybridlab merge shard-1 shard-2 shard-3 --out night`,
		Args:    cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			var shards []*lab.RunDir
			for _, dir := range args {
				d, err := lab.OpenRun(dir)
				if err != nil {
					return err
				}
				shards = append(shards, d)
			}
			if out == "" {
				out = filepath.Join("runs", "merged-"+shards[0].Report.Run)
			}
			d, err := lab.Merge(out, shards, partial)
			if err != nil {
				return err
			}
			fmt.Fprintf(cmd.ErrOrStderr(), "%d shards, %d verdicts\n", len(shards), d.Report.Judged)
			return errors.Join(labError(scenarios.Render(d)), show(cmd.OutOrStdout(), d))
		},
	}
	cmd.Flags().BoolVar(&partial, "partial", false, "merge what there is where shards are missing; exit code 3 then, as the lab has failed")
	cmd.Flags().StringVar(&out, "out", "", "run directory to create (default: runs/merged-<run id of the first shard>)")
	return cmd
}
