package config

import (
	"cmp"
	"slices"
	"strings"
)

// Places of HAProxy's settings.
const (
	Global = "global"
	Bind   = "bind"
)

// haproxyGlobal are the settings of the global section that change a handshake
// and name no file; haproxyValues and haproxyFlags those of a bind line, with
// and without a value; haproxyFiles those that are left out with their value.
var (
	haproxyGlobal = []string{"ssl-default-bind-curves", "ssl-default-bind-ciphers", "ssl-default-bind-ciphersuites", "ssl-default-bind-options",
		"ssl-default-bind-sigalgs", "ssl-security-level", "tune.ssl.default-dh-param", "tune.ssl.maxrecord", "tune.ssl.capture-buffer-size", "tune.bufsize"}
	haproxyValues = []string{"curves", "ecdhe", "ciphers", "ciphersuites", "sigalgs", "alpn", "ssl-min-ver", "ssl-max-ver"}
	haproxyFlags  = []string{"no-sslv3", "no-tlsv10", "no-tlsv11", "no-tlsv12", "no-tlsv13", "force-tlsv10", "force-tlsv11", "force-tlsv12", "force-tlsv13",
		"no-tls-tickets", "prefer-client-ciphers", "allow-0rtt"}
	haproxyFiles = []string{"crt", "crt-list", "ca-file", "ca-verify-file", "crl-file", "verify", "tls-ticket-keys", "ca-sign-file", "client-sigalgs"}
)

// HAProxy reads haproxy.cfg: the global section, and the bind line that speaks
// TLS.
func HAProxy(text string) (Config, error) {
	var c Config
	var binds []block
	section := ""
	for i, line := range strings.Split(text, "\n") {
		ws, err := words(line, i+1)
		if err != nil {
			return c, err
		}
		if len(ws) == 0 {
			continue
		}
		if !strings.HasPrefix(line, " ") && !strings.HasPrefix(line, "\t") {
			section = cmp.Or(haproxySection(ws[0].text), section)
		}
		switch l := (Line{i + 1, section, join(ws)}); {
		case section == Global && slices.Contains(haproxyGlobal, ws[0].text):
			c.Taken = append(c.Taken, l)
		case section == Global && (strings.HasPrefix(ws[0].text, "ssl-") || strings.HasPrefix(ws[0].text, "tune.ssl.")):
			c.Left = append(c.Left, l)
		case ws[0].text == "bind" && slices.ContainsFunc(ws, func(w word) bool { return w.text == "ssl" }):
			taken, left := haproxyBind(ws)
			binds = append(binds, block{i + 1, taken})
			c.Left = append(c.Left, left...)
		}
	}
	own, err := sole("bind line", binds)
	if err != nil {
		return c, err
	}
	c.Taken = byLine(append(c.Taken, own...))
	c.readHAProxy()
	return c, nil
}

// haproxySection is the keyword, if it begins a section.
func haproxySection(keyword string) string {
	if slices.Contains([]string{"global", "defaults", "frontend", "listen", "backend", "peers", "resolvers", "userlist", "cache", "program", "ring",
		"mailers", "http-errors", "log-forward", "crt-store", "fcgi-app"}, keyword) {
		return keyword
	}
	return ""
}

func haproxyBind(ws []word) (taken, left []Line) {
	for i := 1; i < len(ws); i++ {
		name, value := ws[i].text, ""
		if i+1 < len(ws) {
			value = " " + ws[i+1].text
		}
		switch {
		case slices.Contains(haproxyFlags, name):
			taken = append(taken, Line{ws[i].line, Bind, name})
		case slices.Contains(haproxyValues, name):
			taken = append(taken, Line{ws[i].line, Bind, name + value})
			i++
		case slices.Contains(haproxyFiles, name):
			left = append(left, Line{ws[i].line, Bind, name + value})
			i++
		}
	}
	return taken, left
}

func (c *Config) readHAProxy() {
	list, _ := last(c.Taken, "ssl-default-bind-curves")
	own, _ := last(c.Taken, "curves")
	c.Groups = cmp.Or(own, list)
	set, _ := last(c.Taken, "ssl-default-bind-options")
	all := strings.Fields(set)
	for _, l := range c.Taken {
		if l.Where == Bind {
			all = append(all, strings.Fields(l.Text)...)
		}
	}
	c.Only = haproxyOnly(all)
	if c.Order = ServerOrder; slices.Contains(all, "prefer-client-ciphers") {
		c.Order = ClientOrder
	}
}

// haproxyOnly is the one version that options leave, a bind line's after the
// defaults.
func haproxyOnly(options []string) Version {
	tls12, tls13 := true, true
	for i, o := range options {
		value := ""
		if i+1 < len(options) {
			value = options[i+1]
		}
		switch o {
		case "no-tlsv12":
			tls12 = false
		case "no-tlsv13":
			tls13 = false
		case "force-tlsv12":
			tls12, tls13 = true, false
		case "force-tlsv13":
			tls12, tls13 = false, true
		case "ssl-min-ver":
			tls12 = value != "TLSv1.3"
		case "ssl-max-ver":
			tls13 = value == "TLSv1.3"
		}
	}
	return only(tls12, tls13)
}
