package peers

import (
	"fmt"
	"slices"
	"time"

	"hybridlab/peers/agent"
)

// Proxies that answer the client's handshake themselves and make another with
// the server. Neither leg is told its groups: both have what the program and
// its library do by default, which is what most administrators have.

// identityFiles are what such a proxy needs on disk beside its configuration.
func (b Between) identityFiles() map[string][]byte {
	return map[string][]byte{certFile: b.Identity.Cert, keyFile: b.Identity.Key, caFile: b.CA}
}

// nginxReencrypt is told of TLS 1.3, because before 1.23.4 it would not offer
// that to the server by itself: with hybrid servers, which have nothing else,
// the administrator had to.
func nginxReencrypt(b Between) agent.Command {
	files := b.identityFiles()
	files["nginx.conf"] = fmt.Appendf(nil, `daemon off;
master_process off;
pid nginx.pid;
error_log stderr info;
events { worker_connections 64; }
http {
  access_log off;
  server {
    listen %s ssl;
    ssl_protocols TLSv1.2 TLSv1.3;
    ssl_certificate %s;
    ssl_certificate_key %s;
    location / {
      proxy_pass https://%s;
      proxy_set_header Host $host;
      proxy_ssl_protocols TLSv1.2 TLSv1.3;
      proxy_ssl_server_name on;
      proxy_ssl_name %s;
      proxy_ssl_verify on;
      proxy_ssl_verify_depth 9;
      proxy_ssl_trusted_certificate %s;
    }
  }
}
`, b.Listen, certFile, keyFile, b.Backend, b.SNI, caFile)
	return agent.Command{Argv: []string{"nginx", "-p", "{dir}", "-c", "{dir}/nginx.conf", "-e", "stderr"}, Files: files}
}

func haproxyReencrypt(b Between) agent.Command {
	files := b.identityFiles()
	files["both.pem"] = slices.Concat(b.Identity.Cert, b.Identity.Key)
	files["haproxy.cfg"] = fmt.Appendf(nil, `global
  log stdout format raw local0
  nbthread 1
defaults
  log global
  mode http
  option httplog
  timeout connect 5s
  timeout client 20s
  timeout server 20s
frontend in
  bind %s ssl crt both.pem
  default_backend server
backend server
  server s %s ssl verify required ca-file %s sni str(%s)
`, b.Listen, b.Backend, caFile, b.SNI)
	return agent.Command{Argv: []string{"haproxy", "-db", "-f", "{dir}/haproxy.cfg"}, Files: files}
}

// apacheReencrypt asks the server for the name that the client asked for, and
// verifies that: mod_ssl has no setting for another.
func apacheReencrypt(b Between) agent.Command {
	files := b.identityFiles()
	files["apache.conf"] = fmt.Appendf(nil, `Listen %[1]s
ServerName %[2]s
LoadModule mpm_event_module /usr/lib/apache2/modules/mod_mpm_event.so
LoadModule authz_core_module /usr/lib/apache2/modules/mod_authz_core.so
LoadModule ssl_module /usr/lib/apache2/modules/mod_ssl.so
LoadModule proxy_module /usr/lib/apache2/modules/mod_proxy.so
LoadModule proxy_http_module /usr/lib/apache2/modules/mod_proxy_http.so
ServerLimit 1
StartServers 1
ThreadsPerChild 8
MaxRequestWorkers 8
MinSpareThreads 1
MaxSpareThreads 8
User www-data
Group www-data
PidFile apache.pid
Mutex posixsem
ErrorLog /dev/stderr
LogLevel warn
<VirtualHost %[1]s>
SSLEngine on
SSLCertificateFile %[3]s
SSLCertificateKeyFile %[4]s
SSLProxyEngine on
SSLProxyVerify require
SSLProxyVerifyDepth 9
SSLProxyCACertificateFile %[5]s
ProxyPreserveHost on
ProxyPass / https://%[6]s/
</VirtualHost>
`, b.Listen, b.SNI, certFile, keyFile, caFile, b.Backend)
	return agent.Command{
		Argv: []string{"apache2", "-D", "FOREGROUND", "-d", "{dir}", "-f", "{dir}/apache.conf"}, Files: files,
		Ready: "resuming normal operations", // it listens before it is told all
	}
}

// caddyReencrypt is Caddy with these settings of Go's, see caddy. It is told
// whom it trusts in words that Caddy 2.6 has as well. It takes 50 ms of CPU to
// be ready, twice what the others do.
func caddyReencrypt(godebug string) func(Between) agent.Command {
	return func(b Between) agent.Command {
		files := b.identityFiles()
		files["Caddyfile"] = fmt.Appendf(nil, `{
	admin off
	auto_https off
}
https://:%d {
	bind %s
	tls %s %s
	reverse_proxy https://%s {
		transport http {
			tls_server_name %s
			tls_trusted_ca_certs %s
		}
	}
}
`, b.Listen.Port(), b.Listen.Addr(), certFile, keyFile, b.Backend, b.SNI, caFile)
		return agent.Command{
			Argv:  []string{"env", "HOME={dir}", "GODEBUG=" + godebug, "caddy", "run", "--adapter", "caddyfile", "--config", "{dir}/Caddyfile"},
			Files: files,
		}
	}
}

// stunnelReencrypt is two services, one after the other: the port that the one
// has for clients, the other has on loopback. It wants IPv6 without brackets.
func stunnelReencrypt(b Between) agent.Command {
	files := b.identityFiles()
	files["stunnel.conf"] = fmt.Appendf(nil, `foreground = yes
syslog = no
debug = notice
[in]
accept = %s:%d
cert = %[3]s
key = %[4]s
connect = 127.0.0.1:%[2]d
[out]
client = yes
accept = 127.0.0.1:%[2]d
connect = %[5]s:%[6]d
sni = %[7]s
CAfile = %[8]s
verifyChain = yes
checkHost = %[7]s
`, b.Listen.Addr(), b.Listen.Port(), certFile, keyFile, b.Backend.Addr(), b.Backend.Port(), b.SNI, caFile)
	return agent.Command{Argv: []string{"stunnel", "{dir}/stunnel.conf"}, Files: files}
}

// mitmproxyReencrypt is mitmproxy in reverse mode, where it has no setting for
// the server's name. It is slow to be ready: up to two seconds, one of CPU, for
// every cell.
func mitmproxyReencrypt(b Between) agent.Command {
	files := b.identityFiles()
	files["both.pem"] = slices.Concat(b.Identity.Cert, b.Identity.Key)
	files["name.py"] = fmt.Appendf(nil, "def server_connect(data):\n    data.server.sni = %q\n", b.SNI)
	return agent.Command{Argv: []string{"mitmdump",
		"--mode", "reverse:https://" + b.Backend.String(),
		"--listen-host", b.Listen.Addr().String(), "--listen-port", fmt.Sprint(b.Listen.Port()),
		"--certs", "*={dir}/both.pem",
		"--set", "confdir={dir}",
		"--set", "ssl_verify_upstream_trusted_ca={dir}/" + caFile,
		"--scripts", "{dir}/name.py",
	}, Files: files, ReadyIn: 30 * time.Second}
}
