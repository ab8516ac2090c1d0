package peers

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"hybridlab/peers/agent"
)

// Middlebox is a real program that stands between client and server, in a
// container between two legs of the path. It is given what an administrator
// would give it: where to listen, where the server is, where everybody else is
// sent. A fresh process serves each cell, so that nothing of one cell is left
// for the next.
type Middlebox struct {
	ID     string // "haproxy-sni@trixie"
	About  string // what it is configured to do, one line
	Folder string // docker/<Folder> holds its Dockerfile
	Suite  string // Debian suite its image is built from
	Fix    string // what mends what it is known to break; empty: nothing is known
	// Others is what becomes of a client that asks for another name.
	Others Others
	// EndsTLS: it answers the client's handshake itself and makes another with
	// the server. Otherwise the client's handshake is the server's.
	EndsTLS bool
	// Inline: it ends no connection, packets are routed through it. It is Beside,
	// and nothing more is started for a cell; it needs NET_ADMIN and forwarding,
	// and both directions of a connection.
	Inline bool

	command func(Between) agent.Command
	beside  *agent.Command // a program that runs as long as the container does; nil: none
	says    []string       // the command that prints its version on its first line
}

// Others is what a middlebox does with those who ask for a name that is not the
// server's, or for none that it can read.
type Others string

const (
	OthersServed  Others = ""        // the same as with everybody: it does not look
	OthersDecoyed Others = "decoyed" // they come to the decoy
	OthersRefused Others = "refused" // their connection ends, or goes on without an answer
)

// Between is where a middlebox stands.
type Between struct {
	Listen  netip.AddrPort // the client comes here
	Backend netip.AddrPort // the server it is meant to reach
	Decoy   netip.AddrPort // where a router sends who asks for another name, or for none it can read
	SNI     string         // the server's name
	// Identity is what a middlebox that ends TLS shows, a certificate in the
	// server's name; CA is whom it trusts, PEM.
	Identity Identity
	CA       []byte
}

// Command starts the middlebox for one cell. One that is Inline has none.
func (m Middlebox) Command(b Between) agent.Command {
	cmd := m.command(b)
	if cmd.Ready == "" {
		cmd.Ready = "tcp:" + strconv.Itoa(int(b.Listen.Port()))
	}
	return cmd
}

// Beside is what runs as long as the middlebox's container does; nil: nothing.
func (m Middlebox) Beside() *agent.Command { return m.beside }

// Version prints the middlebox's version on its first line.
func (m Middlebox) Version() agent.Command { return agent.Command{Argv: m.says} }

// Middleboxes are all of them, by id.
func Middleboxes() []Middlebox { return slices.Clone(middleboxes) }

// LookupMiddlebox finds one by its id. The error names those there are.
func LookupMiddlebox(id string) (Middlebox, error) {
	var ids []string
	for _, m := range middleboxes {
		if m.ID == id {
			return m, nil
		}
		ids = append(ids, m.ID)
	}
	return Middlebox{}, fmt.Errorf("look up middlebox %q: want one of %s", id, strings.Join(ids, ", "))
}
