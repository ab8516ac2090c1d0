package peers

import (
	"bytes"
	"cmp"
	"regexp"
	"slices"
	"strings"

	"hybridlab/lab"
	"hybridlab/lab/wire"
	"hybridlab/peers/agent"
)

// Groups of OpenSSL's TLS 1.3: five curves since 1.1.1, finite fields since
// 3.0, the other two since 3.5 ("openssl list -tls1_3 -tls-groups").
var (
	opensslCurves      = []wire.Group{wire.X25519, wire.X448, wire.SecP256r1, wire.SecP384r1, wire.SecP521r1}
	opensslFFDHE       = []wire.Group{0x0100, 0x0101, 0x0102, 0x0103, 0x0104}
	opensslClassical   = slices.Concat(opensslCurves, opensslFFDHE, []wire.Group{0x001f, 0x0020, 0x0021}) // with brainpool
	opensslPostQuantum = []wire.Group{wire.X25519MLKEM768, wire.SecP256r1MLKEM768, wire.SecP384r1MLKEM1024,
		wire.MLKEM512, wire.MLKEM768, wire.MLKEM1024}

	openssl30Groups = slices.Concat(opensslCurves, opensslFFDHE)
	openssl35Groups = slices.Concat(opensslClassical, opensslPostQuantum)
)

// openssl111 are the rules of OpenSSL 1.1.1: whatever is built on a generation
// of OpenSSL has that generation's rules.
func openssl111() lab.Rules {
	return lab.Rules{
		Default:     lab.MustOffer("*x25519+secp256r1+x448+secp521r1+secp384r1"),
		Shares:      lab.ShareFirst,
		Pick:        lab.PickTier,
		ClientOrder: true,
		OwnRetry:    true,
		NoMatch:     "handshake_failure",
		Old:         opensslOld,
	}
}

var opensslOld = lab.OldRules{ClientOrder: true, ClientCertCurve: true, ServerCertCurve: true, NoCurve: true}

// openssl30 are those of 3.0 to 3.4, which have finite fields.
func openssl30() lab.Rules {
	r := openssl111()
	r.Default = lab.MustOffer("*x25519+secp256r1+x448+secp521r1+secp384r1+ffdhe2048+ffdhe3072+ffdhe4096+ffdhe6144+ffdhe8192")
	return r
}

// openssl35 are those of 3.5 and later, which has tuples, hybrids and ML-DSA. line
// is the line of a server's configuration that ranks the hybrid; a client has none.
func openssl35(line string) lab.Rules {
	r := lab.Rules{
		Default:     lab.MustOffer("*x25519mlkem768>*x25519+secp256r1>x448+secp384r1+secp521r1>ffdhe2048+ffdhe3072"),
		Shares:      lab.ShareFirst,
		Pick:        lab.PickTier,
		ClientOrder: true,
		NoMatch:     "handshake_failure",
		Certs:       CertKinds(),
		Old:         opensslOld,
	}
	if line != "" {
		r.Cure = "rank the groups in tuples: " + line + ", with a slash; after a colon a share that came beats a better group"
	}
	return r
}

// ownOrder are the rules where the program sets SSL_OP_CIPHER_SERVER_PREFERENCE,
// which before 3.5 means TLS 1.2 only.
func ownOrder(r lab.Rules) lab.Rules {
	r.ClientOrder, r.Old.ClientOrder = r.OwnRetry, false
	return r
}

// ownDefault are the rules where the program has a group list of its own that
// counts where none is configured.
func ownDefault(r lab.Rules, list string) lab.Rules {
	r.Default = lab.MustOffer(list)
	return r
}

// openssl is the openssl command, s_client and s_server, of 1.1.1 and later.
//
// The server answers with -WWW, serving one file named by the request, and
// not with the status page of -www: it logs "FILE:" when it has read the
// request, which is its only word about application data, and its answer is
// of the same size in every run.
type openssl struct {
	flat  bool // before 3.5: a group list has no tuples and no stars
	tls12 bool // it is held to TLS 1.2
	// With oqs-provider: what its image calls the groups, and what loads it.
	oqs   bool
	names map[wire.Group]string
	flags []string
}

// opensslShares is how many key shares a client can be told to send.
const opensslShares = 4

