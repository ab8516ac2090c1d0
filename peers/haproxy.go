package peers

import (
	"fmt"
	"regexp"
	"slices"
)

// haproxy answers by itself, without a backend. A list of groups is "curves"
// on the bind line; without it the default of HAProxy's version stays. curve
// is the log format's way to ask for the negotiated group; empty: the version
// has none.
func haproxy(curve, extra string, library openssl) service {
	if curve == "" {
		curve = "-"
	}
	return service{
		argv: []string{"haproxy", "-db", "-f", "{dir}/haproxy.cfg"},
		files: func(r Request) map[string][]byte {
			return map[string][]byte{
				"haproxy.cfg": haproxyConf(r, curve, extra),
				"both.pem":    slices.Concat(r.Identity.Cert, r.Identity.Key),
			}
		},
		limits:  library.express,
		refused: regexp.MustCompile(`unable to set SSL curves list`),
		from:    "client: %s,",
		words:   regexp.MustCompile(`(?:, failed: |\[ALERT\]\s+\(\d+\) : (?:config : )?)(.*?)(?: for bind .*|$)`),
		says:    `echo "$(haproxy -vv | sed -n 's/^HAProxy version \([^ ]*\).*/HAProxy \1/p; s/^Running on .* version : //p' | paste -sd, | sed 's/,/, /')"`,
	}
}

func haproxyConf(r Request, curve, extra string) []byte {
	if !r.Offer.Default() {
		extra += " curves " + opensslGroups(r.Offer)
	}
	return fmt.Appendf(nil, `global
  log stdout format raw local0
  maxconn 1000
  nbthread 1
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
`, r.seconds(), r.Addr, curve, extra)
}
