package main

import (
	"errors"
	"fmt"
	"io"
	"path/filepath"

	"github.com/spf13/cobra"

	"hybridlab/lab"
	"hybridlab/lab/history"
	"hybridlab/reports"
)

func historyCommand() *cobra.Command {
	var file, page string
	cmd := &cobra.Command{
		Use:   "history [RUN...]",
		Short: "Enter runs into a history, and show how they changed over time",
		Long: `Enter run directories into a history file, a line each, in order of time, and write the page that
shows the trend: outcomes, findings and handshake times run by run, the hybrid share by peer, and
which findings are new and which are gone. A run that is there already takes the place of its line.`,
		Example: `  hybridlab history runs/night --file history.jsonl --html trend.html
  hybridlab history --file history.jsonl --html trend.html`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 && page == "" {
				return errors.New("read arguments: want runs to enter, or --html to show the history there is")
			}
			return keepHistory(cmd.OutOrStdout(), args, file, page)
		},
	}
	cmd.Flags().StringVar(&file, "file", "history.jsonl", "history file; created where there is none")
	cmd.Flags().StringVar(&page, "html", "", "page to write")
	return cmd
}

func keepHistory(w io.Writer, dirs []string, file, page string) error {
	runs, err := history.Load(file)
	if err != nil {
		return err
	}
	var more []history.Run
	for _, dir := range dirs {
		d, err := lab.OpenRun(dir)
		if err != nil {
			return err
		}
		r, err := history.Of(d)
		if err != nil {
			return err
		}
		more = append(more, r)
	}
	runs, added := history.Enter(runs, more...)
	if len(more) > 0 {
		if err := history.Save(file, runs); err != nil {
			return broken(err)
		}
		fmt.Fprintf(w, "%s: %d in all, %d new\n", file, len(runs), added)
	}
	sayChange(w, runs)
	if page == "" {
		return nil
	}
	d := &lab.RunDir{Dir: filepath.Dir(page)}
	if err := d.Replace(filepath.Base(page), func(w io.Writer) error { return reports.Trend(w, runs) }); err != nil {
		return broken(err)
	}
	fmt.Fprintf(w, "The page   %s\n", page)
	return nil
}

// sayChange says what the last run has that the one before it had not.
func sayChange(w io.Writer, runs []history.Run) {
	if len(runs) < 2 {
		return
	}
	last, before := runs[len(runs)-1], runs[len(runs)-2]
	c := last.Since(before)
	fmt.Fprintf(w, "Since run %s: %d findings are new, %d are gone\n", before.ID, len(c.New), len(c.Gone))
	for _, f := range c.New {
		fmt.Fprintf(w, "  new   %s (%d cells, such as %s)\n", f.ID, f.Cells, f.Example)
	}
	for _, f := range c.Gone {
		fmt.Fprintf(w, "  gone  %s\n", f.ID)
	}
}
