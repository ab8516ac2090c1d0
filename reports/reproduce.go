package reports

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"hybridlab/lab"
	"hybridlab/lab/evidence"
	"hybridlab/lab/wire"
)

// Files of the setup in a bundle.
const (
	linkFile      = "configuration/link.yaml"
	boxesFile     = "configuration/boxes.yaml"
	ownBoxesFile  = "configuration/boxes-of-your-own.yaml"
	middleboxFile = "configuration/middleboxes.txt"
	clientFile    = "configuration/client.txt"
	serverFile    = "configuration/server.txt"
	packetsFile   = "packets.txt"
	reproduceFile = "reproduce.txt"
	controlsFile  = "controls/controls.txt"
	summaryFile   = "summary.html"
)

// hybridlabAgain is the one command that makes a cell of the finding again,
// from where the bundle was unpacked; with the run's seed where seed is 0.
func hybridlabAgain(f *evidence.Finding, cell string, seed uint64) string {
	var extra string
	for _, l := range f.Report.Links {
		if l.Own && l.Name == f.Verdict.Link {
			extra += " --link-file " + linkFile
		}
	}
	if slices.ContainsFunc(f.Report.Boxes, func(b lab.BoxInfo) bool { return b.Own }) {
		extra += " --box-file " + ownBoxesFile
	}
	for _, p := range f.Report.Peers {
		switch {
		case p.Config != nil:
			extra += " --peer " + shell(string(p.ID)) + "=ROW:" + shell(p.Config.File)
		case p.Rules != nil:
			extra += " --peer " + shell(string(p.ID)) + "=IMAGE"
		}
	}
	r := f.Report
	if seed != 0 {
		r.Seed = seed
	}
	return "hybridlab run" + extra + strings.TrimPrefix(againBase(r), "hybridlab run") + shell(cell)
}

// opensslNames are the groups that OpenSSL 3.5 has, by the names it takes.
var opensslNames = map[wire.Group]string{
	wire.X25519: "X25519", wire.SecP256r1: "P-256", wire.SecP384r1: "P-384", wire.SecP521r1: "P-521", wire.X448: "X448",
	wire.X25519MLKEM768: "X25519MLKEM768", wire.SecP256r1MLKEM768: "SecP256r1MLKEM768", wire.SecP384r1MLKEM1024: "SecP384r1MLKEM1024",
	wire.MLKEM512: "MLKEM512", wire.MLKEM768: "MLKEM768", wire.MLKEM1024: "MLKEM1024",
}

// opensslGroups is the option that makes OpenSSL offer the same groups with the
// same shares; ok is false where it has no name for one.
func opensslGroups(o lab.Offer) (option string, ok bool) {
	if o.Default() {
		return "", true
	}
	var list []string
	for _, g := range o.Groups() {
		n, known := opensslNames[g]
		if !known {
			return "", false
		}
		if o.Explicit() && slices.Contains(o.Sent(), g) {
			n = "*" + n
		}
		list = append(list, n)
	}
	return " -groups '" + strings.Join(list, ":") + "'", true
}

// command is a line to type, and what it shows.
type command struct{ What, Line string }

const netcat = "| nc -w 5 HOST 443 | head -c 5 | od -An -tx1"

// stock are commands that need no hybridlab.
func stock(f *evidence.Finding) []command {
	var out []command
	if f.Verdict.Blame == "client" {
		return againstClient(f)
	}
	if n := len(f.Hello.Bytes); n > 0 {
		out = append(out, command{fmt.Sprintf("Send the very ClientHello of the capture, %s, to your server through your device", count(n, "byte")), "cat " + evidence.HelloFile + " " + netcat})
		if parts := cutUp(f.Hello); parts != "" {
			out = append(out, command{"The same, cut where the capture has it cut, whatever your MTU is", parts + " " + netcat})
		}
	}
	if option, ok := opensslGroups(f.Verdict.Offer); ok {
		out = append(out, command{"A whole handshake with the same groups (OpenSSL 3.5 or later)", "openssl s_client -connect HOST:443 -servername HOST -tls1_3" + option + " </dev/null"})
	}
	out = append(out, command{"The control, a small classical ClientHello, which should succeed", "openssl s_client -connect HOST:443 -servername HOST -groups X25519 </dev/null"})
	if n := f.Verdict.Threshold; f.Verdict.Trigger == lab.TriggerMTU && n > 28 {
		out = append(out,
			command{fmt.Sprintf("A packet of %s: neither an answer nor a message that it is too big comes back", count(n, "byte")), fmt.Sprintf("ping -c 3 -M do -s %d HOST", n-28)},
			command{fmt.Sprintf("The control, a packet of %s, which should be answered", count(n-1, "byte")), fmt.Sprintf("ping -c 3 -M do -s %d HOST", n-29)})
	}
	return out
}

