package main

import (
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"hybridlab/lab/evidence"
	"hybridlab/reports"
	"hybridlab/scenarios"
)

func verifyCommand() *cobra.Command {
	var pub string
	cmd := &cobra.Command{
		Use:   "verify BUNDLE.zip",
		Short: "Check a bundle of evidence, offline and without Docker",
		Long: `Check a bundle that hybridlab evidence packed: that not a byte of it was changed, that the packets
say what was observed and hold no keys but their own, that the verdict follows from that by today's
rules, and that everything written for people is what hybridlab makes of it. A line for each check.

Without a signature this shows damage, and that the account goes with the packets; with --key also
that the holder of the key has packed it.

Exit code: 0 all is right, 1 something is not, 2 usage.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			key, err := readKey(pub, evidence.ParsePublicKey)
			if err != nil {
				return err
			}
			data, err := readBundle(args[0])
			if err != nil {
				return fmt.Errorf("read bundle: %w", err)
			}
			checks := scenarios.Verify(data, key)
			if err := reports.Checks(cmd.OutOrStdout(), checks); err != nil {
				return broken(err)
			}
			if evidence.Wrong(checks) {
				return &exitError{code: exitFindings}
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&pub, "key", "", "the signer's ed25519 public key (PEM, as openssl pkey -pubout writes it)")
	return cmd
}

// readBundle reads as much of a file as a bundle can be, and a byte more, by
// which it is found too long.
func readBundle(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, evidence.MostBytes+1))
}
