package peers

import (
	"fmt"
	"regexp"

	"hybridlab/peers/agent"
)

// Routers by SNI: they look at the first bytes and pass every byte on.

// haproxyRouter is HAProxy in TCP mode; wait is how it waits for the hello.
func haproxyRouter(wait string) func(Between) agent.Command {
	return func(b Between) agent.Command {
		return agent.Command{
			Argv: []string{"haproxy", "-db", "-f", "{dir}/haproxy.cfg"},
			Files: map[string][]byte{"haproxy.cfg": fmt.Appendf(nil, `global
  log stdout format raw local0
  nbthread 1
defaults
  log global
  mode tcp
  timeout connect 5s
  timeout client 20s
  timeout server 20s
frontend in
  bind %s
  %s
  use_backend named if { req.ssl_sni -i %s }
  default_backend others
backend named
  server s %s
backend others
  server s %s
`, b.Listen, wait, b.SNI, b.Backend, b.Decoy)},
		}
	}
}

// nginxPreread is nginx's stream module.
func nginxPreread(b Between) agent.Command {
	return agent.Command{
		Argv: []string{"nginx", "-p", "{dir}", "-c", "{dir}/nginx.conf", "-e", "stderr"},
		Files: map[string][]byte{"nginx.conf": fmt.Appendf(nil, `load_module /usr/lib/nginx/modules/ngx_stream_module.so;
daemon off;
master_process off;
pid nginx.pid;
error_log stderr info;
events { worker_connections 64; }
stream {
  map $ssl_preread_server_name $to {
    %s %s;
    default %s;
  }
  server {
    listen %s;
    ssl_preread on;
    proxy_connect_timeout 5s;
    proxy_pass $to;
  }
}
`, b.SNI, b.Backend, b.Decoy, b.Listen)},
	}
}

// sniproxyRouter is sniproxy with a table of names and a fallback for those
// that it finds no name in.
func sniproxyRouter(b Between) agent.Command {
	return agent.Command{
		Argv: []string{"sniproxy", "-f", "-c", "{dir}/sniproxy.conf"},
		Files: map[string][]byte{"sniproxy.conf": fmt.Appendf(nil, `user root
pidfile sniproxy.pid
error_log {
  filename /dev/stderr
  priority info
}
listener %s {
  protocol tls
  table hosts
  fallback %s
}
table hosts {
  ^%s$ %s
  .* %[2]s
}
`, b.Listen, b.Decoy, regexp.QuoteMeta(b.SNI), b.Backend)},
	}
}

// sslhRouter is sslh, which tells protocols apart, and names within TLS.
func sslhRouter(b Between) agent.Command {
	return agent.Command{
		Argv: []string{"sslh-select", "-F{dir}/sslh.cfg"},
		Files: map[string][]byte{"sslh.cfg": fmt.Appendf(nil, `foreground: true;
inetd: false;
numeric: true;
transparent: false;
timeout: 5;
user: "root";
pidfile: "/run/sslh.pid";
listen: ( { host: "%s"; port: "%d"; } );
protocols: (
  { name: "tls"; host: "%s"; port: "%d"; sni_hostnames: [ "%s" ]; },
  { name: "anyprot"; host: "%s"; port: "%d"; }
);
on_timeout: "anyprot";
`, b.Listen.Addr(), b.Listen.Port(), b.Backend.Addr(), b.Backend.Port(), b.SNI, b.Decoy.Addr(), b.Decoy.Port())},
	}
}
