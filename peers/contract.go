package peers

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"hybridlab/lab"
	"hybridlab/lab/wire"
	"hybridlab/peers/agent"
)

// The contract of CONTRACT.md: variables in, exit code out, one JSON line per
// connection on standard output.
const (
	envRole    = "PEER_ROLE"
	envAddr    = "PEER_ADDR"
	envGroups  = "PEER_GROUPS"
	envShares  = "PEER_SHARES"
	envSNI     = "PEER_SNI"
	envToken   = "PEER_TOKEN"
	envCA      = "PEER_CA"
	envCert    = "PEER_CERT"
	envKey     = "PEER_KEY"
	envTimeout = "PEER_TIMEOUT"
	envShape   = "PEER_SHAPE"
	envKeyLog  = "SSLKEYLOGFILE"
)

const (
	exitOK          = 0
	exitFailed      = 1
	exitUsage       = 2
	exitUnsupported = 127
)

// roleVersion is a third value of PEER_ROLE: say what you are.
const roleVersion = "version"

// contract is a peer that follows CONTRACT.md.
type contract struct {
	argv   []string
	limits func(lab.Role, lab.Offer) error // what it is known not to express; nil: it says so itself, by 127
}

func (c contract) express(role lab.Role, o lab.Offer) error {
	if c.limits == nil {
		return nil
	}
	return c.limits(role, o)
}

func (c contract) exclusive() bool { return false }

func (c contract) version() agent.Command {
	return agent.Command{Argv: c.argv, Env: []string{envRole + "=" + roleVersion}}
}

func (c contract) command(r Request) agent.Command {
	cmd := agent.Command{Argv: c.argv, Files: r.files(), Env: r.environ()}
	if r.Role == lab.ServerRole {
		cmd.Ready = "tcp:" + strconv.Itoa(int(r.Addr.Port()))
	} else {
		cmd.Outputs = []string{logFile}
		cmd.Timeout = r.timeout() + lastWords
	}
	return cmd
}

// lastWords is what a client is given beyond its own timeout to report it.
const lastWords = 500 * time.Millisecond

// environ is the request as the contract's variables. Files are in the
// command's directory.
func (r Request) environ() []string {
	env := []string{
		envRole + "=" + string(r.Role),
		envAddr + "=" + r.Addr.String(),
		envGroups + "=" + contractGroups(r.Offer),
		envShares + "=" + contractShares(r.Offer),
		envTimeout + "=" + strconv.FormatFloat(r.timeout().Seconds(), 'f', -1, 64),
	}
	if !r.Shape.Plain() {
		shape, _ := json.Marshal(r.Shape) // numbers and booleans: cannot fail
		env = append(env, envShape+"="+string(shape))
	}
	if r.Role == lab.ServerRole {
		return append(env, envCert+"="+fileIn(certFile), envKey+"="+fileIn(keyFile))
	}
	return append(env, envSNI+"="+r.sni(), envToken+"="+r.Token, envCA+"="+fileIn(caFile), envKeyLog+"="+fileIn(logFile))
}

// contractGroups writes IANA names, "," inside a tier and ">" between tiers.
func contractGroups(o lab.Offer) string {
	var b strings.Builder
	for i, l := range o.Listed {
		if i > 0 {
			b.WriteByte(",>"[min(1, l.Tier-o.Listed[i-1].Tier)])
		}
		b.WriteString(l.Group.String())
	}
	return b.String()
}

// noShares says that every share is to be withheld, where an empty variable
// says nothing.
const noShares = "none"

func contractShares(o lab.Offer) string {
	if !o.Explicit() {
		return ""
	}
	var names []string
	for _, g := range o.Sent() {
		names = append(names, g.String())
	}
	if names == nil {
		return noShares
	}
	return strings.Join(names, ",")
}

// parseContractOffer reads the two variables back. An unknown name is
// ErrUnsupported: another peer may know it.
func parseContractOffer(groups, shares string) (lab.Offer, error) {
	var o lab.Offer
	if groups == "" {
		return o, nil
	}
	for tier, part := range strings.Split(groups, ">") {
		for name := range strings.SplitSeq(part, ",") {
			g, err := wire.LookupGroup(name)
			if err != nil {
				return o, unsupported("%s: %v", envGroups, err)
			}
			if o.Has(g) {
				return o, fmt.Errorf("%s=%q: %s is listed twice", envGroups, groups, g)
			}
			o.Listed = append(o.Listed, lab.ListedGroup{Group: g, Tier: tier})
		}
	}
	return o, markShares(&o, shares)
}

func markShares(o *lab.Offer, shares string) error {
	if shares == "" {
		return nil
	}
	sent := map[string]bool{}
	if shares != noShares {
		for name := range strings.SplitSeq(shares, ",") {
			sent[strings.ToLower(name)] = true
		}
	}
	for i, l := range o.Listed {
		o.Listed[i].Share = lab.ShareWithheld
		if name := strings.ToLower(l.Group.String()); sent[name] {
			o.Listed[i].Share = lab.ShareSent
			delete(sent, name)
		}
	}
	for name := range sent {
		return fmt.Errorf("%s=%q: %q is not in %s", envShares, shares, name, envGroups)
	}
	return nil
}

// line is one connection's report: a lab.End and, from servers, whose it is.
type line struct {
	Remote string `json:"remote,omitempty"`
	lab.End
}

// LineFrom is the text that the report line of a connection from addr
// contains, and no other connection's does.
func LineFrom(addr netip.Addr) string {
	host := addr.String()
	if addr.Is6() {
		host = "[" + host + "]"
	}
	return `"remote":"` + host + `:`
}

// ParseLine reads a server's report line.
func ParseLine(text string) (netip.AddrPort, lab.End, error) {
	l, err := parseLine([]byte(text))
	if err != nil {
		return netip.AddrPort{}, lab.End{}, err
	}
	remote, err := netip.ParseAddrPort(l.Remote)
	if err != nil {
		return netip.AddrPort{}, lab.End{}, fmt.Errorf("read server's report: %w", err)
	}
	return remote, l.End, nil
}

// parseLine takes the claims of a report and leaves the rest: exit code,
// time-out and CPU time are the lab's to measure.
func parseLine(text []byte) (line, error) {
	var l line
	if err := json.Unmarshal(text, &l); err != nil {
		return line{}, fmt.Errorf("read report %q: %w", clip(string(text[:min(len(text), 80)])), err)
	}
	l.End = lab.End{Done: l.Done || l.Data, Data: l.Data, Group: clip(l.Group), Version: clip(l.Version), Reached: clip(l.Reached),
		Error: clip(l.Error), TimedOut: l.TimedOut}
	if g, err := wire.LookupGroup(l.Group); err == nil {
		l.Group = g.String() // whatever spelling the peer prefers
	}
	return l, nil
}

func (c contract) parse(_ Request, res agent.Result) (lab.End, []byte) {
	if res.Exit == exitUnsupported {
		return lab.End{Exit: exitUnsupported, Unsupported: cmp.Or(clip(string(res.Stderr)), "exit code 127, without a word")}, nil
	}
	end := lab.End{Done: res.Exit == exitOK, Data: res.Exit == exitOK}
	for text := range bytes.Lines(res.Stdout) {
		if !bytes.HasPrefix(text, []byte("{")) {
			continue
		}
		if l, err := parseLine(text); err == nil {
			end = l.End
		}
	}
	if end.Error == "" && res.Exit != exitOK {
		end.Error = clip(string(res.Stderr))
	}
	return end, res.Files[logFile]
}
