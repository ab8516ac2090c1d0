package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"hybridlab/lab"
	"hybridlab/scenarios"
)

func sweepCommand() *cobra.Command {
	var a scenarios.Axes
	var mtu, hello string
	var seed uint64
	cmd := &cobra.Command{
		Use:   "sweep --mtu FROM..TO | --hello FROM..TO",
		Short: "Find the path MTUs and hello sizes at which handshakes begin or cease to work",
		Long: `Run pairs of peers over every link and box chosen, with the link's MTU or the size of the
ClientHello going through a range, and list every number at which the result changes: a coarse scan,
then each change narrowed down to one step. Each group of --groups is used alone at both ends.
A hello's size is changed by padding, which only the crafted client can do.`,
		Example: `  hybridlab sweep --mtu 576..1500 --clients go@1.26 --servers go@1.26 --links mtu1280-icmp-eaten
  hybridlab sweep --hello 200..17000 --servers go@1.26 --links clean --boxes caddy-l4-8k --groups x25519`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return sweep(cmd.Context(), cmd.OutOrStdout(), a, mtu, hello, seed)
		},
	}
	register(cmd, &a)
	fl := cmd.Flags()
	fl.StringVar(&mtu, "mtu", "", "MTUs of the link, such as 576..1500; what is too big is treated as the link says")
	fl.StringVar(&hello, "hello", "", "sizes of the ClientHello, record headers included, such as 200..17000")
	fl.Uint64Var(&seed, "seed", 1, "seed of everything random")
	return cmd
}

func sweep(ctx context.Context, w io.Writer, a scenarios.Axes, mtu, hello string, seed uint64) error {
	ranges := [2]scenarios.Range{}
	for i, text := range []string{mtu, hello} {
		var err error
		if text != "" {
			if ranges[i], err = scenarios.ParseRange(text); err != nil {
				return err
			}
		}
	}
	if mtu == "" && hello == "" {
		return errors.New("sweep: want --mtu FROM..TO, --hello FROM..TO or both")
	}
	names := a.Groups
	if names == nil {
		names = []string{"x25519mlkem768"}
	}
	var groups []lab.Offer
	for _, n := range names {
		o, err := lab.ParseOffer(n)
		if err != nil {
			return err
		}
		groups = append(groups, o)
	}
	s, err := a.Choose(ctx)
	if err != nil {
		return err
	}
	for _, c := range s.Plan.Cells {
		if _, err := s.Links.Lookup(c.Link); err != nil {
			return err
		}
		if r := ranges[0]; mtu != "" {
			if _, err := s.Links.Lookup(fmt.Sprintf("%s{mtu=%d}", c.Link, r.From)); err != nil && !strings.Contains(c.Link, "{") {
				return err
			}
		}
	}
	return labError(scenarios.Sweep(ctx, s, groups, ranges[0], ranges[1], seed, func(x scenarios.Swept) { writeSwept(w, x) }))
}

func writeSwept(w io.Writer, x scenarios.Swept) {
	path := x.Link
	if len(x.Boxes) > 0 {
		path += "/" + strings.Join(x.Boxes, "+")
	}
	unit := map[string]string{"mtu": "MTU", "hello": "ClientHello bytes"}[x.What]
	fmt.Fprintf(w, "%s -> %s, %s, %s, by %s: %s", x.Client, x.Server, x.Groups, path, unit, x.First)
	if len(x.Flips) == 0 {
		fmt.Fprintf(w, " throughout (%d runs)\n", x.Runs)
		return
	}
	fmt.Fprintf(w, " (%d runs)\n", x.Runs)
	for _, f := range x.Flips {
		fmt.Fprintf(w, "  from %d on %s\n      $ hybridlab run --cell '%s'\n", f.At, f.After, x.Cell(f.At).ID)
	}
}
