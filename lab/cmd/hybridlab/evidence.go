package main

import (
	"crypto/ed25519"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"hybridlab/lab"
	"hybridlab/lab/evidence"
	"hybridlab/reports"
	"hybridlab/scenarios"
)

func evidenceCommand() *cobra.Command {
	var out, sign string
	cmd := &cobra.Command{
		Use:   "evidence RUN FINDING",
		Short: "Pack one finding for the maker of what broke it, who has none of this",
		Long: `Pack one finding of a stored run into a zip: a page in plain words, the captures of both sides
with their keys, every packet in words, the controls, the configuration, how to reproduce it with
hybridlab and with stock tools, and the part of the run that the verdict rests on.

FINDING is the number that "hybridlab run" gives it, the cell, or the beginning of the cell's id.
The same finding gives the same bytes. Nothing but the lab's own throwaway keys is packed.`,
		Example: `  hybridlab evidence runs/night 1 -o bundle.zip
  openssl genpkey -algorithm ed25519 -out key.pem; openssl pkey -in key.pem -pubout -out pub.pem
  hybridlab evidence runs/night go@1.26/go@1.26/default -o bundle.zip --sign key.pem
  hybridlab verify bundle.zip --key pub.pem`,
		Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			d, err := lab.OpenRun(args[0])
			if err != nil {
				return err
			}
			cell, err := reports.Pick(d.Report, d.Verdicts(), args[1])
			if err != nil {
				return err
			}
			key, err := readKey(sign, evidence.ParsePrivateKey)
			if err != nil {
				return err
			}
			data, err := scenarios.Bundle(d, cell, key)
			if err != nil {
				return err
			}
			if err := writeWhole(out, data); err != nil {
				return err
			}
			signed := ""
			if key != nil {
				signed = ", signed"
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s: %d KiB%s, checked; it begins with summary.html\n", out, (len(data)+1023)>>10, signed)
			return nil
		},
	}
	cmd.Flags().StringVarP(&out, "output", "o", "bundle.zip", "file to write")
	cmd.Flags().StringVar(&sign, "sign", "", "ed25519 private key to sign with (PEM, as openssl genpkey writes it)")
	return cmd
}

// readKey reads a key file; without a name there is no key.
func readKey[K ed25519.PrivateKey | ed25519.PublicKey](name string, parse func([]byte) (K, error)) (K, error) {
	if name == "" {
		return nil, nil
	}
	data, err := os.ReadFile(name)
	if err != nil {
		return nil, fmt.Errorf("read key: %w", err)
	}
	key, err := parse(data)
	if err != nil {
		return nil, fmt.Errorf("read key %q: %w", name, err)
	}
	return key, nil
}

// writeWhole writes a file whole or not at all.
func writeWhole(name string, data []byte) error {
	f, err := os.CreateTemp(filepath.Dir(name), ".bundle-*")
	if err != nil {
		return fmt.Errorf("write bundle: %w", err)
	}
	_, err = f.Write(data)
	if err = errors.Join(err, f.Chmod(0o644), f.Close()); err == nil {
		err = os.Rename(f.Name(), name)
	}
	if err != nil {
		os.Remove(f.Name())
		return fmt.Errorf("write bundle: %w", err)
	}
	return nil
}
