package browser

import (
	"bufio"
	"bytes"
	"context"
	"encoding/hex"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// hosts is the machine's hosts file, in which a name means one address at a
// time.
type hosts struct {
	file, procNet string
	rest          []byte        // what else the file says
	turn          chan struct{} // holds a value while nobody has the name
}

func newHosts(file, procNet string) (*hosts, error) {
	rest, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	h := &hosts{file: file, procNet: procNet, rest: rest, turn: make(chan struct{}, 1)}
	h.turn <- struct{}{}
	return h, nil
}

// lookTime is how often the kernel's table is read for a connection.
const lookTime = 2 * time.Millisecond

// during lets name mean the address from before run is called until a
// connection to the address exists, or over is closed. It waits for its turn as
// long as ctx does; run does not wait.
func (h *hosts) during(ctx context.Context, name string, addr netip.AddrPort, over <-chan struct{}, run func()) error {
	select {
	case <-h.turn:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { h.turn <- struct{}{} }()
	// In place: the file is a mount.
	if err := os.WriteFile(h.file, fmt.Appendf(slices.Clip(h.rest), "%s %s\n", addr.Addr(), name), 0o644); err != nil {
		return fmt.Errorf("name the server: %w", err)
	}
	run()
	tick := time.NewTicker(lookTime)
	defer tick.Stop()
	for {
		select {
		case <-over:
			return nil
		case <-tick.C:
			if connected(h.procNet, addr) {
				return nil
			}
		}
	}
}

// connected reports whether the kernel has a connection to the address, or is
// making one.
func connected(procNet string, addr netip.AddrPort) bool {
	table := "tcp"
	if addr.Addr().Is6() {
		table = "tcp6"
	}
	f, err := os.Open(filepath.Join(procNet, table))
	if err != nil {
		return false
	}
	defer f.Close()
	return remoteIn(f, addr)
}

// remoteIn looks for a remote address in a table as the kernel prints it:
//
//	sl  local_address rem_address   st ...
//	 0: 0201A8C0:D431 050012C6:07D1 02 ...
//
// A connection in TIME_WAIT is over, and not the one that is waited for.
func remoteIn(r io.Reader, addr netip.AddrPort) bool {
	const timeWait = "06"
	want := kernelAddr(addr)
	for rows := bufio.NewScanner(r); rows.Scan(); {
		if f := strings.Fields(rows.Text()); len(f) > 3 && f[2] == want && f[3] != timeWait {
			return true
		}
	}
	return false
}

// kernelAddr is how the kernel prints an address: in groups of four bytes, the
// last byte first.
func kernelAddr(a netip.AddrPort) string {
	ip := bytes.Clone(a.Addr().AsSlice())
	for word := range slices.Chunk(ip, 4) {
		slices.Reverse(word)
	}
	port := strconv.FormatUint(uint64(a.Port()), 16)
	return strings.ToUpper(hex.EncodeToString(ip) + ":" + strings.Repeat("0", 4-len(port)) + port)
}
