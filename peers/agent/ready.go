package agent

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// readyPort begins a Command.Ready that names a port.
const readyPort = "tcp:"

// readyPatience is how long a server may take to be ready that does not say.
const readyPatience = 10 * time.Second

// The kernel's tables take it a millisecond or more to print, as it goes through
// the connections of the whole machine. Who takes long is looked at less often.
const firstLook, lastLook = time.Millisecond, 100 * time.Millisecond

const procNet = "/proc/net"

// awaitReady waits until the server is ready as its Command.Ready says, and
// most of the time it is given at the longest.
func (p *process) awaitReady(ready string, most time.Duration) error {
	if ready == "" {
		return nil
	}
	if most <= 0 {
		most = readyPatience
	}
	patience := time.NewTimer(most)
	defer patience.Stop()
	began := time.Now()
	seen, look := make(chan struct{}), time.NewTimer(firstLook)
	defer look.Stop()
	if p.ready != nil {
		seen = p.ready.seen
	}
	for {
		select {
		case <-seen:
			return nil
		case <-p.done:
			return errors.New("it ended before it was ready")
		case <-patience.C:
			return fmt.Errorf("it was not ready (%q) after %v", ready, most)
		case <-look.C:
			if ok, err := listening(procNet, ready); ok || err != nil {
				return err
			}
			look.Reset(min(max(firstLook, time.Since(began)/10), lastLook))
		}
	}
}

// free complains when something listens already on the port that a server is
// about to take: it would look ready at once, and would not be.
func free(ready string) error {
	taken, err := listening(procNet, ready)
	if err == nil && taken {
		err = fmt.Errorf("port %s is in use", ready)
	}
	return err
}

// listening says whether some socket listens on the port of ready
// ("tcp:4433"), by the kernel's tables in dir: a connection made to find out
// would be a cell of its own to a server that serves one. It is false for a
// ready that is no port.
func listening(dir, ready string) (bool, error) {
	text, isPort := strings.CutPrefix(ready, readyPort)
	if !isPort {
		return false, nil
	}
	port, err := strconv.ParseUint(text, 10, 16)
	if err != nil || port == 0 {
		return false, fmt.Errorf("parse readiness %q: want tcp:PORT with a port from 1 to 65535, or a text", ready)
	}
	for _, table := range []string{"tcp", "tcp6"} {
		f, err := os.Open(filepath.Join(dir, table))
		if errors.Is(err, os.ErrNotExist) { // a kernel without IPv6
			continue
		}
		if err != nil {
			return false, fmt.Errorf("look for listening sockets: %w", err)
		}
		found := listensIn(f, uint16(port))
		f.Close()
		if found {
			return true, nil
		}
	}
	return false, nil
}

// listensIn looks for a listening socket in a table as the kernel prints it:
//
//	sl  local_address rem_address   st ...
//	 0: 00000000:1151 00000000:0000 0A ...
//
// The kernel lists listening sockets before all others, so the thousands of
// connections in TIME_WAIT that follow are not read. Loopback does not count:
// no cell can reach it, and Docker's own name server listens there.
func listensIn(r io.Reader, port uint16) bool {
	const listen = "0A"
	rows := bufio.NewScanner(r)
	rows.Scan() // the heading
	for rows.Scan() {
		f := strings.Fields(rows.Text())
		if len(f) < 4 || f[3] != listen {
			return false
		}
		addr, hex, _ := strings.Cut(f[1], ":")
		got, err := strconv.ParseUint(hex, 16, 16)
		if err == nil && uint16(got) == port && !loopback(addr) {
			return true
		}
	}
	return false
}

// loopback recognises 127.0.0.0/8 and ::1 as the kernel prints them, in
// groups of four bytes, the last byte first.
func loopback(addr string) bool {
	return len(addr) == 8 && strings.HasSuffix(addr, "7F") || addr == "00000000000000000000000001000000"
}
