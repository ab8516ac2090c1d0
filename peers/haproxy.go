package peers

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"hybridlab/lab"
	"hybridlab/peers/config"
)

// haproxy answers by itself, without a backend; as a client it asks one. A list
// of groups is "curves" on the bind or the server line; without it the default
// of HAProxy's version stays. extra is put on either line. HAProxy 2.6, the one
// with OpenSSL 3.0, has no "curves" for servers and no word for the group.
func haproxy(extra string, library openssl) service {
	old, curve := library.flat, "%[ssl_%s_curve]"
	if old {
		curve = "-"
	}
	return service{
		argv: []string{"haproxy", "-db", "-f", "{dir}/haproxy.cfg"},
		files: func(r Request) map[string][]byte {
			return map[string][]byte{
				"haproxy.cfg": haproxyConf(r, strings.Replace(curve, "%s", "fc", 1), extra),
				"both.pem":    slices.Concat(r.Identity.Cert, r.Identity.Key),
			}
		},
		reads: config.HAProxy,
		limits: func(role lab.Role, o lab.Offer) error {
			if old && role == lab.ClientRole && !o.Default() {
				return unsupported("a server line has no curves before HAProxy 3.0")
			}
			return library.express(role, o)
		},
		proxy: func(r Request) map[string][]byte {
			return map[string][]byte{"haproxy.cfg": haproxyProxy(r, strings.Replace(curve, "%s", "bc", 1), extra)}
		},
		refused: regexp.MustCompile(`unable to set SSL curves list`),
		from:    "client: %s,",
		words:   regexp.MustCompile(`(?:, failed: |\[ALERT\]\s+\(\d+\) : (?:config : )?)(.*?)(?: for (?:bind|server) .*|$)`),
		says:    `echo "$(haproxy -vv | sed -n 's/^HAProxy version \([^ ]*\).*/HAProxy \1/p; s/^Running on .* version : //p' | paste -sd, | sed 's/,/, /')"`,
	}
}

func haproxyConf(r Request, curve, extra string) []byte {
	if !r.Offer.Default() {
		extra += " curves " + opensslGroups(r.Offer)
	}
	global := ""
	if r.config != nil {
		global, extra = strings.Join(r.config.At(config.Global), "\n  "), strings.Join(r.config.At(config.Bind), " ")
	}
	return fmt.Appendf(nil, `global
  log stdout format raw local0
  maxconn 1000
  nbthread 1
  %[5]s
defaults
  log global
  mode http
  timeout client %[1]ds
  timeout http-request %[1]ds
frontend lab
  bind %[2]s ssl crt both.pem %[4]s
  log-format "client: %%ci, status: %%ST, group: %[3]s, version: %%sslv"
  error-log-format "client: %%ci, failed: %%[fc_err_str], %%[ssl_fc_err_str]"
  http-request return status 200 content-type text/plain string "hybridlab\n"
`, r.seconds(), r.Addr, curve, extra, global)
}

// haproxyProxy passes everything on to the address over TLS, once. What it has
// to say of that connection comes back in a header.
func haproxyProxy(r Request, curve, extra string) []byte {
	if !r.Offer.Default() {
		extra += " curves " + opensslGroups(r.Offer)
	}
	return fmt.Appendf(nil, `global
  log stderr format raw local0
  nbthread 1
defaults
  log global
  mode http
  retries 0
  timeout connect %[1]ds
  timeout client %[1]ds
  timeout server %[1]ds
frontend lab
  bind unix@in.sock
  log-format "client: -, failed: %%[bc_err_str], %%[ssl_bc_err_str]"
  http-after-response set-header hybridlab "client: -, status: %%[status], group: %[3]s, version: %%[ssl_bc_protocol]"
  default_backend peer
backend peer
  server peer %[2]s ssl verify required ca-file %[4]s sni str(%[5]s) verifyhost %[5]s %[6]s
`, r.seconds(), r.Addr, curve, caFile, r.sni(), extra)
}
