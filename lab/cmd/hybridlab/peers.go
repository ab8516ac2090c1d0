package main

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"hybridlab/lab"
	"hybridlab/lab/rig"
	"hybridlab/lab/wire"
)

func peersCommand() *cobra.Command {
	var fabric string
	var own []string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "peers [PEER...]",
		Short: "Show the peers: versions, groups declared and as probed on the wire",
		Long: "Show the peers: versions, groups declared and as probed on the wire.\n\n" +
			"The crafted peer and its profiles take settings in braces, such as 'crafted{pad=1449,cut=100}':\n\n" + rig.SettingsHelp(),
		RunE: func(cmd *cobra.Command, args []string) error {
			kind, why, err := rig.ChooseFabric(cmd.Context(), fabric)
			if err != nil {
				return err
			}
			known, err := rig.Bring(cmd.Context(), kind, own)
			if err != nil {
				return err
			}
			ids := make([]lab.PeerID, len(args))
			for i, a := range args {
				ids[i] = lab.PeerID(a)
				if err := known.CheckPeer(kind, ids[i]); err != nil {
					return err
				}
			}
			infos, err := rig.Probe(cmd.Context(), kind, known, ids, cmd.ErrOrStderr())
			if err != nil {
				return labError(err)
			}
			if asJSON {
				enc := json.NewEncoder(cmd.OutOrStdout())
				enc.SetIndent("", "  ")
				return enc.Encode(infos)
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s fabric (%s)\n", kind, why)
			for _, p := range infos {
				writePeer(cmd.OutOrStdout(), p)
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&fabric, "fabric", "auto", "embedded, containers or auto")
	registerOwn(cmd, &own)
	cmd.Flags().BoolVar(&asJSON, "json", false, "as in report.json")
	return cmd
}

func writePeer(w io.Writer, p lab.PeerInfo) {
	fmt.Fprintf(w, "\n%s\n  version  %s\n", p.ID, p.Version)
	if p.Image != "" {
		fmt.Fprintf(w, "  image    %s\n", p.Image)
	}
	if p.Unavailable != "" {
		fmt.Fprintf(w, "  UNAVAILABLE: %s\n", p.Unavailable)
		return
	}
	fmt.Fprintf(w, "  client   %s\n  server   %s\n", capability(p.Client), capability(p.Server))
}

// capability lists the groups seen on the wire and marks every difference
// from what the peer's row declares.
func capability(c lab.Capability) string {
	var out []string
	for _, g := range c.Declared {
		if slices.Contains(c.Probed, g) {
			out = append(out, g.String())
		} else {
			out = append(out, "MISSING:"+g.String())
		}
	}
	for _, g := range c.Probed {
		if !slices.ContainsFunc(c.Declared, func(d wire.Group) bool { return d == g }) {
			out = append(out, "UNDECLARED:"+g.String())
		}
	}
	if len(out) == 0 {
		return "-"
	}
	return strings.Join(out, " ")
}
