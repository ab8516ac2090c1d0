package config

import (
	"fmt"
	"strings"
	"testing"
)

var languages = map[string]Language{"nginx": Nginx, "haproxy": HAProxy, "apache": Apache, "openssl": OpenSSL}

// files are a file of each language as people have them, and what they say.
var files = map[string]string{
	"nginx": `# what a distribution ships, and one site
user www-data;
events { worker_connections 768; }
stream { server { listen 1; ssl_protocols TLSv1; } }
http {
    include /etc/nginx/mime.types;
    ssl_protocols TLSv1.2 TLSv1.3; # Dropping SSLv3
    ssl_ecdh_curve X25519;
    log_format main '$remote_addr; {"a"} # no comment';
    server { listen 80; return 301 https://$host$request_uri; }
    server {
        listen 443 ssl;
        ssl_certificate /etc/ssl/a.pem;
        ssl_ecdh_curve "X25519MLKEM768:X25519";
        ssl_conf_command Options PrioritizeChaCha;
        ssl_prefer_server_ciphers on;
        location / { proxy_pass https://b; proxy_ssl_name x; }
    }
}`,
	"haproxy": `global
	log /dev/log local0
	ssl-default-bind-options ssl-min-ver TLSv1.2 no-tls-tickets
	ssl-default-bind-curves X25519:P-256
	ssl-dh-param-file /etc/haproxy/dh
defaults
	mode http
frontend in
	bind :80
	bind :443 ssl crt "/etc/a b.pem" curves X25519MLKEM768/X25519 alpn h2,http/1.1 # both
	default_backend b
backend b
	server s 10.0.0.1:443 ssl curves P-521`,
	"apache": `Listen 443
SSLProtocol all -SSLv3
<VirtualHost *:443>
  ServerName a
  SSLEngine on
  SSLCertificateFile /a.pem
  SSLProtocol -all +TLSv1.3
  SSLHonorCipherOrder on
  SSLOpenSSLConfCmd Groups X25519MLKEM768:X25519
  SSLProxyEngine on
</VirtualHost>`,
	"openssl": `openssl_conf = openssl_init
[openssl_init]
providers = provider_sect
ssl_conf = ssl_sect
[provider_sect]
default = default_sect
[ssl_sect]
system_default = tls # the section below
[tls]
MinProtocol = TLSv1.2
MaxProtocol = TLSv1.2
Groups = *X25519MLKEM768 / ?x25519
Options = ServerPreference,-SessionTicket
[other]
Groups = P-521`,
}

func TestRead(t *testing.T) {
	for lang, want := range map[string]string{
		"nginx":   "[ssl_protocols TLSv1.2 TLSv1.3 (line 7) ssl_ecdh_curve X25519MLKEM768:X25519 (line 14) ssl_conf_command Options PrioritizeChaCha (line 15) ssl_prefer_server_ciphers on (line 16)] [include /etc/nginx/mime.types (line 6) ssl_certificate /etc/ssl/a.pem (line 13)] X25519MLKEM768:X25519  server",
		"haproxy": "[ssl-default-bind-options ssl-min-ver TLSv1.2 no-tls-tickets (line 3) ssl-default-bind-curves X25519:P-256 (line 4) curves X25519MLKEM768/X25519 (line 10) alpn h2,http/1.1 (line 10)] [ssl-dh-param-file /etc/haproxy/dh (line 5) crt /etc/a b.pem (line 10)] X25519MLKEM768/X25519  server",
		"apache":  "[SSLProtocol all -SSLv3 (line 2) SSLProtocol -all +TLSv1.3 (line 7) SSLHonorCipherOrder on (line 8) SSLOpenSSLConfCmd Groups X25519MLKEM768:X25519 (line 9)] [SSLCertificateFile /a.pem (line 6)] X25519MLKEM768:X25519 TLSv1.3 server",
		"openssl": "[MinProtocol = TLSv1.2 (line 10) MaxProtocol = TLSv1.2 (line 11) Groups = *X25519MLKEM768 / ?x25519 (line 12) Options = ServerPreference,-SessionTicket (line 13)] [] *X25519MLKEM768 / ?x25519 TLSv1.2 server",
	} {
		c, err := languages[lang].Read("file", []byte(files[lang]))
		if got := fmt.Sprint(c.Taken, " ", c.Left, " ", c.Groups, " ", c.Only, " ", c.Order); err != nil || got != want {
			t.Errorf("%s: %v\ngot  %s\nwant %s", lang, err, got, want)
		}
	}
}