// mostCuts bounds the parts a hello is sent in.
const mostCuts = 8

// cutUp prints the hello in the segments of the capture, with a pause that
// keeps the kernel from joining them.
func cutUp(h lab.SentHello) string {
	if len(h.Cuts) == 0 || len(h.Cuts) > mostCuts {
		return ""
	}
	parts := []string{fmt.Sprintf("head -c %d %s", h.Cuts[0], evidence.HelloFile)}
	for i, at := range h.Cuts {
		part := fmt.Sprintf("tail -c +%d %s", at+1, evidence.HelloFile)
		if i+1 < len(h.Cuts) {
			part += fmt.Sprintf(" | head -c %d", h.Cuts[i+1]-at)
		}
		parts = append(parts, part)
	}
	return "( " + strings.Join(parts, "; sleep 0.1; ") + " )"
}

// againstClient are commands for the maker of a client.
func againstClient(f *evidence.Finding) []command {
	out := []command{{"A certificate to be shown", "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout key.pem -out cert.pem -days 2 -subj /CN=localhost"}}
	if option, ok := opensslGroups(f.Verdict.Accept); ok {
		out = append(out, command{"A server with the same groups (OpenSSL 3.5 or later); connect your client to it", "openssl s_server -accept 4433 -cert cert.pem -key key.pem -www -trace" + option})
	}
	return append(out, command{"The control, a server that is classical only", "openssl s_server -accept 4433 -cert cert.pem -key key.pem -www -groups X25519"})
}

// reproduce is the text about seeing it for oneself.
func reproduce(b *strings.Builder, f *evidence.Finding) {
	v := f.Verdict
	b.WriteString("How to see it yourself\n\n1. With hybridlab, in one command, from where this was unpacked\n\n")
	fmt.Fprintf(b, "  %s\n\n   It should end as: %s.\n", hybridlabAgain(f, v.Cell, 0), verdictWords(v))
	for _, c := range f.Controls {
		fmt.Fprintf(b, "\n   Control, %s; it should end as %s:\n  %s\n", name(c.Kind), name(c.Outcome), hybridlabAgain(f, c.Cell, 0))
	}
	b.WriteString("\n2. With stock tools, and none of this\n\n")
	if v.Blame != "client" {
		b.WriteString("   HOST is a TLS 1.3 server of yours behind the device or network in question, or the server in question\n   itself. Do it from where its clients are; then from a place that is not behind the device.\n")
	}
	for _, c := range stock(f) {
		fmt.Fprintf(b, "\n   %s:\n  %s\n", c.What, c.Line)
	}
	b.WriteString(whatToExpect(f))
	b.WriteString("\n3. In the captures\n\n   Wireshark and tshark open them decrypted, as far as the handshake went: the keys are embedded.\n")
	fmt.Fprintf(b, "  tshark -r %s -O tls\n", evidence.ClientSideFile)
	b.WriteString("\n4. That nothing here was changed\n\n  hybridlab verify BUNDLE.zip\n  sha256sum -c MANIFEST\n")
}

// whatToExpect says how the finding shows in the stock tools.
func whatToExpect(f *evidence.Finding) string {
	switch v := f.Verdict; {
	case v.Blame == "client":
		return ""
	case v.Outcome == lab.Downgrade || v.Cause == lab.CauseUnexpectedGroup:
		return fmt.Sprintf(`
   openssl s_client names the group that came out, behind "Negotiated TLS1.3 group" or "Server Temp Key". The
   finding is %s in place of what both ends prefer.
`, cmp.Or(name(v.Group), "another group"))
	case v.Outcome == lab.Misroute:
		return `
   openssl s_client shows the certificate. The finding is another server's than the one addressed.
`
	case len(f.Hello.Bytes) > 0:
		return `
   The lines with nc print the beginning of the answer. 16 03 03 is a ServerHello and 15 03 an alert (such as
   unrecognized_name: the hello asks for "hybridlab.test"): either shows that the ClientHello got there and
   back. No output, "Connection reset" or another alert than a direct connection gives is the finding.
`
	}
	return ""
}

// verdictWords is "size, rst-after-hello, blame box NAME".
func verdictWords(v lab.Verdict) string {
	s := name(v.Outcome)
	if v.Cause != "" {
		s += ", " + name(v.Cause)
	}
	if v.Blame != "" {
		s += ", blame " + name(v.Blame)
	}
	return s
}
