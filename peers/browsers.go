package peers

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"

	"hybridlab/lab"
	"hybridlab/lab/wire"
	"hybridlab/peers/agent"
	"hybridlab/peers/browser"
)

// webBrowser is a peer whose client is a browser. It is kept running by a
// companion, and the contract's client is a program of ours that asks it for
// one page: see package browser.
type webBrowser struct {
	contract
	kind  browser.Kind
	fixed string // why its groups are what they are
}

// browserPeer is the driver of the row with that id.
func browserPeer(id, fixed, program string, options ...string) webBrowser {
	return webBrowser{
		contract: contract{argv: []string{Binary, "peer", id}},
		kind:     browser.Kind{Program: program, Options: options},
		fixed:    fixed,
	}
}

// What the two can negotiate, and why their lists are what they are.
var (
	chromiumGroups = []wire.Group{wire.X25519MLKEM768, wire.X25519, wire.SecP256r1, wire.SecP384r1}
	firefoxGroups  = []wire.Group{wire.X25519MLKEM768, wire.X25519, wire.SecP256r1, wire.SecP384r1, wire.SecP521r1, opensslFFDHE[0], opensslFFDHE[1]}
)

const (
	chromiumFixed = "Chromium has a list of its own, which no policy or switch changes"
	firefoxFixed  = "Firefox has a list of its own: a preference takes the hybrid off it, which firefox-esr-classical has set"
)

// chromiumRules and firefoxRules are those of clients that make one offer.
func chromiumRules(offer string) lab.Rules {
	return lab.Rules{Default: lab.MustOffer(offer), GREASE: true, Shuffles: true, NoMatch: "handshake_failure", Certs: CertKinds()}
}

func firefoxRules(offer string) lab.Rules {
	return lab.Rules{Default: lab.MustOffer(offer), NoMatch: "handshake_failure"}
}

func (b webBrowser) express(_ lab.Role, o lab.Offer) error {
	if !o.Default() {
		return unsupported("%s", b.fixed)
	}
	return nil
}

// roleCompanion is a fourth value of PEER_ROLE, for browsers: be what the
// client commands need beside them.
const roleCompanion = "companion"

// envSocket is where companion and clients meet.
const envSocket = "PEER_SOCKET"

var meeting = envSocket + "=" + fileIn("../browser.sock") // beside the commands' directories

// companionUp is printed when the browser runs.
const companionUp = "the browser is up"

func (b webBrowser) companion(ca []byte) agent.Command {
	return agent.Command{
		Argv:    b.argv,
		Env:     []string{envRole + "=" + roleCompanion, meeting, envCA + "=" + fileIn(caFile)},
		Files:   map[string][]byte{caFile: ca},
		Ready:   companionUp,
		ReadyIn: browser.OpenTime,
	}
}

func (b webBrowser) command(r Request) agent.Command {
	cmd := b.contract.command(r)
	cmd.Env = append(cmd.Env, meeting)
	cmd.Timeout += browser.OpenTime // the time it waits for is not the connection's
	return cmd
}

// run is what the row's program does in a container.
func (b webBrowser) run(ctx context.Context, getenv func(string) string, stdout io.Writer) (code int, err error) {
	switch getenv(envRole) {
	case roleVersion:
		cmd := exec.CommandContext(ctx, b.kind.Program, "--version")
		cmd.Stdout = stdout
		return exitFailed, cmd.Run()
	case roleCompanion:
		return exitFailed, b.accompany(ctx, getenv, stdout)
	}
	r, err := readRequest(getenv)
	switch {
	case r.Role == lab.ServerRole:
		return exitUnsupported, unsupported("a browser is no server")
	case err == nil:
		err = b.express(r.Role, r.Offer)
	}
	switch {
	case errors.Is(err, ErrUnsupported):
		return exitUnsupported, err
	case err != nil:
		return exitUsage, err
	}
	said, err := browser.Ask(ctx, getenv(envSocket), browser.Visit{Addr: r.Addr, Name: r.sni(), Path: r.Token, Timeout: r.timeout()})
	if err != nil {
		return exitFailed, err
	}
	keys := keyLogger{name: getenv(envKeyLog)}
	if err := keys.append(said.KeyLog); err != nil {
		return exitFailed, err
	}
	if err := json.NewEncoder(stdout).Encode(line{End: said.End}); err != nil {
		return exitFailed, err
	}
	if !said.Data {
		return exitFailed, fmt.Errorf("visit: %s", said.Error)
	}
	return exitOK, nil
}

func (b webBrowser) accompany(ctx context.Context, getenv func(string) string, stdout io.Writer) error {
	ca, err := os.ReadFile(getenv(envCA))
	if err != nil {
		return err
	}
	dir, err := os.Getwd()
	if err != nil {
		return err
	}
	return browser.Keep(ctx, b.kind, dir, getenv(envSocket), ca, func() { fmt.Fprintln(stdout, companionUp) })
}

// Companion is a process that has to run beside the client commands of the
// peer, all the time; ok: it needs one. It is started like a server, and
// trusts the CA (PEM).
func (p Peer) Companion(ca []byte) (cmd agent.Command, ok bool) {
	b, ok := p.driver.(webBrowser)
	if !ok {
		return cmd, false
	}
	return b.companion(ca), true
}

// AtOnce is how many client commands of the peer may run at once in one
// container; 0: any number.
func (p Peer) AtOnce() int {
	if _, ok := p.driver.(webBrowser); ok {
		return mostTabs
	}
	return 0
}

// mostTabs bounds a browser's memory: a tab of Chromium's takes up to 60 MB.
const mostTabs = 12