// TestOnly: which version of TLS a file leaves, and that it leaves both where
// it does.
func TestOnly(t *testing.T) {
	for _, tt := range []struct {
		lang, text string
		only       Version
	}{
		{"nginx", "http { ssl_protocols TLSv1.1 TLSv1.2; }", TLS12},
		{"nginx", "http { ssl_protocols TLSv1.3; }", TLS13},
		{"nginx", "http { ssl_ciphers HIGH; }", ""},
		{"haproxy", "global\n ssl-default-bind-options no-tlsv13\n", TLS12},
		{"haproxy", "global\n ssl-default-bind-options ssl-max-ver TLSv1.2\nfrontend f\n bind :1 ssl ssl-max-ver TLSv1.3", ""},
		{"haproxy", "frontend f\n bind :1 ssl force-tlsv13", TLS13},
		{"haproxy", "frontend f\n bind :1 ssl ssl-min-ver TLSv1.3", TLS13},
		{"apache", "SSLProtocol TLSv1.2", TLS12},
		{"apache", "SSLProtocol all -TLSv1.2", TLS13},
		{"apache", "SSLProtocol +TLSv1.2 +TLSv1.3", ""},
		{"openssl", "openssl_conf=a\n[a]\nssl_conf=b\n[b]\nsystem_default=c\n[c]\nMinProtocol=TLSv1.3", TLS13},
	} {
		if c, err := languages[tt.lang].Read("file", []byte(tt.text)); err != nil || c.Only != tt.only {
			t.Errorf("%s %q: %q, %v; want %q", tt.lang, tt.text, c.Only, err, tt.only)
		}
	}
}

func TestReadErrors(t *testing.T) {
	for _, tt := range []struct{ lang, text, say string }{
		{"nginx", "http {\n ssl_protocols TLSv1.3\n}", `line 3: unexpected "}"`},
		{"nginx", "http {\n ssl_protocols TLSv1.3;", `line 1: the block "http" is not closed`},
		{"nginx", "ssl_protocols 'TLSv1.3;", "line 1: the quote ' is not closed"},
		{"nginx", "ssl_protocols TLSv1.3", `line 1: "ssl_protocols" is not ended`},
		{"nginx", "{}", "line 1: a block without a name"},
		{"nginx", "http {\nserver { ssl_ecdh_curve X25519; }\nserver { ssl_ecdh_curve P-256; } }", "line 3: this server speaks TLS in another way than that of line 2"},
		{"nginx", "http { include conf.d/*; }", "includes are not followed"},
		{"haproxy", "frontend f\n bind :1 ssl curves X25519\n bind :2 ssl curves P-256", "line 3: this bind line"},
		{"haproxy", "global\n ssl-default-bind-curves \"X25519", `line 2: the quote " is not closed`},
		{"apache", "<VirtualHost a>\nSSLProtocol TLSv1.2\n</VirtualHost>\n<VirtualHost b>\nSSLProtocol TLSv1.3\n</VirtualHost>", "line 4: this virtual host"},
		{"openssl", "[a\nb=c", "line 1: the name of the section"},
		{"openssl", "a", "line 1: want NAME = VALUE"},
		{"openssl", "[tls]\nGroups = P-521", "says nothing about TLS"},
		{"openssl", "\x00", "it is no text"},
	} {
		if c, err := languages[tt.lang].Read("my.conf", []byte(tt.text)); err == nil || !strings.Contains(err.Error(), tt.say) || !strings.Contains(err.Error(), "my.conf") {
			t.Errorf("%s %q: %+v, %v; want %q", tt.lang, tt.text, c, err, tt.say)
		}
	}
}

// TestReadAgain: what was taken, written down, reads the same. Every prefix of
// a file is read or refused, never a crash.
func TestReadAgain(t *testing.T) {
	again := map[string]func(Config) string{
		"nginx":  func(c Config) string { return "http { server { " + strings.Join(c.At(""), ";\n") + "; } }" },
		"apache": func(c Config) string { return strings.Join(c.At(""), "\n") },
		"haproxy": func(c Config) string {
			return "global\n " + strings.Join(c.At(Global), "\n ") + "\nfrontend f\n bind :1 ssl " + strings.Join(c.At(Bind), " ")
		},
	}
	for lang, text := range files {
		for i := range text {
			languages[lang].Read("prefix", []byte(text[:i]))
		}
		write := again[lang]
		if write == nil {
			continue // openssl.cnf is used as it is
		}
		c, err := languages[lang].Read("file", []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		d, err := languages[lang].Read("again", []byte(write(c)))
		if err != nil || fmt.Sprint(c.Groups, c.Only, c.Order, c.At(""), c.At(Global), c.At(Bind)) != fmt.Sprint(d.Groups, d.Only, d.Order, d.At(""), d.At(Global), d.At(Bind)) {
			t.Errorf("%s: %v\n%+v\n%+v", lang, err, c, d)
		}
	}
}

func FuzzRead(f *testing.F) {
	for _, text := range files {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		for name, l := range languages {
			if c, err := l.Read("file", []byte(text)); err == nil {
				for _, line := range c.Taken {
					if line.Number < 1 || line.Number > strings.Count(text, "\n")+1 || strings.Contains(line.Text, "\n") {
						t.Errorf("%s: %+v", name, line)
					}
				}
			}
		}
	})
}
