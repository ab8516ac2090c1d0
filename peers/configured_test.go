package peers

import (
	"net/netip"
	"strings"
	"testing"

	"hybridlab/lab"
)

// configured is a row with a file, which must be right.
func configured(t *testing.T, spec, text string) Peer {
	t.Helper()
	row, file, ok := Table().ParseConfigured(spec)
	if !ok {
		t.Fatalf("%q is no row with a file", spec)
	}
	p, err := Table().Configure(ConfiguredID(row.ID, file), row, file, []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestConfigure(t *testing.T) {
	for _, tt := range []struct{ spec, text, id, list, lines string }{
		{"nginx@trixie:/etc/nginx/nginx.conf", "http { ssl_ecdh_curve X25519MLKEM768/X25519; ssl_protocols TLSv1.3; }", "nginx@trixie-nginx.conf",
			"x25519mlkem768>x25519", "nginx.conf: ssl_ecdh_curve X25519MLKEM768/X25519;"},
		{"nginx@trixie:nginx.conf", "http { ssl_session_tickets off; }", "nginx@trixie-nginx.conf", "", "nginx.conf: ssl_session_tickets off;"},
		{"haproxy@forky:a b.cfg", "global\n ssl-default-bind-curves X25519:P-256\nfrontend f\n bind :1 ssl alpn h2", "haproxy@forky-a-b.cfg",
			"x25519+secp256r1", "haproxy.cfg: bind 127.0.0.1:4433 ssl crt both.pem alpn h2"},
		{"apache@trixie:ssl.conf", "SSLOpenSSLConfCmd Groups ?unknown:X25519", "apache@trixie-ssl.conf", "x25519", "apache.conf: SSLOpenSSLConfCmd Groups ?unknown:X25519"},
		{"openssl@trixie:my.cnf", "openssl_conf = a\n[a]\nssl_conf = b\n[b]\nsystem_default = c\n[c]\nGroups = X25519/DEFAULT:-X448", "openssl@trixie-my.cnf",
			"x25519>x25519mlkem768>secp256r1>secp384r1+secp521r1>ffdhe2048+ffdhe3072", "openssl.cnf: Groups = X25519/DEFAULT"},
	} {
		p := configured(t, tt.spec, tt.text)
		row, _, _ := Table().ParseConfigured(tt.spec)
		want := row.Rules.Default
		if tt.list != "" {
			want = lab.MustOffer(tt.list)
		}
		if string(p.ID) != tt.id || p.Rules.Default.String() != want.String() || p.Plays(lab.ClientRole) {
			t.Errorf("%s: %s, %s, roles %v; want %s, %s", tt.spec, p.ID, p.Rules.Default, p.Roles, tt.id, want)
		}
		cmd, err := p.Command(Request{Role: lab.ServerRole, Addr: netip.MustParseAddrPort("127.0.0.1:4433"), Token: "t"})
		if err != nil {
			t.Fatal(err)
		}
		file, line, _ := strings.Cut(tt.lines, ": ")
		if text := string(cmd.Files[file]); !strings.Contains(text, line) {
			t.Errorf("%s: no %q in\n%s", tt.spec, line, text)
		}
		if err := p.Supports(lab.ServerRole, lab.MustOffer("x25519")); err == nil || !strings.Contains(err.Error(), "says which groups") {
			t.Errorf("%s takes another list of groups: %v", tt.spec, err)
		}
	}
}

// TestConfigureFollows: versions and the order of preference become rules, and
// without a word of them the row's stay.
func TestConfigureFollows(t *testing.T) {
	old := configured(t, "nginx@trixie:a.conf", "http { ssl_protocols TLSv1.2; ssl_prefer_server_ciphers on; }")
	if !old.Rules.TLS12 || old.Rules.ClientOrder || old.Rules.Old.ClientOrder {
		t.Errorf("TLS 1.2 in the server's order: %+v", old.Rules)
	}
	if p := configured(t, "nginx@bookworm:a.conf", "http { ssl_ciphers HIGH; }"); !p.Rules.TLS12 {
		t.Errorf("nginx 1.22, which was not told of TLS 1.3: %+v", p.Rules)
	}
	own := configured(t, "nginx@trixie:a.conf", "http { ssl_ciphers HIGH; }")
	if row, _ := Lookup("nginx@trixie"); own.Rules.TLS12 != row.Rules.TLS12 || own.Rules.ClientOrder != row.Rules.ClientOrder {
		t.Errorf("a file without a word of it: %+v, want %+v", own.Rules, row.Rules)
	}
}

func TestConfigureErrors(t *testing.T) {
	for _, tt := range []struct{ spec, text, say string }{
		{"nginx@trixie:a.conf", "http { ssl_ecdh_curve X25519:kyber; }", `does not know "kyber" and would not start`},
		{"nginx@bookworm:a.conf", "http { ssl_ecdh_curve X25519MLKEM768; }", "and would not start"},
		{"nginx@trixie:a.conf", "http { ssl_ecdh_curve ?x; }", "nothing is left of it"},
		{"nginx@trixie:a.conf", "http {", "a.conf: line 1"},
		{"go@1.26:a.conf", "", "that takes nginx, haproxy, apache or openssl"},
	} {
		row, file, ok := Table().ParseConfigured(tt.spec)
		if !ok {
			t.Fatal(tt.spec)
		}
		if _, err := Table().Configure("x@y", row, file, []byte(tt.text)); err == nil || !strings.Contains(err.Error(), tt.say) {
			t.Errorf("%s %q: %v; want %q", tt.spec, tt.text, err, tt.say)
		}
	}
	for _, image := range []string{"my/nginx:1.30", "nginx@trixie", "nginx@sha256:abc", "nginx@trixie:"} {
		if _, _, ok := Table().ParseConfigured(image); ok {
			t.Errorf("%q is taken for a row with a file", image)
		}
	}
}

func FuzzParseOpenSSLGroups(f *testing.F) {
	row, _ := Lookup("openssl@trixie")
	f.Add("*X25519MLKEM768/?x:X25519:-P-256/DEFAULT")
	f.Fuzz(func(t *testing.T, list string) {
		o, err := parseOpenSSLGroups(list, row)
		if err != nil {
			return
		}
		for i, l := range o.Listed {
			if step := l.Tier - o.Listed[max(i-1, 0)].Tier; step < 0 || step > 1 {
				t.Errorf("%q: tiers %+v", list, o.Listed)
			}
		}
		again, err := parseOpenSSLGroups(opensslGroups(o), row)
		if err != nil || again.String() != o.String() {
			t.Errorf("%q: %s, again %s, %v", list, o, again, err)
		}
	})
}
