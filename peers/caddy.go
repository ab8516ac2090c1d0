package peers

import (
	"fmt"
	"regexp"
	"strings"

	"hybridlab/lab/wire"
)

// caddy is a web server on Go's crypto/tls, with a list of groups of its own
// ("curves") between the two: it knows those by name that were there when the
// version was written, whatever its crypto/tls can do.
//
// godebug are settings of crypto/tls. Debian builds Caddy without its go.mod,
// and a program without one gets the settings of Go's oldest days, tlsmlkem=0
// among them: the hybrid is then taken out of every list without a word.
//
// The form of its access log is fixed and has no group in it; a handshake
// that failed is not in it at all.
func caddy(godebug string) service {
	return service{
		argv:    []string{"env", "HOME={dir}", "GODEBUG=" + godebug, "caddy", "run", "--adapter", "caddyfile", "--config", "{dir}/Caddyfile"},
		files:   func(r Request) map[string][]byte { return map[string][]byte{"Caddyfile": caddyfile(r)} },
		limits:  expressGo,
		refused: regexp.MustCompile(`Wrong curve name or curve not supported`),
		from:    `"remote_ip":"%s"`,
		answer:  regexp.MustCompile(`"tls":\{[^}]*"version":(?<version>\d+).*"status":(?<status>\d+)`),
		quiet:   true,
		words:   regexp.MustCompile(`(Wrong curve name or curve not supported: '[^']*')`),
		says:    `echo "Caddy $(caddy version | cut -d' ' -f1), crypto/tls of $(caddy build-info | sed -n 's/^go\t//p')"`,
	}
}

func caddyfile(r Request) []byte {
	curves := ""
	if !r.Offer.Default() {
		curves = "curves"
		for _, g := range r.Offer.Groups() {
			curves += " " + strings.ToLower(g.String())
		}
	}
	return fmt.Appendf(nil, `{
	admin off
	auto_https off
	servers {
		protocols h1 h2
		timeouts {
			read_header %[1]ds
		}
	}
}
https://:%[2]d {
	bind %[3]s
	tls %[4]s %[5]s {
		%[6]s
	}
	log {
		output stdout
	}
	respond "hybridlab"
}
`, r.seconds(), r.Addr.Port(), r.Addr.Addr(), certFile, keyFile, curves)
}

// caddyGroups are those it has names for; the hybrid came with 2.10.
var caddyGroups = []wire.Group{wire.X25519MLKEM768, wire.X25519, wire.SecP256r1, wire.SecP384r1, wire.SecP521r1}

const caddyCure = "set GODEBUG=tlsmlkem=1 in Caddy's environment: Debian's build turns X25519MLKEM768 off, whatever curves says"
