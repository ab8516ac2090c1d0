// Package peers is the table of TLS stacks the lab can put at either end of a
// connection, and everything that is particular to one of them: how to start
// it with a given list of groups, how to read what it says it did, which
// offers it cannot be configured to make, and by which rules it chooses.
//
// A peer is reached in one of two ways. Commands (Command, Parse) run in the
// peer's container beside the agent; that is how every peer runs. The two Go
// stacks also run in this process (InProcess), over whatever connections they
// are given, for the embedded fabric.
//
// Whatever a peer says is a claim, kept in a lab.End and compared with the
// wire. Nothing in this package decides what was negotiated.
//
// One more peer is one folder in docker/ and one row in table.go; one more
// file only if its way of being told things is its own. An image whose entry
// point follows CONTRACT.md needs no code at all.
package peers

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"hybridlab/lab"
	"hybridlab/lab/wire"
	"hybridlab/peers/agent"
	"hybridlab/peers/config"
)

// ServerName is the name every server certificate is for, and every client
// asks for.
const ServerName = "hybridlab.test"

// Binary is where the lab's own binary lies in a peer's container.
const Binary = "/hybridlab"

// ErrUnsupported is wrapped by errors that say why a peer cannot be
// configured as asked. Such a cell is excluded or unsupported, never failed.
var ErrUnsupported = errors.New("not supported")

// Nonsense is an offer no stack can make: its code point is nobody's. A peer
// counts only once it has answered it with "unsupported", because otherwise its
// "unsupported" means nothing and its failures may be refusals.
var Nonsense = lab.Offer{Listed: []lab.ListedGroup{{Group: 0x1234}}}

func unsupported(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrUnsupported, fmt.Sprintf(format, args...))
}

// Request is what one end is asked to do.
type Request struct {
	Role    lab.Role
	Offer   lab.Offer      // client: groups offered; server: groups accepted
	Addr    netip.AddrPort // server: listen here; client: connect here
	SNI     string         // client: name to ask for and to verify; empty: ServerName
	CA      []byte         // client: PEM of whom to trust
	Token   string         // client: requests /Token; plain letters, digits and dashes
	Timeout time.Duration  // for the whole connection; 0: ten seconds
	// Identity is what a server shows, different for every instance, so that
	// a client can tell whom it reached.
	Identity Identity
	// config is the file that the server is to be configured by; nil: none.
	config     *config.Config
	configText []byte // the whole file
	// Shape is how a crafted peer builds and cuts its hello; other peers take
	// the zero value only.
	Shape Shape
}

const defaultTimeout = 10 * time.Second

func (r Request) timeout() time.Duration {
	if r.Timeout <= 0 {
		return defaultTimeout
	}
	return r.Timeout
}

func (r Request) sni() string {
	if r.SNI == "" {
		return ServerName
	}
	return r.SNI
}

// Peer is one row of the table: a TLS stack of one version.
type Peer struct {
	ID     lab.PeerID
	About  string // what is special about it, where it is a profile of another peer (profiles.go)
	Image  string // reference of an image that the user brought; empty: docker/<Folder>
	Folder string // docker/<Folder> holds its Dockerfile
	Suite  string // Debian suite its image is built from
	// Missing is why there is no image of the lab's own, and so no peer until
	// the user brings one; empty: there is.
	Missing string
	Roles   []lab.Role   // what it can be
	Groups  []wire.Group // what its documentation says it can negotiate, in either role
	Rules   lab.Rules    // how it chooses

	driver driver
	local  stack       // nil: it runs in containers only
	config *Configured // by a file of the user's; nil: by the row

	set      setter        // nil: it takes no settings
	settings []lab.Setting // those it has
	pause    time.Duration // what a client of this row waits by itself during a handshake
}

// setter is a row with the settings in place. The error names those there are.
type setter func(Peer, []lab.Setting) (Peer, error)

// Base is the id without settings and the settings, those a profile stands
// for among them.
func (p Peer) Base() (lab.PeerID, []lab.Setting) {
	name, _, _ := lab.SplitSettings(string(p.ID))
	if p.About != "" {
		name, _, _ = strings.Cut(name, "@")
	}
	return lab.PeerID(name), p.settings
}

// Pause is what a client of this row waits by itself during a handshake.
func (p Peer) Pause() time.Duration { return p.pause }

// driver is how a stack is told what to do, and how its answer is read.
type driver interface {
	// express says why the role cannot be configured with the offer, wrapping
	// ErrUnsupported; nil: it can.
	express(lab.Role, lab.Offer) error
	command(Request) agent.Command
	parse(Request, agent.Result) (lab.End, []byte)
	// exclusive: a server of this kind serves one connection and ends, so
	// every cell has one of its own.
	exclusive() bool
	// version is the command that prints the version on its first line.
	version() agent.Command
}

// reporter is a driver whose long-lived server has words of its own for a
// connection. Servers of drivers without it print the contract's JSON lines.
type reporter interface {
	// lineFrom is the text in the line of a connection from addr that no
	// other connection's line contains.
	lineFrom(netip.Addr) string
	parseLine(string) (lab.End, error)
}

// Plays reports whether the peer can be at that end.
func (p Peer) Plays(role lab.Role) bool { return slices.Contains(p.Roles, role) }

// Ours reports whether the lab's own binary plays the peer, in this process
// or in any container.
func (p Peer) Ours() bool { return p.local != nil }

// Exclusive reports whether a server of this peer serves one connection and
// ends; other servers serve any number at once and print a line for each
// (see LineFrom).
func (p Peer) Exclusive() bool { return p.driver.exclusive() }