func (d openssl) express(role lab.Role, o lab.Offer) error {
	switch {
	case d.flat && o.Tiered():
		return unsupported("groups have no tiers before OpenSSL 3.5")
	case d.flat && o.Explicit() && !sendsFirst(o):
		return unsupported("the first group's key share is the one that is sent, before OpenSSL 3.5")
	case !o.Explicit():
		return nil
	}
	switch n := len(o.Sent()); {
	case n == 0:
		return unsupported("s_client always sends a key share")
	case n > opensslShares:
		return unsupported("s_client sends at most %d key shares, not %d", opensslShares, n)
	}
	return nil
}

// sendsFirst reports whether the shares an offer asks for are those a stack
// sends that knows nothing else than to send the first group's.
func sendsFirst(o lab.Offer) bool {
	return slices.Equal(o.Sent(), o.Groups()[:1])
}

// opensslNames are spellings that every version knows; before 3.0 a group's
// name is one of OpenSSL's own, letter by letter.
var opensslNames = map[wire.Group]string{wire.X25519: "X25519", wire.X448: "X448",
	wire.SecP256r1: "P-256", wire.SecP384r1: "P-384", wire.SecP521r1: "P-521"}

func (d openssl) name(g wire.Group) string { return cmp.Or(d.names[g], opensslName(g)) }

func opensslName(g wire.Group) string { return cmp.Or(opensslNames[g], g.String()) }

// opensslGroups writes an offer as OpenSSL's group list: ":" inside a tuple,
// "/" between tuples, "*" before a group whose share is sent. Without any star
// the first group's share is sent.
func opensslGroups(o lab.Offer) string { return groupList(o, opensslName) }

func groupList(o lab.Offer, name func(wire.Group) string) string {
	stars := o.Explicit() && !sendsFirst(o)
	var b strings.Builder
	for i, l := range o.Listed {
		if i > 0 {
			b.WriteByte(":/"[min(1, l.Tier-o.Listed[i-1].Tier)])
		}
		if stars && slices.Contains(o.Sent(), l.Group) {
			b.WriteByte('*')
		}
		b.WriteString(name(l.Group))
	}
	return b.String()
}

func (d openssl) command(r Request) agent.Command {
	cmd := agent.Command{Files: r.files(), Outputs: []string{logFile}}
	if r.Role == lab.ServerRole {
		cmd.Argv = []string{"openssl", "s_server", "-accept", r.Addr.String(), "-naccept", "1", "-WWW",
			"-cert", fileIn(certFile), "-key", fileIn(keyFile)}
		cmd.Files[r.Token] = []byte("hybridlab\n")
		if above := r.Identity.above(); above != nil {
			cmd.Files[chainFile] = above
			cmd.Argv = append(cmd.Argv, "-cert_chain", fileIn(chainFile))
		}
		if r.config != nil {
			cmd.Files[opensslFile] = r.configText
			cmd.Env = append(cmd.Env, "OPENSSL_CONF="+fileIn(opensslFile))
		}
		cmd.Ready = "ACCEPT"
	} else {
		// -ign_eof: the end of standard input is not the end of the session;
		// the end of the server's answer is, so the client is gone as soon as
		// it has it.
		cmd.Argv = []string{"openssl", "s_client", "-connect", r.Addr.String(), "-servername", r.sni(), "-brief", "-ign_eof",
			"-CAfile", fileIn(caFile), "-verify_hostname", r.sni(), "-verify_return_error"}
		cmd.Stdin = r.request()
	}
	cmd.Argv = append(append(cmd.Argv, "-keylogfile", fileIn(logFile)), d.flags...)
	if d.tls12 {
		cmd.Argv = append(cmd.Argv, "-tls1_2")
	}
	if !r.Offer.Default() {
		cmd.Argv = append(cmd.Argv, "-groups", groupList(r.Offer, d.name))
	}
	return cmd
}

// opensslFile is the user's openssl.cnf.
const opensslFile = "openssl.cnf"

func (openssl) exclusive() bool { return true }

func (d openssl) version() agent.Command {
	if d.oqs {
		return agent.Command{Argv: []string{"sh", "-c", oqsVersion, strings.Join(d.flags, " ")}}
	}
	return agent.Command{Argv: []string{"openssl", "version"}}
}

