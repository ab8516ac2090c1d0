package main

import (
	"encoding/json"
	"fmt"
	"io"
	"reflect"
	"strings"

	"github.com/spf13/cobra"

	"hybridlab/lab"
	"hybridlab/lab/rig"
	"hybridlab/lab/triage"
	"hybridlab/scenarios"
)

func judgeCommand() *cobra.Command {
	var linkFile string
	var knownFiles []string
	var dry bool
	cmd := &cobra.Command{
		Use:   "judge DIR",
		Short: "Judge a stored run again by the rules of today, without Docker",
		Long: `Judge a stored run again from its observations and write the verdicts and reports anew.
The verdicts it replaces are kept as verdicts.previous.jsonl when any of them changes.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			links, err := scenarios.LoadLinks(linkFile)
			if err != nil {
				return err
			}
			d, err := lab.OpenRun(args[0])
			if err != nil {
				return err
			}
			known := d.Report.Deviations()
			if cmd.Flags().Changed("known") {
				if known, err = scenarios.LoadKnown(knownFiles); err != nil {
					return err
				}
			}
			return rejudge(cmd.OutOrStdout(), d, links, known, dry)
		},
	}
	cmd.Flags().StringVar(&linkFile, "link-file", "", "the link file the run used, if any")
	registerKnown(cmd, &knownFiles)
	cmd.Flags().BoolVar(&dry, "dry-run", false, "only say what would change")
	return cmd
}

// previousFile keeps the verdicts that a new judgement replaced.
const previousFile = "verdicts.previous.jsonl"

func rejudge(w io.Writer, d *lab.RunDir, links rig.Links, known lab.Deviations, dry bool) error {
	peers := rig.Recall(d.Report.Peers)
	now, err := lab.Rejudge(d, peers, links.Clean)
	if err != nil {
		return err
	}
	if rig.ToolVersion() != d.Report.Tool { // the rules are part of what a verdict is made from
		for i := range now {
			now[i].Inputs = ""
		}
	}
	boxes, err := scenarios.LoadBoxes("")
	if err != nil {
		return err
	}
	old := d.Report.Known
	d.Report.Recount(known, now)
	if err := triage.Replay(rig.Field(peers, links, boxes), d, now); err != nil {
		return err
	}
	d.Report.Recount(known, now)
	changed, err := printChanges(w, d, now)
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "%d verdicts judged again, %d changed\n", len(now), changed)
	if dry {
		return nil
	}
	if changed > 0 || !reflect.DeepEqual(old, d.Report.Known) {
		if err := replace(d, now); err != nil {
			return broken(err)
		}
	}
	if err := scenarios.Render(d); err != nil {
		return broken(err)
	}
	return show(w, d)
}

// printChanges prints every verdict that is no longer what it was.
func printChanges(w io.Writer, d *lab.RunDir, now []lab.Verdict) (changed int, err error) {
	i := 0
	for old, err := range d.Verdicts() {
		if err != nil {
			return changed, err
		}
		if v := now[i]; v.Outcome != old.Outcome || v.Cause != old.Cause || v.Blame != old.Blame || v.Why != old.Why || v.Trigger != old.Trigger || v.Traced != old.Traced || v.Known != old.Known {
			changed++
			fmt.Fprintf(w, "%s: %s -> %s\n", old.Cell, inBrief(old), inBrief(v))
		}
		i++
	}
	return changed, nil
}

func inBrief(v lab.Verdict) string {
	s := strings.TrimSpace(fmt.Sprintf("%s %s", v.Outcome, v.Cause))
	if v.Known != "" {
		s += fmt.Sprintf(" (known: %s)", v.Known)
	}
	return s
}

// replace writes the new verdicts and the report, and keeps the old verdicts.
func replace(d *lab.RunDir, now []lab.Verdict) error {
	err := d.Replace(previousFile, func(w io.Writer) error {
		for old, err := range d.Verdicts() {
			if err != nil {
				return err
			}
			if err := json.NewEncoder(w).Encode(old); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	err = d.Replace(lab.VerdictsFile, func(w io.Writer) error {
		enc := json.NewEncoder(w)
		enc.SetEscapeHTML(false)
		for _, v := range now {
			if err := enc.Encode(v); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	return d.SaveReport()
}
