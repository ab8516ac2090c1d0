package peers

import (
	"fmt"

	"hybridlab/peers/agent"
)

// squidPort is Squid's, on loopback.
const squidPort = "127.0.0.1:3128"

// squid is Squid as an explicit proxy, beside the adapter that asks it for the
// server (see connect). more are directives for what it does with TLS, port
// are options of its port.
//
// One process serves all cells of a container, as a proxy does; it is ready
// after 50 to 200 ms.
func squid(port, more string) *agent.Command {
	return &agent.Command{
		Argv: []string{"squid", "-N", "-d", "1", "-f", "{dir}/squid.conf"},
		Files: map[string][]byte{"squid.conf": fmt.Appendf(nil, `http_port %s%s
http_access allow all
cache deny all
cache_mem 1 MB
cache_log /dev/null
access_log none
pid_filename none
pinger_enable off
max_filedescriptors 4096
shutdown_lifetime 0 seconds
forward_max_tries 1
connect_timeout 5 seconds
%s`, squidPort, port, more)},
		Ready: "Accepting",
	}
}

// squidPeek looks at the hello and passes it on, if it is for the server's name.
var squidPeek = squid(" ssl-bump cert=/etc/squid/cert.pem key=/etc/squid/key.pem generate-host-certificates=off", `acl first at_step SslBump1
acl named ssl::server_name `+ServerName+`
ssl_bump peek first
ssl_bump splice named
ssl_bump terminate all
`)

// throughSquid starts the adapter.
func throughSquid(b Between) agent.Command {
	return agent.Command{Argv: []string{Binary, middleboxName, connectName, b.Listen.String(), b.Backend.String(), squidPort}}
}