func (openssl) parse(r Request, res agent.Result) (lab.End, []byte) {
	end := lab.End{Error: opensslErrors(res.Stderr)}
	if why := opensslRefusal(res); why != "" {
		return lab.End{Exit: exitUnsupported, Unsupported: why}, nil
	}
	if r.Role == lab.ServerRole {
		end.Done = bytes.Contains(res.Stdout, []byte(" 1 server accepts that finished"))
		end.Data = bytes.Contains(res.Stderr, []byte("FILE:"))
		end.Done = end.Done || end.Data // it may have been stopped before it printed its counts
	} else {
		opensslClient(res, &end)
	}
	return end, res.Files[logFile]
}

// opensslClient reads what "s_client -brief" prints: the session's facts on
// standard error, application data on standard output.
func opensslClient(res agent.Result, end *lab.End) {
	for line := range strings.Lines(string(res.Stderr)) {
		line = strings.TrimSpace(line)
		key, value, _ := strings.Cut(line, ": ")
		switch key {
		case "CONNECTION ESTABLISHED":
			end.Done = true
		case "Protocol version":
			end.Version = strings.Replace(value, "TLSv", "TLS ", 1)
		case "Peer certificate":
			end.Reached = commonName(value)
		case "Negotiated TLS1.3 group", "Peer Temp Key", "Server Temp Key":
			end.Group = opensslGroup(value)
		}
		if chain, ok := strings.CutPrefix(line, "depth=0 "); ok && end.Reached == "" {
			end.Reached = commonName(chain) // the session failed, and this is all it said
		}
	}
	end.Data = isAnswer(res.Stdout)
}

// commonName finds the CN in "CN=one" or, before 3.2, "CN = one".
func commonName(subject string) string {
	if m := cnPattern.FindStringSubmatch(subject); m != nil {
		return clip(m[1])
	}
	return ""
}

var cnPattern = regexp.MustCompile(`\bCN ?= ?([^,/]+)`)

// opensslGroup reads "X25519MLKEM768", "X25519, 253 bits", "ECDH, prime256v1,
// 256 bits" or "DH, 2048 bits". What it cannot read is not known.
func opensslGroup(s string) string {
	parts := strings.Split(s, ", ")
	name := parts[0]
	switch {
	case name == "ECDH" && len(parts) > 1:
		name = parts[1]
		if strings.HasPrefix(name, "brainpool") {
			name += "tls13"
		}
	case name == "DH" && len(parts) > 1:
		name = "ffdhe" + strings.TrimSuffix(parts[1], " bits")
	}
	g, err := wire.LookupGroup(name)
	if err != nil {
		return ""
	}
	return g.String()
}

// opensslRefusal is why the binary could not be configured: its words for a
// group list it does not understand, which exit code 1 alone does not tell
// from a handshake that failed.
func opensslRefusal(res agent.Result) string {
	for line := range strings.Lines(string(res.Stderr) + "\n" + string(res.Stdout)) {
		if strings.Contains(line, "SSL_CONF_cmd(-groups") || strings.Contains(line, `Error with command: "-groups`) {
			return clip(line)
		}
	}
	return ""
}

// opensslErrors keeps the lines that say what went wrong, without what differs
// from run to run and from patch to patch.
func opensslErrors(stderr []byte) string {
	var lines []string
	for line := range strings.Lines(string(stderr)) {
		line = strings.TrimSpace(line)
		if m := errorPattern.FindStringSubmatch(line); m != nil {
			lines = append(lines, strings.TrimSuffix(sourceLine.ReplaceAllString(m[1], ""), ":"))
		} else if strings.HasPrefix(line, "verify error:") || strings.HasPrefix(line, "connect:") {
			lines = append(lines, line)
		}
	}
	return clip(strings.Join(lines, "; "))
}

// errorPattern matches "4057E5EE027F0000:error:0A000410:SSL routines:...".
var errorPattern = regexp.MustCompile(`^[0-9A-F]+:error:[0-9A-F]+:(.*)$`)

// sourceLine is where in its source it was: another place in every patch release.
var sourceLine = regexp.MustCompile(`:[\w./-]+\.c:\d+`)
