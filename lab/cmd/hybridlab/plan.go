package main

import (
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"hybridlab/scenarios"
)

func planCommand() *cobra.Command {
	var a scenarios.Axes
	var cells, excluded bool
	cmd := &cobra.Command{
		Use:   "plan",
		Short: "Show what would run, what is excluded and why, and how long it should take",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := a.Choose(cmd.Context())
			if err != nil {
				return err
			}
			return writePlan(cmd.OutOrStdout(), s, cells, excluded)
		},
	}
	register(cmd, &a)
	cmd.Flags().BoolVar(&cells, "cells", false, "list every cell id")
	cmd.Flags().BoolVar(&excluded, "excluded", false, "list every excluded combination with its reason")
	return cmd
}

func writePlan(w io.Writer, s scenarios.Selection, cells, excluded bool) error {
	reasons := map[string]int{}
	var order []string
	for _, e := range s.Plan.Excluded {
		if reasons[e.Reason]++; reasons[e.Reason] == 1 {
			order = append(order, e.Reason)
		}
	}
	fmt.Fprintf(w, "%d cells on the %s fabric (%s), digest %s, about %s\n",
		len(s.Plan.Cells), s.Fabric, s.FabricWhy, s.Digest, estimate(s).Round(time.Second))
	if cells {
		for _, c := range s.Plan.Cells {
			fmt.Fprintf(w, "  %s\n", c.ID)
		}
	}
	fmt.Fprintf(w, "%d combinations excluded\n", len(s.Plan.Excluded))
	for _, r := range order {
		fmt.Fprintf(w, "  %5d  %s\n", reasons[r], r)
	}
	if excluded {
		for _, e := range s.Plan.Excluded {
			fmt.Fprintf(w, "  %s: %s\n", e.Cell, e.Reason)
		}
	}
	return nil
}

// estimate is start-up plus the larger of work and waiting: cells that a
// link may silence cost the lab's patience twice, and wait side by side.
func estimate(s scenarios.Selection) time.Duration {
	cost := s.Fabric.Cost()
	var waiting time.Duration
	for _, c := range s.Plan.Cells {
		waiting += s.Links.Waiting(c.Link)
	}
	work := time.Duration(len(s.Plan.Cells)) * cost.Cell
	return cost.Start + max(work, waiting/time.Duration(s.InFlight()))
}
