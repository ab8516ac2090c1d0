package peers

import (
	"crypto/tls"

	"hybridlab/lab"
	"hybridlab/lab/wire"
	"hybridlab/peers/crafted"
)

var (
	bothRoles  = []lab.Role{lab.ClientRole, lab.ServerRole}
	clientOnly = []lab.Role{lab.ClientRole}
	serverOnly = []lab.Role{lab.ServerRole}
)

// table has one row per peer, sorted by id. Every rule in it was seen on the
// wire of that version (testdata/*.rules, which a test holds against
// lab.Predict), not taken from documentation.
var table = withProfiles([]Peer{
	{
		ID: "apache@trixie", Folder: "apache", Suite: "trixie", Roles: serverOnly,
		Groups: openssl35Groups,
		Rules:  openssl35("SSLOpenSSLConfCmd Groups X25519MLKEM768/X25519"),
		driver: apache(),
	},
	{
		ID: "boringssl-tls12@trixie", Folder: "boringssl", Suite: "trixie", Roles: bothRoles,
		Groups: boringGroups,
		Rules:  tls12(boringRules()),
		driver: boringssl{tls12: true},
	},
	{
		ID: "boringssl@trixie", Folder: "boringssl", Suite: "trixie", Roles: bothRoles,
		Groups: boringGroups,
		Rules:  boringRules(),
		driver: boringssl{},
	},
	{
		ID: "caddy-mlkem@forky", Folder: "caddy", Suite: "forky", Roles: serverOnly,
		Groups: caddyGroups,
		Rules:  goRules("*x25519mlkem768+*x25519+secp256r1"),
		driver: caddy("tlsmlkem=1"),
	},
	{
		ID: "caddy@forky", Folder: "caddy", Suite: "forky", Roles: serverOnly,
		Groups: caddyGroups,
		Rules:  muted(goRules("*x25519mlkem768+*x25519+secp256r1"), caddyCure, caddyGroups[0]),
		driver: caddy(""),
	},
	{
		ID: "caddy@trixie", Folder: "caddy", Suite: "trixie", Roles: serverOnly,
		Groups: caddyGroups[1:],
		Rules:  goRules("*x25519+secp256r1"),
		driver: caddy(""),
	},
	{
		ID: "chromium-cnsa@trixie", Folder: "chromium", Suite: "trixie", Roles: clientOnly,
		Groups: append([]wire.Group{wire.MLKEM1024}, chromiumGroups...),
		Rules:  chromiumRules("mlkem1024+*x25519mlkem768+secp384r1+secp256r1+*x25519"),
		driver: browserPeer("chromium-cnsa@trixie", chromiumFixed, "chromium", "--enable-features=CryptographyComplianceCnsa"),
	},
	{
		ID: "chromium-tls12@trixie", Folder: "chromium", Suite: "trixie", Roles: clientOnly,
		Groups: chromiumGroups[1:],
		Rules:  tls12(chromiumRules("x25519+secp256r1+secp384r1")),
		driver: browserPeer("chromium-tls12@trixie", chromiumFixed, "chromium", "--ssl-version-max=tls1.2"),
	},
	{
		ID: "chromium@trixie", Folder: "chromium", Suite: "trixie", Roles: clientOnly,
		Groups: chromiumGroups,
		Rules:  chromiumRules("*x25519mlkem768+*x25519+secp256r1+secp384r1"),
		driver: browserPeer("chromium@trixie", chromiumFixed, "chromium"),
	},
	{
		ID: "crafted", Folder: "go", Suite: "trixie", Roles: bothRoles,
		Groups: crafted.Groups(),
		Rules: lab.Rules{
			Default: craftedDefault,
			Shares:  lab.ShareFirst,
			Pick:    lab.PickTierPostQuantum,
			TLS13:   true,
			NoMatch: "handshake_failure",
			Shows:   CertKinds(), // and verifies ML-DSA only where it says so: crafted@ml-dsa
		},
		driver: contract{argv: []string{Binary, "peer", "crafted"}}, local: craftedStack{untouched: craftedDefault}, set: shaped,
	},
	{
		ID: "curl@trixie", Folder: "curl", Suite: "trixie", Roles: clientOnly,
		Groups: openssl35Groups,
		Rules:  openssl35(""),
		driver: contract{argv: []string{"sh", "/peer"}, limits: openssl{}.express},
	},
	{
		ID: "firefox-esr-classical@trixie", Folder: "firefox-esr", Suite: "trixie", Roles: clientOnly,
		Groups: firefoxGroups[1:],
		Rules:  firefoxRules("*x25519+*secp256r1+secp384r1+secp521r1+ffdhe2048+ffdhe3072"),
		driver: browserPeer("firefox-esr-classical@trixie", firefoxFixed, "firefox-esr", "security.tls.enable_kyber=false"),
	},
	{
		ID: "firefox-esr@trixie", Folder: "firefox-esr", Suite: "trixie", Roles: clientOnly,
		Groups: firefoxGroups,
		Rules:  firefoxRules("*x25519mlkem768+*x25519+*secp256r1+secp384r1+secp521r1+ffdhe2048+ffdhe3072"),
		driver: browserPeer("firefox-esr@trixie", firefoxFixed, "firefox-esr"),
	},
	{
		ID: "gnutls@forky", Folder: "gnutls", Suite: "forky", Roles: bothRoles,
		Groups: openssl30Groups,
		Rules:  gnutlsRules(),
		driver: contract{argv: []string{"sh", "/peer"}, limits: expressGnuTLS},
	},
	{
		ID: "gnutls@trixie", Folder: "gnutls", Suite: "trixie", Roles: bothRoles,
		Groups: openssl30Groups,
		Rules:  gnutlsRules(),
		driver: contract{argv: []string{"sh", "/peer"}, limits: expressGnuTLS},
	},
	{
		ID: "go-mod1.23@1.24", Folder: "golang", Suite: "trixie", Roles: bothRoles,
		Groups: go124Groups,
		Rules:  muted(goRules(go123), goModCure, wire.X25519MLKEM768),
		driver: mutedPeer([]wire.Group{wire.X25519MLKEM768}, "/peer-go1.23"),
	},
	{
		ID: "go-mod1.23@1.27", Folder: "golang", Suite: "forky", Roles: bothRoles,
		Groups: goOrder,
		Rules:  mlDSARules(go123),
		driver: goPeer("/peer-go1.23"),
	},
	{
		ID: "go-tls12@1.26", Folder: "go", Suite: "trixie", Roles: bothRoles,
		Groups: go126Groups,
		Rules:  tls12(goRules(go126)),
		driver: goPeer(Binary, "peer", "go-tls12@1.26"), local: goStack{max: tls.VersionTLS12},
	},
	{
		ID: "go-tlsmlkem0@1.24", Folder: "golang", Suite: "trixie", Roles: bothRoles,
		Groups: go124Groups,
		Rules:  muted(goRules(go123), mlkemCure, wire.X25519MLKEM768),
		driver: mutedPeer([]wire.Group{wire.X25519MLKEM768}, "env", "GODEBUG=tlsmlkem=0", "/peer"),
	},
	{
		ID: "go-tlsmlkem0@1.26", Folder: "go", Suite: "trixie", Roles: bothRoles,
		Groups: go126Groups,
		Rules:  muted(goRules(go123), mlkemCure, go126Groups[:3]...),
		driver: mutedPeer(go126Groups[:3], "env", "GODEBUG=tlsmlkem=0", Binary, "peer", "go@1.26"),
	},
	{
		ID: "go-tlsmlkem0@1.27", Folder: "golang", Suite: "forky", Roles: bothRoles,
		Groups: goOrder,
		Rules:  mlDSARules(go123),
		driver: goPeer("env", "GODEBUG=tlsmlkem=0", "/peer"),
	},
	{
		ID: "go-tlssecpmlkem0@1.26", Folder: "go", Suite: "trixie", Roles: bothRoles,
		Groups: go126Groups,
		Rules:  muted(goRules(go124), secpCure, go126Groups[1:3]...),
		driver: mutedPeer(go126Groups[1:3], "env", "GODEBUG=tlssecpmlkem=0", Binary, "peer", "go@1.26"),
	},
	{
		ID: "go-tlssecpmlkem0@1.27", Folder: "golang", Suite: "forky", Roles: bothRoles,
		Groups: goOrder,
		Rules:  mlDSARules(go124),
		driver: goPeer("env", "GODEBUG=tlssecpmlkem=0", "/peer"),
	},
	{
		ID: "go@1.24", Folder: "golang", Suite: "trixie", Roles: bothRoles,
		Groups: go124Groups,
		Rules:  goRules(go124),
		driver: goPeer("/peer"),
	},
	{
		ID: "go@1.26", Folder: "go", Suite: "trixie", Roles: bothRoles,
		Groups: go126Groups,
		Rules:  goRules(go126),
		driver: goPeer(Binary, "peer", "go@1.26"), local: goStack{},
	},
	{
		ID: "go@1.27", Folder: "golang", Suite: "forky", Roles: bothRoles,
		Groups: goOrder,
		Rules:  mlDSARules(go126),
		driver: goPeer("/peer"),
	},
	{
		ID: "haproxy-tls12@trixie", Folder: "haproxy", Suite: "trixie", Roles: bothRoles,
		Groups: openssl35Groups,
		Rules:  tls12(ownOrder(openssl35(""))),
		driver: haproxy("ssl-max-ver TLSv1.2", openssl{}),
	},
	{
		ID: "haproxy@bookworm", Folder: "haproxy", Suite: "bookworm", Roles: bothRoles,
		Groups: openssl30Groups,
		Rules:  ownOrder(openssl30()),
		driver: haproxy("", openssl{flat: true}),
	},
	{
		ID: "haproxy@forky", Folder: "haproxy", Suite: "forky", Roles: bothRoles,
		Groups: openssl35Groups,
		Rules:  ownOrder(openssl35("curves X25519MLKEM768/X25519")),
		driver: haproxy("", openssl{}),
	},
	{
		ID: "haproxy@trixie", Folder: "haproxy", Suite: "trixie", Roles: bothRoles,
		Groups: openssl35Groups,
		Rules:  ownOrder(openssl35("curves X25519MLKEM768/X25519")),
		driver: haproxy("", openssl{}),
	},
	{
		ID: "java@forky", Folder: "java", Suite: "forky", Roles: bothRoles,
		Groups: javaGroups,
		Rules:  javaRules("*x25519mlkem768+*x25519+secp256r1+secp384r1+secp521r1+x448+ffdhe2048+ffdhe3072+ffdhe4096"),
		driver: contract{argv: []string{"/peer"}, limits: expressJava},
	},
	{
		ID: "java@trixie", Folder: "java", Suite: "trixie", Roles: bothRoles,
		Groups: javaGroups,
		Rules:  javaRules("*x25519mlkem768+*x25519+secp256r1+secp384r1+secp521r1+x448+ffdhe2048+ffdhe3072+ffdhe4096+ffdhe6144+ffdhe8192"),
		driver: contract{argv: []string{"/peer"}, limits: expressJava},
	},
	{
		ID: "mbedtls@forky", Folder: "mbedtls", Suite: "forky", Roles: bothRoles,
		Groups: mbedtlsGroups,
		Rules:  mbedtlsRules(),
		driver: byInetd(expressMbedTLS, "/peer"),
	},
	{
		ID: "mbedtls@trixie", Folder: "mbedtls", Suite: "trixie", Roles: bothRoles,
		Groups: mbedtlsGroups,
		Rules:  mbedtlsRules(),
		driver: byInetd(expressMbedTLS, "/peer"),
	},
	{
		ID: "nginx-prefer@trixie", Folder: "nginx", Suite: "trixie", Roles: serverOnly,
		Groups: openssl35Groups,
		Rules:  ownOrder(openssl35("ssl_ecdh_curve X25519MLKEM768/X25519")),
		driver: nginx("TLSv1.2 TLSv1.3", "on", openssl{}),
	},
	{
		ID: "nginx-tls12@trixie", Folder: "nginx", Suite: "trixie", Roles: bothRoles,
		Groups: openssl35Groups,
		Rules:  tls12(openssl35("")),
		driver: nginx("TLSv1.2", "off", openssl{}),
	},
	{
		ID: "nginx@bookworm", Folder: "nginx", Suite: "bookworm", Roles: bothRoles,
		Groups: openssl30Groups,
		Rules:  ownOrder(openssl30()),
		driver: nginx("TLSv1 TLSv1.1 TLSv1.2 TLSv1.3", "on", openssl{flat: true}),
	},
	{
		ID: "nginx@forky", Folder: "nginx", Suite: "forky", Roles: bothRoles,
		Groups: openssl35Groups,
		Rules:  openssl35("ssl_ecdh_curve X25519MLKEM768/X25519"),
		driver: nginx("TLSv1.2 TLSv1.3", "off", openssl{}),
	},
	{
		ID: "nginx@trixie", Folder: "nginx", Suite: "trixie", Roles: bothRoles,
		Groups: openssl35Groups,
		Rules:  openssl35("ssl_ecdh_curve X25519MLKEM768/X25519"),
		driver: nginx("TLSv1.2 TLSv1.3", "off", openssl{}),
	},
	{
		ID: "nodejs@forky", Folder: "nodejs", Suite: "forky", Roles: bothRoles,
		Groups: openssl35Groups,
		Rules:  ownOrder(openssl35("ecdhCurve: 'X25519MLKEM768/X25519'")),
		driver: contract{argv: []string{"node", "/peer.js"}, limits: openssl{}.express},
	},
	{
		ID: "nss@forky", Folder: "nss", Suite: "forky", Roles: bothRoles,
		Groups: nss131Groups,
		Rules: lab.Rules{
			Default: lab.MustOffer("*x25519mlkem768+x25519+secp256r1+secp384r1+secp521r1+secp256r1mlkem768+secp384r1mlkem1024+ffdhe2048+ffdhe3072+ffdhe4096+ffdhe6144+ffdhe8192"),
			Shares:  lab.ShareFirst,
			Pick:    lab.PickOrderOrNext,
			Certs:   CertKinds(),
			NoMatch: "handshake_failure",
			Old:     nssOld,
			Cure:    nssCure,
		},
		driver: byInetd(expressNSS, "/peer"),
	},
	{
		ID: "nss@trixie", Folder: "nss", Suite: "trixie", Roles: bothRoles,
		Groups: nss110Groups,
		Rules: lab.Rules{
			Default: lab.MustOffer("*x25519+secp256r1+secp384r1+secp521r1+x25519mlkem768+ffdhe2048+ffdhe3072+ffdhe4096+ffdhe6144+ffdhe8192"),
			Shares:  lab.ShareFirst,
			Pick:    lab.PickOrderOrNext,
			NoMatch: "handshake_failure",
			Old:     nssOld,
			Cure:    nssCure,
		},
		driver: byInetd(expressNSS, "/peer"),
	},
	{
		ID: "openssl-oqs", Missing: oqsMissing, Roles: bothRoles,
		Groups: oqsGroups,
		Rules:  openssl30(),
		driver: openssl{flat: true, oqs: true},
	},
	{
		ID: "openssl-tls12@bullseye", Folder: "openssl", Suite: "bullseye", Roles: bothRoles,
		Groups: opensslCurves,
		Rules:  tls12(openssl111()),
		driver: openssl{flat: true, tls12: true},
	},
	{
		ID: "openssl-tls12@trixie", Folder: "openssl", Suite: "trixie", Roles: bothRoles,
		Groups: openssl35Groups,
		Rules:  tls12(openssl35("")),
		driver: openssl{tls12: true},
	},
	{
		ID: "openssl@bookworm", Folder: "openssl", Suite: "bookworm", Roles: bothRoles,
		Groups: openssl30Groups,
		Rules:  openssl30(),
		driver: openssl{flat: true},
	},
	{
		ID: "openssl@bullseye", Folder: "openssl", Suite: "bullseye", Roles: bothRoles,
		Groups: opensslCurves,
		Rules:  openssl111(),
		driver: openssl{flat: true},
	},
	{
		ID: "openssl@forky", Folder: "openssl", Suite: "forky", Roles: bothRoles,
		Groups: openssl35Groups,
		Rules:  openssl35("Groups = X25519MLKEM768/X25519"),
		driver: openssl{},
	},
	{
		ID: "openssl@trixie", Folder: "openssl", Suite: "trixie", Roles: bothRoles,
		Groups: openssl35Groups,
		Rules:  openssl35("Groups = X25519MLKEM768/X25519"),
		driver: openssl{},
	},
	{
		ID: "stunnel@forky", Folder: "stunnel", Suite: "forky", Roles: bothRoles,
		Groups: openssl35Groups,
		Rules:  ownDefault(openssl35("curves = X25519MLKEM768/X25519"), "*x25519mlkem768+x25519+secp256r1+x448+secp521r1+secp384r1"),
		driver: contract{argv: []string{"/peer"}, limits: openssl{}.express},
	},
	{
		ID: "stunnel@trixie", Folder: "stunnel", Suite: "trixie", Roles: bothRoles,
		Groups: openssl35Groups,
		Rules:  ownDefault(openssl35("curves = X25519MLKEM768/X25519"), "*x25519+secp256r1+x448+secp521r1+secp384r1"),
		driver: contract{argv: []string{"/peer"}, limits: openssl{}.express},
	},
})

// tls12 are the rules of a stack that is told to speak TLS 1.2 only.
func tls12(r lab.Rules) lab.Rules {
	r.TLS12, r.Certs = true, nil // ML-DSA is of TLS 1.3
	return r
}
