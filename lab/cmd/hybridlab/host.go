package main

import (
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"hybridlab/lab"
	"hybridlab/lab/rig"
)

func doctorCommand() *cobra.Command {
	var quiet bool
	var need string
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Look at this machine: Docker, kernel, TUN, images",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if need != "" && need != "docker" {
				return fmt.Errorf("read --need %q: want docker", need)
			}
			checks := rig.Doctor(cmd.Context())
			w := cmd.OutOrStdout()
			if quiet {
				w = io.Discard
			}
			return examine(w, checks, need == "docker")
		},
	}
	cmd.Flags().BoolVar(&quiet, "quiet", false, "say nothing, only exit 0 or 3")
	cmd.Flags().StringVar(&need, "need", "", "docker: exit 3 unless the container fabric can work")
	return cmd
}

// examine prints the checks; it is an error when something needed is missing.
func examine(w io.Writer, checks []rig.Check, needed bool) error {
	healthy := true
	for _, c := range checks {
		mark := "ok"
		switch {
		case !c.OK && c.Needed:
			mark, healthy = "MISSING", false
		case !c.OK:
			mark = "-"
		}
		fmt.Fprintf(w, "%-8s %-22s %s\n", mark, c.Name, c.Detail)
	}
	switch {
	case healthy:
		fmt.Fprintln(w, "both fabrics can run")
	case needed:
		return &exitError{code: exitLab}
	default:
		fmt.Fprintln(w, "the embedded fabric can run; containers cannot")
	}
	return nil
}

func cleanCommand() *cobra.Command {
	var all, images bool
	cmd := &cobra.Command{
		Use:   "clean",
		Short: "Remove containers and networks that killed labs left behind",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return labError(rig.Clean(cmd.Context(), cmd.OutOrStdout(), all, images))
		},
	}
	cmd.Flags().BoolVar(&all, "all", false, "also those of labs that are running, here or elsewhere at this daemon")
	cmd.Flags().BoolVar(&images, "images", false, "remove the images as well")
	return cmd
}

func imagesCommand() *cobra.Command {
	list := func(cmd *cobra.Command, _ []string) error {
		return labError(rig.ListImages(cmd.Context(), cmd.OutOrStdout()))
	}
	cmd := &cobra.Command{Use: "images", Short: "List or build the images of peers and middleboxes", Args: cobra.NoArgs, RunE: list}
	var fresh bool
	build := &cobra.Command{
		Use:   "build [PEER|MIDDLEBOX...]",
		Short: "Build the images that are missing: of these peers and middleboxes, or of all",
		RunE: func(cmd *cobra.Command, args []string) error {
			var ids []lab.PeerID
			for _, a := range args {
				ids = append(ids, lab.PeerID(a))
			}
			err := rig.BuildImages(cmd.Context(), cmd.OutOrStdout(), fresh, ids...)
			if errors.Is(err, rig.ErrPeer) {
				return err
			}
			return labError(err)
		},
	}
	build.Flags().BoolVar(&fresh, "fresh", false, "build them anew, with the newest packages")
	cmd.AddCommand(build)
	return cmd
}

// labError marks an error as the lab's own; nil stays nil.
func labError(err error) error {
	var exit *exitError
	if err == nil || errors.As(err, &exit) {
		return err
	}
	return broken(err)
}
