package peers

import (
	"slices"
	"strings"
)

// middleboxes has one entry per program, way of use and version, sorted by id.
var middleboxes = inSuites([]middleboxRow{
	{Middlebox{
		ID: "apache-reencrypt", Folder: "apache",
		About:   "Apache ends TLS and speaks TLS to the server (SSLProxyEngine), verifying it",
		EndsTLS: true,
		Others:  OthersRefused, // it asks the server for the client's name
		command: apacheReencrypt,
		says:    apache().version().Argv,
	}, "forky trixie"},
	{Middlebox{
		ID: "caddy-reencrypt", Folder: "caddy",
		About:   "Caddy ends TLS and speaks TLS to the server (reverse_proxy), verifying it",
		EndsTLS: true,
		Fix:     "Caddy 2.10 or newer, and caddy-reencrypt-mlkem's setting where Debian has built it",
		command: caddyReencrypt(""),
		says:    caddy("").version().Argv,
	}, "forky trixie"},
	{Middlebox{
		ID: "caddy-reencrypt-mlkem", Folder: "caddy",
		About:   "Caddy ends TLS and speaks TLS to the server (reverse_proxy), with GODEBUG=tlsmlkem=1",
		EndsTLS: true,
		command: caddyReencrypt("tlsmlkem=1"),
		says:    caddy("").version().Argv,
	}, "forky"},
	{Middlebox{
		ID: "go-sni-router", Folder: "go",
		About:   "a small router of ours reads once, and routes by the SNI in what that gave",
		Fix:     "read on until the ClientHello is complete",
		Others:  OthersDecoyed,
		command: goSNIRouter,
		says:    []string{Binary, middleboxName, "version"},
	}, "trixie"},
	{Middlebox{
		ID: "haproxy-reencrypt", Folder: "haproxy",
		About:   "HAProxy in HTTP mode ends TLS and speaks TLS to the server, verifying it",
		Fix:     fixOldOpenSSL,
		EndsTLS: true,
		command: haproxyReencrypt,
		says:    haproxy("", openssl{}).version().Argv,
	}, "bookworm forky trixie"},
	{Middlebox{
		ID: "haproxy-sni", Folder: "haproxy",
		About:   "HAProxy in TCP mode routes by SNI once a whole hello is there",
		Others:  OthersDecoyed,
		command: haproxyRouter("tcp-request inspect-delay 5s\n  tcp-request content accept if { req.ssl_hello_type 1 }"),
		says:    sh("haproxy -v | head -n 1"),
	}, "bookworm forky trixie"},
	{Middlebox{
		ID: "haproxy-sni-norule", Folder: "haproxy",
		About:   "HAProxy in TCP mode routes by SNI without a rule that waits for the hello",
		Fix:     "add to the frontend: tcp-request content accept if { req.ssl_hello_type 1 }",
		Others:  OthersDecoyed,
		command: haproxyRouter("tcp-request inspect-delay 5s"),
		says:    sh("haproxy -v | head -n 1"),
	}, "bookworm forky trixie"},
	{Middlebox{
		ID: "mitmproxy-reencrypt", Folder: "mitmproxy",
		About:   "mitmproxy ends TLS and speaks TLS to the server (reverse mode), verifying it",
		Fix:     fixOldOpenSSL,
		EndsTLS: true,
		command: mitmproxyReencrypt,
		says:    sh("mitmdump --version"),
	}, "bookworm forky"},
	{Middlebox{
		ID: "nginx-preread", Folder: "nginx",
		About:   "nginx's stream module routes by the SNI that ssl_preread finds",
		Others:  OthersDecoyed,
		command: nginxPreread,
		says:    sh("nginx -v 2>&1"),
	}, "bookworm forky trixie"},
	{Middlebox{
		ID: "nginx-reencrypt", Folder: "nginx",
		About:   "nginx ends TLS and speaks TLS to the server (proxy_pass https), verifying it",
		Fix:     fixOldOpenSSL,
		EndsTLS: true,
		command: nginxReencrypt,
		says:    nginx("", "", openssl{}).version().Argv,
	}, "bookworm forky trixie"},
	{Middlebox{
		ID: "sniproxy", Folder: "sniproxy",
		About:   "sniproxy routes by a table of names",
		Fix:     "none known: keep the hello in one record, it does not put records together",
		Others:  OthersDecoyed,
		command: sniproxyRouter,
		says:    sh("dpkg-query -W sniproxy"),
	}, "bookworm forky trixie"},
	{Middlebox{
		ID: "squid-connect", Folder: "squid",
		About:   "Squid is asked to CONNECT, and tunnels",
		command: throughSquid,
		beside:  squid("", ""),
		says:    sh("squid -v | head -n 1"),
	}, "bookworm forky trixie"},
	{Middlebox{
		ID: "squid-peek", Folder: "squid",
		About:   "Squid is asked to CONNECT, peeks at the SNI (ssl_bump) and splices the server's, terminates others",
		Others:  OthersRefused,
		command: throughSquid,
		beside:  squidPeek,
		says:    sh("squid -v | head -n 1"),
	}, "bookworm forky trixie"},
	{Middlebox{
		ID: "sslh", Folder: "sslh",
		About:   "sslh routes TLS with the server's name to it, and anything else elsewhere",
		Fix:     "none known: keep the hello in one record, it does not put records together",
		Others:  OthersDecoyed,
		command: sslhRouter,
		says:    sh("dpkg-query -W sslh"),
	}, "bookworm forky trixie"},
	{Middlebox{
		ID: "stunnel-reencrypt", Folder: "stunnel",
		About:   "stunnel ends TLS, and a client service behind it speaks TLS to the server, verifying it",
		Fix:     "stunnel 5.82, or curves = X25519MLKEM768:X25519 in both services: before, it has a list of its own without the hybrid",
		EndsTLS: true,
		command: stunnelReencrypt,
		says:    sh(`stunnel -version 2>&1 | sed -n 's/.*\(stunnel [0-9.]*\) on .*/\1/p; s/.*unning *with \(OpenSSL [0-9.]*\).*/\1/p' | paste -sd, | sed 's/,/, /'`),
	}, "forky trixie"},
	{Middlebox{
		ID: "suricata-sni", Folder: "suricata",
		About:  "Suricata lets TLS pass with the server's name, and drops every other ClientHello (ssl_state:client_hello)",
		Fix:    "Suricata 7 or newer: 6 drops a ClientHello that is not in one segment and one record",
		Others: OthersRefused,
		Inline: true,
		beside: suricata("ssl_state:client_hello; "),
		says:   suricataSays,
	}, "bullseye forky trixie"},
	{Middlebox{
		ID: "suricata-sni-droptls", Folder: "suricata",
		About:  "Suricata lets TLS pass with the server's name, and drops all other TLS (drop tls)",
		Fix:    "ssl_state:client_hello in the rule that drops: without, it drops what is not a whole ClientHello yet",
		Others: OthersRefused,
		Inline: true,
		beside: suricata(""),
		says:   suricataSays,
	}, "bullseye forky trixie"},
})

var suricataSays = sh("suricata -V")

const fixOldOpenSSL = "OpenSSL 3.5 or newer: Debian 12's 3.0 has no hybrid for either leg"

// middleboxRow is one program in one way of use, in the Debian suites whose
// versions are of interest.
type middleboxRow struct {
	Middlebox
	suites string
}

// inSuites are the rows, once for every suite.
func inSuites(rows []middleboxRow) (all []Middlebox) {
	for _, r := range rows {
		for suite := range strings.FieldsSeq(r.suites) {
			m := r.Middlebox
			m.ID, m.Suite = m.ID+"@"+suite, suite
			all = append(all, m)
		}
	}
	slices.SortFunc(all, func(a, b Middlebox) int { return strings.Compare(a.ID, b.ID) })
	return all
}

func sh(script string) []string { return []string{"sh", "-c", script} }
