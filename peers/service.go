package peers

import (
	"cmp"
	"crypto/tls"
	"fmt"
	"maps"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"hybridlab/lab"
	"hybridlab/lab/wire"
	"hybridlab/peers/agent"
	"hybridlab/peers/config"
)

// service is a web server or proxy that stays up: told what to do by a
// configuration file in its own language, and telling of every connection in
// a line of log.
//
// Where the log's form can be chosen it is "client: ADDR, status: 200, group:
// X, version: Y" for a request that was answered; what the program itself
// writes about a handshake that failed is left as it is, and words finds its
// meaning.
type service struct {
	// argv starts it in the foreground; {dir} is where its files are.
	argv []string
	// files are the configuration and whatever it needs beside the
	// certificate and the key.
	files func(Request) map[string][]byte
	// reads is the language of its configuration, where a file of the user's
	// can say how it speaks TLS; nil: none can.
	reads config.Language
	// limits is what its configuration cannot express.
	limits func(lab.Role, lab.Offer) error
	// proxy is its configuration as a TLS client: in front of an https server,
	// itself listening on the socket in.sock. nil: it is a server only.
	proxy func(Request) map[string][]byte
	// ready is what it prints once it is up; empty: its port says so.
	ready string
	// refused is in its words when it will not start with such a group list.
	refused *regexp.Regexp
	// from is how a log line names the client, with %s for the address.
	from string
	// answer finds status, group and version in the line about a request, by
	// the names of its parts; nil: the line has the form above.
	answer *regexp.Regexp
	// quiet: it says nothing of a connection that was not answered.
	quiet bool
	// words takes from a line about a failure what is the same in every run.
	words *regexp.Regexp
	// says prints the version, of the TLS library too, on its first line: a
	// shell script.
	says string
}

func (s service) express(role lab.Role, o lab.Offer) error { return s.limits(role, o) }

// askThrough starts a proxy beside itself, sends it one plain request and prints the
// answer. The proxy ends with it: it is of the same process group.
const askThrough = `"$@" & exec perl -MIO::Socket::UNIX -e '
for (1..500) { last if $s = IO::Socket::UNIX->new("in.sock"); select undef, undef, undef, 0.01 }
print $s "GET /$ENV{TOKEN} HTTP/1.0\r\nHost: $ENV{SNI}\r\n\r\n";
$_ = join "", <$s>; print; exit !m{^HTTP/1.. 200 }'`

func (s service) command(r Request) agent.Command {
	files := r.files()
	if r.Role == lab.ClientRole {
		maps.Copy(files, s.proxy(r))
		return agent.Command{Argv: slices.Concat([]string{"sh", "-c", askThrough, "sh"}, s.argv), Env: []string{"TOKEN=" + r.Token, "SNI=" + r.sni()}, Files: files}
	}
	maps.Copy(files, s.files(r))
	return agent.Command{Argv: s.argv, Files: files, Ready: cmp.Or(s.ready, "tcp:"+strconv.Itoa(int(r.Addr.Port())))}
}

func (service) exclusive() bool { return false }

func (s service) version() agent.Command { return agent.Command{Argv: []string{"sh", "-c", s.says}} }

// parse reads how the process ended: of a server that is never about one
// connection, of a proxy it is what came back through it.
func (s service) parse(r Request, res agent.Result) (lab.End, []byte) {
	for line := range strings.Lines(string(res.Stderr) + "\n" + string(res.Stdout)) {
		if s.refused.MatchString(line) {
			return lab.End{Exit: exitUnsupported, Unsupported: s.stable(line)}, nil
		}
	}
	if r.Role == lab.ServerRole {
		return lab.End{}, nil
	}
	status, _, _ := strings.Cut(string(res.Stdout), "\r\n")
	end := lab.End{Done: res.Exit == exitOK, Data: res.Exit == exitOK}
	if !end.Data {
		end.Error = clip(cmp.Or(s.firstFailure(res.Stderr), status))
		return end, nil
	}
	for line := range strings.Lines(string(res.Stdout)) {
		if answered.MatchString(line) {
			told, _ := s.parseLine(line) // it matches: no error
			end.Group, end.Version = told.Group, told.Version
		}
	}
	return end, nil
}

// firstFailure is what a proxy said first about its handshake.
func (s service) firstFailure(said []byte) string {
	for line := range strings.Lines(string(said)) {
		if strings.Contains(line, "SSL") && s.words.MatchString(strings.TrimSpace(line)) {
			return s.stable(line)
		}
	}
	return ""
}

func (s service) lineFrom(addr netip.Addr) string { return fmt.Sprintf(s.from, addr) }

// answered is the line about a request whose form could be chosen. A "-", or
// nothing, is what the program does not know.
var answered = regexp.MustCompile(`client: [^,]+, status: (?<status>[^,]*), group: (?<group>[^,]*), version: (?<version>[^,]*)`)

func (s service) parseLine(text string) (lab.End, error) {
	re := cmp.Or(s.answer, answered)
	m := re.FindStringSubmatch(text)
	if m == nil {
		return lab.End{Error: s.stable(text)}, nil
	}
	part := func(name string) string {
		if i := re.SubexpIndex(name); i > 0 && m[i] != "-" {
			return clip(m[i])
		}
		return ""
	}
	end := lab.End{Data: part("status") == "200", Group: groupOf(part("group")), Version: versionOf(part("version"))}
	end.Done = end.Data || end.Version != ""
	if !end.Data {
		end.Error = "answered with status " + part("status")
	}
	return end, nil
}

// stable leaves out of a line the time, process and connection numbers.
func (s service) stable(line string) string {
	line = strings.TrimSpace(line)
	if m := s.words.FindStringSubmatch(line); m != nil {
		return clip(m[1])
	}
	return clip(line)
}

// groupOf is the group by its IANA name, or what the program calls it.
func groupOf(s string) string {
	if g, err := wire.LookupGroup(s); err == nil {
		return g.String()
	}
	return s
}

// versionOf is the protocol by crypto/tls's name: programs write "TLSv1.3",
// or the code point.
func versionOf(s string) string {
	if v, err := strconv.ParseUint(s, 10, 16); err == nil {
		return tls.VersionName(uint16(v))
	}
	return strings.Replace(s, "TLSv", "TLS ", 1)
}

// seconds is a time limit in whole seconds, rounded up.
func (r Request) seconds() int { return int((r.timeout() + 999999999) / 1000000000) }
