package config

import (
	"fmt"
	"slices"
	"strings"
)

// OpenSSL reads openssl.cnf: the commands that openssl_conf, ssl_conf and
// system_default lead to, config(5).
func OpenSSL(text string) (Config, error) {
	var c Config
	sections := map[string][]Line{}
	section := "" // the settings before the first are of no section
	for i, line := range strings.Split(text, "\n") {
		if at := strings.IndexByte(line, '#'); at >= 0 {
			line = line[:at]
		}
		line = strings.TrimSpace(line)
		name, closed := strings.CutSuffix(strings.TrimPrefix(line, "["), "]")
		switch {
		case line == "":
		case strings.HasPrefix(line, ".include"):
			c.Left = append(c.Left, Line{Number: i + 1, Text: line})
		case strings.HasPrefix(line, "[") && !closed:
			return c, fmt.Errorf("line %d: the name of the section is not closed by \"]\"", i+1)
		case strings.HasPrefix(line, "["):
			section = strings.TrimSpace(name)
		case !strings.Contains(line, "="):
			return c, fmt.Errorf("line %d: want NAME = VALUE", i+1)
		default:
			key, value, _ := strings.Cut(line, "=")
			sections[section] = append(sections[section], Line{Number: i + 1, Text: strings.TrimSpace(key) + " = " + strings.Trim(strings.TrimSpace(value), `"`)})
		}
	}
	at := ""
	for _, key := range []string{"openssl_conf", "ssl_conf", "system_default"} {
		next, ok := setting(sections[at], key)
		if !ok {
			return c, nil
		}
		at = next
	}
	c.Taken = sections[at]
	c.readOpenSSL()
	return c, nil
}

// setting is the last value of a key.
func setting(ls []Line, key string) (value string, ok bool) {
	for _, l := range ls {
		if k, v, _ := strings.Cut(l.Text, " = "); strings.EqualFold(k, key) {
			value, ok = v, true
		}
	}
	return value, ok
}

func (c *Config) readOpenSSL() {
	for _, key := range []string{"Curves", "Groups"} {
		if list, ok := setting(c.Taken, key); ok {
			c.Groups = list
		}
	}
	oldest, _ := setting(c.Taken, "MinProtocol")
	newest, bounded := setting(c.Taken, "MaxProtocol")
	c.Only = only(oldest != "TLSv1.3", !bounded || newest == "TLSv1.3" || newest == "None")
	options, _ := setting(c.Taken, "Options")
	if c.Order = ClientOrder; slices.Contains(strings.FieldsFunc(options, func(r rune) bool { return r == ',' || r == ' ' }), "ServerPreference") {
		c.Order = ServerOrder
	}
}
