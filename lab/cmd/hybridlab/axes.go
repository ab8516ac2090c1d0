package main

import (
	"strings"

	"github.com/spf13/cobra"

	"hybridlab/lab/rig"
	"hybridlab/scenarios"
)

// register adds the flags that choose cells, shared by run and plan.
func register(cmd *cobra.Command, a *scenarios.Axes) {
	f := cmd.Flags()
	f.StringVar(&a.Fabric, "fabric", "auto", "embedded, containers, or auto: containers where a Docker daemon answers")
	registerOwn(cmd, &a.Own)
	f.StringSliceVar(&a.Clients, "clients", nil, "client peers, * for all (default: the level's, as for every list)")
	f.StringSliceVar(&a.Servers, "servers", nil, "server peers")
	f.StringSliceVar(&a.Groups, "groups", nil, "key exchange groups to pair")
	f.StringSliceVar(&a.Links, "links", nil, "links")
	f.StringSliceVar(&a.Certs, "certs", nil, "kinds of server certificate: "+strings.Join(rig.CertKinds(), ", ")+" (default: ecdsa-p256)")
	f.StringVar(&a.LinkFile, "link-file", "", "YAML file with links of your own")
	f.StringArrayVar(&a.Cells, "cell", nil, "run exactly this cell id (repeatable); the other axes are ignored")
	f.StringVar(&a.Level, "level", "quick", scenarios.LevelsHelp())
	f.StringVar(&a.Shard, "shard", "", "run only part i of n, as i/n")
}

// registerOwn adds the flag that brings images.
func registerOwn(cmd *cobra.Command, own *[]string) {
	cmd.Flags().StringArrayVar(own, "peer", nil, `an image of your own as a peer, NAME@VERSION=IMAGE (repeatable): with a name of the table
("nginx@mine=my/nginx") it is configured as that peer is, with any other by peers/CONTRACT.md`)
}
