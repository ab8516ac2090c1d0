package peers

import (
	"bytes"
	"regexp"
	"strconv"
	"strings"

	"hybridlab/lab"
	"hybridlab/lab/wire"
	"hybridlab/peers/agent"
)

// boringssl is bssl, BoringSSL's command for testing. Its client verifies the
// chain but not the name, and has no verbosity to turn down.
type boringssl struct {
	tls12 bool // it is held to TLS 1.2
}

// boringNames are its names for groups, as -curves takes them and as it
// prints them. Of the drafts it knows the numbers of 2023. P256KYBER (0xfe32)
// is not among the groups of its row: the list takes the name, and then the
// client fails before its hello and the server answers decode_error: neither
// can make such a share.
var boringNames = map[wire.Group]string{
	wire.X25519: "X25519", wire.SecP256r1: "P-256", wire.SecP384r1: "P-384", wire.SecP521r1: "P-521",
	x25519Kyber: "X25519KYBER",
}

const x25519Kyber wire.Group = 0x6399 // X25519Kyber768Draft00: a Kyber that is not ML-KEM

var boringGroups = []wire.Group{wire.X25519, wire.SecP256r1, wire.SecP384r1, wire.SecP521r1, x25519Kyber}

func boringRules() lab.Rules {
	return lab.Rules{
		Default:     lab.MustOffer("*x25519+secp256r1+secp384r1"),
		Shares:      lab.ShareFirstOfEachKind,
		Pick:        lab.PickOrder,
		ClientOrder: true,
		NoMatch:     "handshake_failure",
		Old:         lab.OldRules{ClientOrder: true, ClientCertCurve: true, NoCurve: true},
	}
}

func (boringssl) express(_ lab.Role, o lab.Offer) error {
	switch {
	case o.Tiered():
		return unsupported("groups have no tiers in BoringSSL")
	case o.Explicit():
		return unsupported("bssl chooses its key shares itself: the first hybrid's and the first classical group's")
	}
	return nil
}

func (d boringssl) command(r Request) agent.Command {
	cmd := agent.Command{Files: r.files()}
	if r.Role == lab.ServerRole {
		port := strconv.Itoa(int(r.Addr.Port()))
		cmd.Argv = []string{"bssl-tool", "server", "-accept", port, "-www", "-cert", fileIn(certFile), "-key", fileIn(keyFile)}
		cmd.Ready = "tcp:" + port
	} else {
		cmd.Argv = []string{"bssl-tool", "client", "-connect", r.Addr.String(), "-server-name", r.sni(), "-root-certs", fileIn(caFile)}
		cmd.Env = []string{envKeyLog + "=" + fileIn(logFile)}
		cmd.Outputs = []string{logFile}
		cmd.Stdin = r.request()
	}
	if d.tls12 {
		cmd.Argv = append(cmd.Argv, "-max-version", "tls1.2")
	}
	if !r.Offer.Default() {
		var names []string
		for _, g := range r.Offer.Groups() {
			name, ok := boringNames[g]
			if !ok {
				name = g.String()
			}
			names = append(names, name)
		}
		cmd.Argv = append(cmd.Argv, "-curves", strings.Join(names, ":"))
	}
	return cmd
}

func (boringssl) exclusive() bool { return true }

// version asks the package: bssl has no version, and BoringSSL no releases.
func (boringssl) version() agent.Command { return agent.Command{Argv: []string{"cat", "/version.txt"}} }

func (boringssl) parse(r Request, res agent.Result) (lab.End, []byte) {
	if bytes.Contains(res.Stderr, []byte("Failed setting curves list")) {
		return lab.End{Exit: exitUnsupported, Unsupported: "Failed setting curves list"}, nil
	}
	var end lab.End
	for line := range strings.Lines(string(res.Stderr)) {
		line = strings.TrimSpace(line)
		key, value, _ := strings.Cut(line, ": ")
		switch key {
		case "Connected.":
			end.Done = true
		case "Version":
			end.Version = strings.Replace(clip(value), "TLSv", "TLS ", 1)
		case "ECDHE curve", "ECDHE group":
			end.Group = boringGroup(value)
		case "Cert subject":
			end.Reached = commonName(value)
		case "Error while connecting", "Error while reading":
			end.Error = boringError(res.Stderr, clip(value))
		case "connect":
			end.Error = clip(line)
		}
	}
	if r.Role == lab.ServerRole {
		// It ends after its answer, and with 1 if no request came.
		end.Data = end.Done && res.Exit == exitOK && !res.TimedOut
		return end, nil
	}
	end.Data = isAnswer(res.Stdout)
	return end, res.Files[logFile]
}

func boringGroup(name string) string {
	for g, n := range boringNames {
		if n == name {
			return g.String()
		}
	}
	return ""
}

// boringError adds the reasons from the error queue to what was said.
func boringError(stderr []byte, said string) string {
	for _, m := range boringPattern.FindAllSubmatch(stderr, 4) {
		if reason := string(m[1]); reason != said {
			said += "; " + reason
		}
	}
	return clip(said)
}

// boringPattern matches "...:error:1000010a:SSL routines:OPENSSL_internal:NO_SHARED_GROUP:src/ssl/...".
var boringPattern = regexp.MustCompile(`:error:[0-9a-f]+:[^:]+:OPENSSL_internal:([A-Z0-9_]+):`)
