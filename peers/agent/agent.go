// Package agent is PID 1 of a peer's container, and the lab's handle on it.
//
// A peer container is started once and serves thousands of cells. What a cell
// costs there is one RPC and one fork, not a "docker exec" (60 to 80 ms).
// Inside, Main runs as the hidden subcommand of the lab's own static binary:
// it sets the one route a peer has, starts and stops commands, and hands back
// what they said. Outside, Dial gives a Client with the same methods.
//
// A peer is untrusted: it may flood its output, fork, ignore signals, detach
// itself or fill the disk. So output is kept as a bounded head and tail, every
// command has a private directory, a process group that dies with it and a
// limit on file sizes, and whatever escapes its group is found by its parent
// (the agent, as PID 1 or as subreaper) and killed.
//
// The agent lives as long as its controlling connection: when the lab is gone,
// by whatever death, so are the commands, the agent and, because containers
// are removed when they stop, the container.
package agent

import (
	"flag"
	"fmt"
	"net"
	"os"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"hybridlab/docker/control"
)

// Command is one program to run beside the agent.
type Command struct {
	// Argv is the program, looked up in the container's PATH, and its
	// arguments. The token {dir} in Argv and Env becomes the command's private
	// directory.
	Argv []string
	Env  []string // "KEY=value", added to the container's environment
	Dir  string   // working directory; empty: the private directory
	// Files are written to the private directory before the start, mode 0600.
	// Names are plain: no directories.
	Files map[string][]byte
	Stdin []byte
	// HoldStdin keeps standard input open after Stdin until the command ends,
	// for programs that take its end for a wish to quit.
	HoldStdin bool
	Outputs   []string // files of the private directory to return, at most 1 MiB each
	// Timeout is when the command is killed. 0 means a minute for Run and no
	// limit for Start.
	Timeout time.Duration
	// Ready says when a started server is ready: "tcp:PORT" waits until
	// something listens on that port, anything else until the output
	// contains that text. Empty: at once.
	Ready string
	// ReadyIn is how long that may take; 0: ten seconds.
	ReadyIn time.Duration
}

// Result is how a command ended.
type Result struct {
	Exit     int  // exit code; 128+n when signal n killed it; -1 when Err is set
	TimedOut bool // killed at its Timeout
	ByItself bool // it ended before it was told to
	// Stdout and Stderr are what it wrote: all of it up to 64 KiB each,
	// otherwise the first and the last 32 KiB with a line about the cut between.
	Stdout, Stderr []byte
	CPU            time.Duration     // user and system time, with the children it waited for
	Files          map[string][]byte // those of Outputs that are there
	Err            string            // why it could not be started; empty: it was
}

// Info says what a peer's container is.
type Info struct {
	Image  string // /version.txt, written when the image was built; empty: there is none
	Kernel string // release of the kernel the peer's TCP runs on
}

const (
	rpcName    = "Agent"
	workDir    = "/run/hybridlab" // a small tmpfs in the lab's containers
	maxFile    = 32 << 20         // bytes a command may write to one file
	maxVersion = 4 << 10          // bytes of /version.txt that count
)

// Main runs the agent until its controlling connection ends and returns the
// exit code. It needs the control token in the environment.
func Main(args []string) int {
	fs := flag.NewFlagSet("hybridlab agent", flag.ContinueOnError)
	listen := fs.String("listen", ":"+strconv.Itoa(control.Port), "address of the control connection")
	dir := fs.String("dir", workDir, "directory for the commands' private directories")
	inline := fs.Bool("inline", false, "what runs here handles the packets of others: leave it NET_ADMIN")
	if err := fs.Parse(args); err != nil {
		return 2
	}
	if err := serve(*listen, *dir, *inline); err != nil {
		fmt.Fprintln(os.Stderr, "hybridlab agent:", err)
		return 1
	}
	return 0
}

func serve(listen, dir string, inline bool) error {
	token := os.Getenv(control.TokenEnv)
	os.Unsetenv(control.TokenEnv) // not for the peers
	if err := confine(inline); err != nil {
		return err
	}
	s, err := newSupervisor(dir)
	if err != nil {
		return err
	}
	defer s.close()
	ln, err := net.Listen("tcp", listen)
	if err != nil {
		return fmt.Errorf("listen for the lab: %w", err)
	}
	return control.Server{Token: token}.Serve(ln, rpcName, &service{s})
}

// confine takes from future children what a peer has no business with: large
// files, and the right to undo the route to the path. The agent keeps the
// latter for itself, unless they are there to handle packets.
func confine(inline bool) error {
	limit := unix.Rlimit{Cur: maxFile, Max: maxFile}
	if err := unix.Setrlimit(unix.RLIMIT_FSIZE, &limit); err != nil {
		return fmt.Errorf("limit the size of files: %w", err)
	}
	if inline {
		return nil
	}
	_, _, errno := syscall.AllThreadsSyscall(unix.SYS_PRCTL, unix.PR_CAPBSET_DROP, unix.CAP_NET_ADMIN, 0)
	if errno != 0 {
		return fmt.Errorf("keep NET_ADMIN from the peers: %w", errno)
	}
	return nil
}
