package peers

import (
	"fmt"
	"regexp"
	"strings"

	"hybridlab/peers/config"
)

// apache is the HTTP server with mod_ssl and its event workers. A list of
// groups goes to OpenSSL's configuration commands as it is, tuples included;
// without it OpenSSL's own default stays.
//
// mod_ssl has no variable for the group, so it claims none; and it logs a
// handshake that failed in the same form as every connection it accepts, so
// here it tells of answered requests only.
func apache() service {
	return service{
		argv:    []string{"apache2", "-D", "FOREGROUND", "-d", "{dir}", "-f", "{dir}/apache.conf"},
		files:   func(r Request) map[string][]byte { return map[string][]byte{"apache.conf": apacheConf(r)} },
		reads:   config.Apache,
		limits:  openssl{}.express,
		ready:   "resuming normal operations", // it listens before it has read its group list
		refused: regexp.MustCompile(`SSLOpenSSLConfCmd Groups`),
		from:    "client: %s,",
		quiet:   true,
		words:   regexp.MustCompile(`AH\d+: (.*?)(?: for \S+:\d+)?$`),
		says:    `echo "$(apache2 -v | sed -n 's/^Server version: //p'), $(openssl version)"`,
	}
}

func apacheConf(r Request) []byte {
	settings := []string{"SSLProtocol all -SSLv3 -TLSv1 -TLSv1.1", "SSLSessionTickets off"}
	if !r.Offer.Default() {
		settings = append(settings, "SSLOpenSSLConfCmd Groups "+opensslGroups(r.Offer))
	}
	if r.config != nil {
		settings = r.config.At("")
	}
	return fmt.Appendf(nil, `Listen %[1]s
ServerName %[2]s
LoadModule mpm_event_module /usr/lib/apache2/modules/mod_mpm_event.so
LoadModule authz_core_module /usr/lib/apache2/modules/mod_authz_core.so
LoadModule alias_module /usr/lib/apache2/modules/mod_alias.so
LoadModule reqtimeout_module /usr/lib/apache2/modules/mod_reqtimeout.so
LoadModule ssl_module /usr/lib/apache2/modules/mod_ssl.so
ServerLimit 1
StartServers 1
ThreadsPerChild 32
MaxRequestWorkers 32
MinSpareThreads 1
MaxSpareThreads 32
User www-data
Group www-data
PidFile apache.pid
Mutex posixsem
KeepAlive off
RequestReadTimeout handshake=%[3]d header=%[3]d
ErrorLog /dev/stderr
LogLevel warn
LogFormat "client: %%a, status: %%>s, group: -, version: %%{SSL_PROTOCOL}x" connection
CustomLog /dev/stdout connection
<VirtualHost %[1]s>
SSLEngine on
SSLCertificateFile %[4]s
SSLCertificateKeyFile %[5]s
%[6]s
Redirect 200 /
ErrorDocument 200 "hybridlab"
</VirtualHost>
`, r.Addr, ServerName, r.seconds(), certFile, keyFile, strings.Join(settings, "\n"))
}
