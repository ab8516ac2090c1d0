package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"hybridlab/lab"
	"hybridlab/lab/rig"
	"hybridlab/scenarios"
)

// register adds the flags that choose cells, shared by run and plan.
func register(cmd *cobra.Command, a *scenarios.Axes) {
	registerAxes(cmd, a)
	cmd.Flags().StringArrayVar(&a.Cells, "cell", nil, "run exactly this cell id (repeatable); the other axes are ignored")
	cmd.Flags().StringVar(&a.Shard, "shard", "", "run only part i of n, as i/n")
}

// registerAxes adds the flags of the axes.
func registerAxes(cmd *cobra.Command, a *scenarios.Axes) {
	f := cmd.Flags()
	f.StringVar(&a.Fabric, "fabric", "auto", "embedded, containers, or auto: containers where a Docker daemon answers")
	registerOwn(cmd, &a.Own)
	f.Var((*names)(&a.Clients), "clients", "client peers, * for all (default: the level's, as for every list); crafted takes\nsettings: 'crafted{pad=1449,cut=100}' (see hybridlab peers --help)")
	f.Var((*names)(&a.Servers), "servers", "server peers")
	f.Var((*names)(&a.Groups), "groups", "key exchange groups to pair")
	f.Var((*names)(&a.Links), "links", "links; any takes settings: 'clean{mtu=1300}', 'mtu1280{mss=536}'")
	f.Var((*names)(&a.Certs), "certs", "kinds of server certificate: "+strings.Join(rig.CertKinds(), ", ")+" (default: ecdsa-p256)")
	f.StringVar(&a.LinkFile, "link-file", "", "YAML file with links of your own")
	f.Var((*names)(&a.Boxes), "boxes", "middleboxes between link and server: names, chains a+b from client to server, none; some take\nparameters: 'peek-buffer{bytes=512}'; real programs are among them: haproxy-sni@trixie (see hybridlab\nboxes; * for those that are no programs; default: none)")
	f.StringVar(&a.BoxFile, "box-file", "", "YAML file with boxes of your own")
	f.StringVar(&a.Level, "level", "quick", scenarios.LevelsHelp())
}

// names is a list by commas, except those inside braces.
type names []string

func (n *names) Set(list string) error { *n = append(*n, lab.SplitNames(list)...); return nil }
func (n *names) String() string        { return strings.Join(*n, ",") }
func (n *names) Type() string          { return "names" }

// registerKnown adds the flag that names lists of known deviations.
func registerKnown(cmd *cobra.Command, files *[]string) {
	cmd.Flags().StringArrayVar(files, "known", nil, `YAML file of findings that are expected, each with its reason (repeatable); "lab": the lab's own list.
An entry whose finding is gone counts as a finding`)
}

// writeConfigs says what was taken of the user's configuration files.
func writeConfigs(w io.Writer, known rig.Catalogue) {
	configs := known.Configs()
	for _, id := range slices.Sorted(maps.Keys(configs)) {
		c := configs[id]
		fmt.Fprintf(w, "%s speaks TLS as %s says: %s\n", id, c.File, strings.Join(c.Taken, "; "))
		if len(c.Left) > 0 {
			fmt.Fprintf(w, "  not taken: %s\n", strings.Join(c.Left, "; "))
		}
	}
}

// registerOwn adds the flag that brings the user's own peers.
func registerOwn(cmd *cobra.Command, own *[]string) {
	cmd.Flags().StringArrayVar(own, "peer", nil, `a peer of your own (repeatable). NAME@VERSION=IMAGE: with a name of the table ("nginx@mine=my/nginx") it is
configured as that peer is, with any other by peers/CONTRACT.md. NAME@VERSION=ROW:FILE: a server of the
table that speaks TLS as your configuration file says ("nginx@mine=nginx@trixie:nginx.conf")`)
}
