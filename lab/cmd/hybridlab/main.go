// Command hybridlab runs real TLS peers against each other over emulated
// networks, captures every packet and says for each pairing whether
// post-quantum key exchange came out, and if not, who prevented it.
//
// Exit codes: 0 nothing unexpected, 1 findings, 2 usage, 3 the lab itself
// failed.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"hybridlab/lab/rig"
)

// Exit codes, as documented in the README.
const (
	exitFindings = 1
	exitUsage    = 2
	exitLab      = 3
)

// exitError carries an exit code with an error; a nil err says nothing more.
type exitError struct {
	code int
	err  error
}

func (e *exitError) Error() string {
	if e.err == nil {
		return ""
	}
	return e.err.Error()
}

func (e *exitError) Unwrap() error { return e.err }

// broken marks an error as the lab's own.
func broken(err error) error { return &exitError{exitLab, err} }

func main() {
	if exit, ok := rig.Hidden(os.Args[1:]); ok { // before the command line's set-up: these start by the hundred
		os.Exit(exit)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	exit := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(exit)
}

// run is one command line; it returns the exit code.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	root := rootCommand()
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := root.ExecuteContext(ctx)
	var exit *exitError
	switch {
	case err == nil:
		return 0
	case !errors.As(err, &exit):
		fmt.Fprintf(stderr, "hybridlab: %v\n", err)
		return exitUsage
	case exit.err != nil:
		fmt.Fprintf(stderr, "hybridlab: %v\n", exit.err)
	}
	return exit.code
}

func rootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:           "hybridlab",
		Short:         "Will post-quantum hybrid TLS work in my stack, and if not, who breaks it?",
		Long:          "hybridlab runs real TLS clients against real TLS servers through every pairing of\nkey exchange groups, over emulated networks, and judges each handshake from its packets.",
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.CompletionOptions.HiddenDefaultCmd = true
	root.AddCommand(runCommand(), sweepCommand(), planCommand(), peersCommand(), boxesCommand(), tcCommand(), doctorCommand(), judgeCommand(), reportCommand(), diffCommand(), gateCommand(), mergeCommand(), evidenceCommand(), verifyCommand(), historyCommand(), cleanCommand(), imagesCommand())
	return root
}
