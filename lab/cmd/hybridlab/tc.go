package main

import (
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"hybridlab/netem"
	"hybridlab/netem/tc"
	"hybridlab/scenarios"
)

// tcFlags are the flags of tc.
type tcFlags struct {
	link, file, dev, dir string
	seed                 uint64
	without              []string
	clear, dry           bool
}

func tcCommand() *cobra.Command {
	var f tcFlags
	cmd := &cobra.Command{
		Use:   "tc",
		Short: "Have the kernel do what one direction of a link does, on a device of this machine",
		Long: `Put one direction of a link on a device of this network namespace, as tc-netem qdiscs: it then
meets all packets that leave by the device. The kernel needs sch_netem, and you root. A key of the link
that the kernel cannot do is refused, with what can; --without takes the rest of the link.`,
		Example: `  hybridlab tc --link slow256k --dev eth0
  hybridlab tc --link loss-burst --dir down --dev eth1 --seed 7
  hybridlab tc --link mobile --dev eth0 --without mtu
  hybridlab tc --dev eth0 --clear
  hybridlab tc --link satellite --dry-run`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return f.run(cmd.OutOrStdout()) },
	}
	fl := cmd.Flags()
	fl.StringVar(&f.link, "link", "", "link to apply (netem/links.yaml)")
	fl.StringVar(&f.file, "link-file", "", "YAML file with links of your own")
	fl.StringVar(&f.dev, "dev", "", "device the packets leave by")
	fl.StringVar(&f.dir, "dir", "up", "direction of the link: up (client to server) or down")
	fl.Uint64Var(&f.seed, "seed", 0, "seed of the kernel's random numbers (Linux 6.6); 0: the kernel's choice")
	fl.StringSliceVar(&f.without, "without", nil, "keys of the link to leave out")
	fl.BoolVar(&f.clear, "clear", false, "remove the link from the device")
	fl.BoolVar(&f.dry, "dry-run", false, "only say what would be applied")
	cmd.MarkFlagsMutuallyExclusive("clear", "link")
	cmd.MarkFlagsMutuallyExclusive("clear", "dry-run")
	return cmd
}

func (f *tcFlags) run(w io.Writer) error {
	if f.dev == "" && !f.dry {
		return errors.New("read flags: --dev is missing: which device do the packets leave by? (ip link lists them)")
	}
	if f.clear {
		return deviceError(tc.Clear(f.dev))
	}
	tree, shape, err := f.translate()
	if err != nil {
		return err
	}
	if !f.dry {
		if err := deviceError(tc.Apply(f.dev, tree)); err != nil {
			return err
		}
	}
	f.say(w, tree, shape)
	return nil
}

// translate is what the kernel has to do for the link and direction.
func (f *tcFlags) translate() (tc.Tree, netem.Shape, error) {
	links, err := scenarios.LoadLinks(f.file)
	if err != nil {
		return nil, netem.Shape{}, err
	}
	l, err := links.Lookup(f.link)
	if err != nil {
		return nil, netem.Shape{}, err
	}
	shape := l.Up
	switch f.dir {
	case "up":
	case "down":
		shape = l.Down
	default:
		return nil, shape, fmt.Errorf("read --dir %q: want up or down", f.dir)
	}
	if shape, err = tc.Without(shape, f.without...); err != nil {
		return nil, shape, err
	}
	tree, err := tc.Translate(shape)
	if err != nil {
		return nil, shape, fmt.Errorf("apply link %q, %s: %w", f.link, f.dir, err)
	}
	return tree.Seeded(f.seed), shape, nil
}

func (f *tcFlags) say(w io.Writer, tree tc.Tree, shape netem.Shape) {
	if len(tree) == 0 {
		fmt.Fprintf(w, "link %q does nothing to packets that go %s\n", f.link, f.dir)
	}
	for i, q := range tree {
		fmt.Fprintf(w, "%*s%s\n", 2*i, "", q)
	}
	for _, d := range tc.Differences(shape) {
		fmt.Fprintln(w, "note:", d)
	}
}

// deviceError tells a wrong --dev, the user's, from what the machine does not do.
func deviceError(err error) error {
	if errors.Is(err, tc.ErrNoDevice) {
		return err
	}
	return labError(err)
}
