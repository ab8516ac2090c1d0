package peers

import (
	"fmt"
	"regexp"
	"strings"

	"hybridlab/peers/config"
)

// nginx answers from a server block of its own, in the versions given; own
// says whether its order of preference counts. A list of groups is
// ssl_ecdh_curve, which goes to OpenSSL as it is, tuples included; without the
// directive OpenSSL's own default stays ("auto").
//
// It runs as one process: a master that forks a worker differs in nothing a
// client can see.
func nginx(versions, own string, library openssl) service {
	reads := config.Nginx
	if library.flat {
		reads = config.Nginx122
	}
	return service{
		argv:    []string{"nginx", "-p", "{dir}", "-c", "{dir}/nginx.conf", "-e", "stderr"},
		files:   func(r Request) map[string][]byte { return map[string][]byte{"nginx.conf": nginxConf(r, versions, own)} },
		reads:   reads,
		limits:  library.express,
		proxy:   func(r Request) map[string][]byte { return map[string][]byte{"nginx.conf": nginxProxy(r, versions)} },
		refused: regexp.MustCompile(`SSL_CTX_set1_curves_list\(|SSL_CONF_cmd\("Groups"`),
		from:    "client: %s,",
		words:   regexp.MustCompile(`\[\w+\] \d+#\d+: (?:\*\d+ )?(.*?)(?:, client: .*|$)`),
		says:    `echo "$(nginx -V 2>&1 | sed -n 's/^nginx version: //p; s/^built with Open/built with Open/p' | paste -sd, | sed 's/,/, /'), $(openssl version)"`,
	}
}

func nginxConf(r Request, versions, own string) []byte {
	settings := []string{"ssl_protocols " + versions, "ssl_prefer_server_ciphers " + own}
	if !r.Offer.Default() {
		settings = append(settings, "ssl_ecdh_curve "+opensslGroups(r.Offer))
	}
	if r.config != nil {
		settings = r.config.At("")
	}
	return fmt.Appendf(nil, `daemon off;
master_process off;
pid nginx.pid;
error_log stderr info;
events { worker_connections 1024; }
http {
  log_format connection 'client: $remote_addr, status: $status, group: $ssl_curve, version: $ssl_protocol';
  access_log /dev/stdout connection;
  server {
    listen %s ssl;
    ssl_certificate %s;
    ssl_certificate_key %s;
    client_header_timeout %ds;
    keepalive_timeout 0;
    %s;
    default_type text/plain;
    return 200 "hybridlab\n";
  }
}
`, r.Addr, certFile, keyFile, r.seconds(), strings.Join(settings, ";\n    "))
}

// nginxProxy passes everything on to the address over TLS. Before 1.23.4 it
// would not offer TLS 1.3 there unless told to. Its own verify depth of 1 is
// one intermediate, and there may be more.
func nginxProxy(r Request, versions string) []byte {
	groups := ""
	if !r.Offer.Default() {
		groups = "proxy_ssl_conf_command Groups " + opensslGroups(r.Offer) + ";"
	}
	return fmt.Appendf(nil, `daemon off;
master_process off;
pid nginx.pid;
error_log stderr info;
events { worker_connections 64; }
http {
  access_log off;
  server {
    listen unix:in.sock;
    location / {
      proxy_pass https://%s;
      proxy_http_version 1.0;
      proxy_set_header Host %[2]s;
      proxy_ssl_protocols %[5]s;
      proxy_ssl_server_name on;
      proxy_ssl_name %[2]s;
      proxy_ssl_verify on;
      proxy_ssl_verify_depth 9;
      proxy_ssl_trusted_certificate %[3]s;
      %[4]s
    }
  }
}
`, r.Addr, r.sni(), caFile, groups, versions)
}
