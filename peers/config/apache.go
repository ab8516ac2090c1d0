package config

import (
	"slices"
	"strings"
)

// apacheTaken are the directives of mod_ssl that change a handshake and name no
// file, in lower case: Apache's names have no case.
var apacheTaken = []string{"sslprotocol", "sslciphersuite", "sslhonorcipherorder", "sslopensslconfcmd", "sslsessiontickets", "sslcompression"}

// Apache reads Apache's configuration: what stands outside virtual hosts, and
// what one says that speaks TLS.
func Apache(text string) (Config, error) {
	var c Config
	var hosts []block
	host := 0 // line of the open virtual host
	for i, line := range strings.Split(text, "\n") {
		ws, err := words(line, i+1)
		if err != nil {
			return c, err
		}
		if len(ws) == 0 {
			continue
		}
		l := Line{Number: i + 1, Text: join(ws)}
		switch name := strings.ToLower(ws[0].text); {
		case name == "<virtualhost":
			host = i + 1
		case name == "</virtualhost>":
			host = 0
		case name == "include" || name == "includeoptional":
			c.Left = append(c.Left, l)
		case !strings.HasPrefix(name, "ssl") || name == "sslengine" || strings.HasPrefix(name, "sslproxy"):
		case !slices.Contains(apacheTaken, name):
			c.Left = append(c.Left, l)
		case host == 0:
			c.Taken = append(c.Taken, l)
		case len(hosts) > 0 && hosts[len(hosts)-1].line == host:
			hosts[len(hosts)-1].taken = append(hosts[len(hosts)-1].taken, l)
		default:
			hosts = append(hosts, block{host, []Line{l}})
		}
	}
	own, err := sole("virtual host", hosts)
	if err != nil {
		return c, err
	}
	c.Taken = append(c.Taken, own...) // a host's stand after the server's and win
	c.readApache()
	return c, nil
}

func (c *Config) readApache() {
	c.Order = ClientOrder
	for _, l := range c.Taken {
		f := strings.Fields(l.Text)
		switch strings.ToLower(f[0]) {
		case "sslprotocol":
			c.Only = apacheOnly(f[1:])
		case "sslhonorcipherorder":
			if c.Order = ClientOrder; len(f) == 2 && strings.EqualFold(f[1], "on") {
				c.Order = ServerOrder
			}
		case "sslopensslconfcmd":
			if len(f) == 3 && (strings.EqualFold(f[1], "Groups") || strings.EqualFold(f[1], "Curves")) {
				c.Groups = f[2]
			}
		}
	}
}

// apacheOnly is the one version that SSLProtocol leaves: a bare name starts the
// list anew, "+" and "-" change it.
func apacheOnly(list []string) Version {
	tls12, tls13 := false, false
	for _, name := range list {
		on := !strings.HasPrefix(name, "-")
		if strings.Trim(name, "+-") == name {
			tls12, tls13 = false, false
		}
		switch strings.ToLower(strings.TrimLeft(name, "+-")) {
		case "all":
			tls12, tls13 = on, on
		case "tlsv1.2":
			tls12 = on
		case "tlsv1.3":
			tls13 = on
		}
	}
	return only(tls12, tls13)
}
