package config

import (
	"fmt"
	"slices"
	"strings"
)

// nginxTaken are the directives of ngx_http_ssl_module that change a handshake
// and name no file.
var nginxTaken = []string{"ssl_protocols", "ssl_ciphers", "ssl_ecdh_curve", "ssl_prefer_server_ciphers", "ssl_conf_command",
	"ssl_session_tickets", "ssl_buffer_size", "ssl_early_data"}

// Nginx reads nginx.conf: what the http block says, and above it what its
// server says that speaks TLS.
func Nginx(text string) (Config, error) {
	ds, err := nginxDirectives(text)
	if err != nil {
		return Config{}, err
	}
	var c Config
	var all []Line // of http
	servers := map[int]*block{}
	var order []int
	for _, d := range ds {
		l := Line{Number: d.line, Text: join(d.words)}
		name := d.words[0].text
		switch {
		case name == "include":
			c.Left = append(c.Left, l)
		case !strings.HasPrefix(name, "ssl_"):
		case !slices.Contains(nginxTaken, name):
			c.Left = append(c.Left, l)
		case d.server > 0 && d.deep:
			c.Left = append(c.Left, l) // of a location: nginx would refuse it
		case d.server > 0:
			if servers[d.server] == nil {
				servers[d.server] = &block{line: d.server}
				order = append(order, d.server)
			}
			servers[d.server].taken = append(servers[d.server].taken, l)
		default:
			all = append(all, l)
		}
	}
	var blocks []block
	for _, at := range order {
		blocks = append(blocks, *servers[at])
	}
	own, err := sole("server", blocks)
	if err != nil {
		return c, err
	}
	for _, l := range all { // a server's directive hides that of http
		if name, _, _ := strings.Cut(l.Text, " "); !slices.ContainsFunc(own, func(o Line) bool { return strings.HasPrefix(o.Text, name+" ") }) {
			c.Taken = append(c.Taken, l)
		}
	}
	c.Taken = byLine(append(c.Taken, own...))
	c.readNginx()
	return c, nil
}

func (c *Config) readNginx() {
	if list, ok := last(c.Taken, "ssl_ecdh_curve"); ok && list != "auto" {
		c.Groups = list
	}
	if list := command(c.Taken, "ssl_conf_command", "Groups", "Curves"); list != "" {
		c.Groups = list
	}
	if list, ok := last(c.Taken, "ssl_protocols"); ok {
		fields := strings.Fields(list)
		c.Only = only(slices.Contains(fields, "TLSv1.2"), slices.Contains(fields, "TLSv1.3"))
	}
	switch value, _ := last(c.Taken, "ssl_prefer_server_ciphers"); value {
	case "on":
		c.Order = ServerOrder
	default:
		c.Order = ClientOrder // nginx's default
	}
}

// nginxDirective is one, outside a block of another kind than http and server.
type nginxDirective struct {
	words  []word
	line   int
	server int  // line of its server block; 0: it is in none
	deep   bool // in a block of that server
}

// nginxDirectives splits a file at semicolons and braces.
func nginxDirectives(text string) ([]nginxDirective, error) {
	ws, err := nginxWords(text)
	if err != nil {
		return nil, err
	}
	var out []nginxDirective
	var stack, now []word // open blocks; the directive so far
	for _, w := range ws {
		switch w.text {
		case "{":
			if len(now) == 0 {
				return nil, fmt.Errorf("line %d: a block without a name", w.line)
			}
			stack, now = append(stack, now[0]), nil
		case "}":
			if len(stack) == 0 || len(now) > 0 {
				return nil, fmt.Errorf("line %d: unexpected \"}\"", w.line)
			}
			stack = stack[:len(stack)-1]
		case ";":
			if d, ok := nginxPlaced(stack, now); ok {
				out = append(out, d)
			}
			now = nil
		default:
			now = append(now, word{strings.TrimPrefix(w.text, "\x00"), w.line})
		}
	}
	if len(now) > 0 {
		return nil, fmt.Errorf("line %d: %q is not ended by \";\"", now[0].line, now[0].text)
	}
	if len(stack) > 0 {
		return nil, fmt.Errorf("line %d: the block %q is not closed", stack[0].line, stack[0].text)
	}
	return out, nil
}

// nginxPlaced says where a directive stands; false: nowhere that concerns
// HTTP over TLS.
func nginxPlaced(stack, now []word) (nginxDirective, bool) {
	if len(now) == 0 {
		return nginxDirective{}, false
	}
	d := nginxDirective{words: now, line: now[0].line}
	for _, b := range stack {
		switch {
		case b.text == "http" && d.server == 0:
		case b.text == "server" && d.server == 0:
			d.server = b.line
		case d.server > 0:
			d.deep = true
		default: // stream, mail, upstream and whatever there is
			return d, false
		}
	}
	return d, true
}

// nginxWords splits a file into words, braces and semicolons among them. A
// quoted word that looks like one of those is marked by a zero byte, which no
// file has.
func nginxWords(text string) ([]word, error) {
	var out []word
	for i, line := range strings.Split(text, "\n") {
		n := i + 1
		for line != "" {
			at := strings.IndexAny(line, `;{}#"'`)
			if at < 0 {
				at = len(line)
			}
			for _, f := range strings.Fields(line[:at]) {
				out = append(out, word{f, n})
			}
			if at == len(line) {
				break
			}
			switch mark := line[at]; mark {
			case '#':
				if at == 0 || strings.ContainsRune(" \t;{}", rune(line[at-1])) {
					line = ""
					continue
				}
				return nil, fmt.Errorf("line %d: \"#\" inside a word", n)
			case '"', '\'':
				end := strings.IndexByte(line[at+1:], mark)
				if end < 0 {
					return nil, fmt.Errorf("line %d: the quote %c is not closed on its line", n, mark)
				}
				out = append(out, word{"\x00" + line[at+1:at+1+end], n})
				line = line[at+end+2:]
			default:
				out = append(out, word{string(mark), n})
				line = line[at+1:]
			}
		}
	}
	return out, nil
}

// Nginx122 is Nginx of a version before 1.23.4, which does not speak TLS 1.3
// unless told to.
func Nginx122(text string) (Config, error) {
	c, err := Nginx(text)
	if _, told := last(c.Taken, "ssl_protocols"); !told {
		c.Only = TLS12
	}
	return c, err
}