// LineFrom is the text that the server's line about a connection from addr
// contains, and no other connection's does.
func (p Peer) LineFrom(addr netip.Addr) string {
	if r, ok := p.driver.(reporter); ok {
		return r.lineFrom(addr)
	}
	return LineFrom(addr)
}

// ParseLine reads such a line: what the server says about the connection.
func (p Peer) ParseLine(text string) (lab.End, error) {
	if r, ok := p.driver.(reporter); ok {
		return r.parseLine(text)
	}
	_, end, err := ParseLine(text)
	return end, err
}

// Supports says, before anything runs, why the peer cannot do its part with
// these groups: an error that wraps ErrUnsupported. It goes by what the row
// declares; nil is no promise.
func (p Peer) Supports(role lab.Role, o lab.Offer) error {
	if p.Missing != "" {
		return unsupported("there is no %s: %s", p.ID, p.Missing)
	}
	for _, g := range o.Groups() {
		if !slices.Contains(p.Groups, g) {
			return unsupported("%s has no group %s", p.ID, g)
		}
	}
	if o.Default() && p.Rules.Default.Default() {
		return unsupported("what %s does by default is not known: its image has no label %s", p.ID, labelDefault)
	}
	return p.express(role, o)
}

func (p Peer) express(role lab.Role, o lab.Offer) error {
	if !p.Plays(role) {
		return unsupported("%s cannot be a %s", p.ID, role)
	}
	if p.config != nil && !o.Default() {
		return unsupported("%s says which groups", p.config.Name)
	}
	if role == lab.ServerRole && o.Explicit() {
		return unsupported("key shares are the client's to send or withhold: %s says nothing to a server", o)
	}
	return p.driver.express(role, o)
}

// Command is what to run in the peer's container. The error wraps
// ErrUnsupported where the stack has no words for the offer. Groups the row
// does not declare are passed on all the same: it is for the binary to refuse
// them (Parse knows the refusal), and a probe for that is what gives
// "unsupported" its meaning.
func (p Peer) Command(r Request) (agent.Command, error) {
	if err := p.express(r.Role, r.Offer); err != nil {
		return agent.Command{}, err
	}
	if err := r.check(); err != nil {
		return agent.Command{}, err
	}
	if p.config != nil {
		r.config, r.configText = &p.config.Config, p.config.text
	}
	cmd := p.driver.command(r)
	if cmd.Timeout == 0 && (r.Role == lab.ClientRole || p.Exclusive()) { // other servers live as long as the run
		cmd.Timeout = r.timeout()
	}
	return cmd, nil
}

// check refuses what would end up in a file name or a command line.
func (r Request) check() error {
	plain := func(c rune) bool {
		return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '.'
	}
	other := func(c rune) bool { return !plain(c) }
	if strings.ContainsFunc(r.Token, other) || strings.HasPrefix(r.Token, ".") {
		return fmt.Errorf("request path %q: want letters, digits and dashes only", r.Token)
	}
	if strings.ContainsFunc(r.SNI, other) {
		return fmt.Errorf("server name %q: want a DNS name", r.SNI)
	}
	if !r.Addr.IsValid() {
		return fmt.Errorf("%s's address is missing", r.Role)
	}
	return nil
}

// Parse reads what came of a Command: the peer's account of itself, and the
// TLS key log where it wrote one (NSS format).
func (p Peer) Parse(r Request, res agent.Result) (lab.End, []byte) {
	end, keylog := p.driver.parse(r, res)
	end.TimedOut = end.TimedOut || res.TimedOut
	end.CPUMicros = res.CPU.Microseconds()
	if end.Unsupported == "" {
		end.Exit = res.Exit
	}
	if res.Err != "" {
		end.Error = res.Err
	}
	end.Error = clip(end.Error)
	return end, keylog
}

// Version is the command that prints the peer's version; VersionText reads
// what came of it.
func (p Peer) Version() agent.Command {
	cmd := p.driver.version()
	cmd.Timeout = defaultTimeout
	return cmd
}

// VersionText is the binary's own words for its version.
func VersionText(res agent.Result) (string, error) {
	line, _, _ := strings.Cut(strings.TrimSpace(string(res.Stdout)), "\n")
	if res.TimedOut {
		return "", fmt.Errorf("ask for the version: no answer within %v", defaultTimeout)
	}
	if res.Exit != 0 || res.Err != "" || line == "" {
		return "", fmt.Errorf("ask for the version: exit %d, %s%s", res.Exit, res.Err, clip(string(res.Stderr)))
	}
	return clip(line), nil
}

// maxWords bounds what is kept of a peer's own words, bytes.
const maxWords = 2 << 10

func clip(s string) string {
	if len(s) > maxWords {
		s = s[:maxWords]
	}
	return strings.ToValidUTF8(strings.TrimSpace(s), "\uFFFD")
}

// fileIn names a file of a command's private directory in its arguments.
func fileIn(name string) string { return "{dir}/" + name }

// Names of the files that go into and come out of a command's directory.
const (
	caFile    = "ca.pem"
	certFile  = "cert.pem"
	keyFile   = "key.pem"
	chainFile = "chain.pem"
	logFile   = "keys.log"
)

// files are what the role needs on disk.
func (r Request) files() map[string][]byte {
	if r.Role == lab.ServerRole {
		return map[string][]byte{certFile: r.Identity.Cert, keyFile: r.Identity.Key}
	}
	return map[string][]byte{caFile: r.CA}
}
