// Package browser keeps a real web browser running inside a peer's container
// and has it fetch one page per cell: the browser's own hello, its own TCP, its
// own checks.
//
// A browser takes a second to start, so it is started once (Keep) and asked
// many times (Ask). Every visit gets a context of its own, an incognito profile
// in Chromium and a container in Firefox: no connection, TLS session, name or
// memory of a failure is shared with another visit.
//
// All visits are to one name, and each to another address. What a browser takes
// for a name's address is the hosts file's word at the moment it connects, so
// the file says one address at a time and is let go when the connection to it
// exists (hosts). No other name has an address: the images ask no name server.
package browser

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/netip"
	"time"

	"hybridlab/lab"
)

// Visit is one page to fetch, over a connection of its own.
type Visit struct {
	Addr    netip.AddrPort
	Name    string        // host name: the SNI, and what the certificate has to be for
	Path    string        // without its slash
	Timeout time.Duration // from when the browser is told to go
}

func (v Visit) url() string { return fmt.Sprintf("https://%s:%d/%s", v.Name, v.Addr.Port(), v.Path) }

// Report is what the browser says became of a visit.
type Report struct {
	lab.End
	// KeyLog is what it wrote to its key log meanwhile, in the NSS format: the
	// secrets of this visit and of those beside it.
	KeyLog []byte
}

// Kind is a browser and how it is set up.
type Kind struct {
	Program string   // "chromium" or "firefox-esr", as in PATH
	Options []string // Chromium: switches; Firefox: preferences, "name=value" with a value in JavaScript
}

// badPorts are those above 1024 that browsers refuse to connect to, by the Fetch
// standard, because other protocols use them. The lab's servers may be there.
var badPorts = []string{"1719", "1720", "1723", "2049", "3659", "4045", "4190", "5060", "5061", "6000", "6566", "6665", "6666", "6667", "6668", "6669", "6679", "6697", "10080"}

// OpenTime is what a visit may take beyond its timeout: a context for it, and a
// browser where the last one has died.
const OpenTime = 30 * time.Second

// maxReport bounds what is read of a visit or a report, bytes.
const maxReport = 2 << 20

// Ask has the browser that is kept at the socket make a visit.
func Ask(ctx context.Context, socket string, v Visit) (Report, error) {
	ctx, cancel := context.WithTimeout(ctx, v.Timeout+OpenTime)
	defer cancel()
	conn, err := new(net.Dialer).DialContext(ctx, "unix", socket)
	if err != nil {
		return Report{}, fmt.Errorf("ask the browser: %w", err)
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	var r Report
	if err = json.NewEncoder(conn).Encode(v); err == nil {
		err = json.NewDecoder(io.LimitReader(conn, maxReport)).Decode(&r)
	}
	if err != nil {
		return r, fmt.Errorf("ask the browser: %w", err)
	}
	return r, nil
}
