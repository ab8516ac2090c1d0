package peers

import (
	"net/netip"
	"strings"
	"testing"

	"hybridlab/lab"
	"hybridlab/peers/agent"
)

// TestServiceLines reads lines that the real servers wrote.
func TestServiceLines(t *testing.T) {
	hybrid := lab.End{Done: true, Data: true, Group: "X25519MLKEM768", Version: "TLS 1.3"}
	for _, r := range []struct {
		peer lab.PeerID
		line string
		want lab.End
	}{
		{"nginx@trixie", `client: 198.19.0.7, status: 200, group: 0x11ec, version: TLSv1.3`, hybrid},
		{"nginx@trixie", `client: 198.19.0.7, status: 200, group: prime256v1, version: TLSv1.3`, lab.End{Done: true, Data: true, Group: "secp256r1", Version: "TLS 1.3"}},
		{"nginx@trixie", `client: 198.19.0.7, status: 400, group: X25519, version: TLSv1.3`, lab.End{Done: true, Group: "x25519", Version: "TLS 1.3", Error: "answered with status 400"}},
		{"nginx@trixie", `2026/11/23 06:13:58 [info] 26#26: *7 SSL_do_handshake() failed (SSL: error:0A000065:SSL routines::no suitable key share) while SSL handshaking, client: 198.19.0.7, server: 172.18.0.3:2001`,
			lab.End{Error: "SSL_do_handshake() failed (SSL: error:0A000065:SSL routines::no suitable key share) while SSL handshaking"}},
		{"haproxy@trixie", `client: 198.19.0.7, status: 200, group: X25519MLKEM768, version: TLSv1.3`, hybrid},
		{"haproxy@trixie", `client: 198.19.0.7, failed: SSL handshake failure, error:0A000065:SSL routines::no suitable key share`,
			lab.End{Error: "SSL handshake failure, error:0A000065:SSL routines::no suitable key share"}},
		{"haproxy@bookworm", `client: 198.19.0.7, status: 200, group: -, version: TLSv1.3`, lab.End{Done: true, Data: true, Version: "TLS 1.3"}},
		{"apache@trixie", `client: 198.19.0.7, status: 200, group: -, version: TLSv1.3`, lab.End{Done: true, Data: true, Version: "TLS 1.3"}},
		{"caddy@trixie", `{"level":"info","ts":1795414907.3945763,"logger":"http.log.access.log0","msg":"handled request","request":{"remote_ip":"198.19.0.7","remote_port":"56010","client_ip":"198.19.0.7","proto":"HTTP/1.0","method":"GET","host":"hybridlab.test","uri":"/hybridlab","headers":{},"tls":{"resumed":false,"version":772,"cipher_suite":4865,"proto":"","server_name":"hybridlab.test","ech":false}},"bytes_read":0,"user_id":"","duration":0.000201992,"size":9,"status":200,"resp_headers":{"Server":["Caddy"]}}`,
			lab.End{Done: true, Data: true, Version: "TLS 1.3"}},
	} {
		p, err := Lookup(r.peer)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(r.line, p.LineFrom(netip.MustParseAddr("198.19.0.7"))) || strings.Contains(r.line, p.LineFrom(netip.MustParseAddr("198.19.0.70"))) ||
			strings.Contains(r.line, p.LineFrom(netip.MustParseAddr("98.19.0.7"))) {
			t.Errorf("%s: whose line is %q?", r.peer, r.line)
		}
		if got, err := p.ParseLine(r.line); got != r.want || err != nil {
			t.Errorf("%s: %q: got %+v, %v; want %+v", r.peer, r.line, got, err, r.want)
		}
	}
}

// TestServiceRefusals: a list the server will not start with is unsupported;
// another reason not to start is not.
func TestServiceRefusals(t *testing.T) {
	for _, r := range []struct {
		peer  lab.PeerID
		words string
		want  string
	}{
		{"nginx@bookworm", "2026/11/23 06:08:36 [emerg] 62#62: SSL_CTX_set1_curves_list(\"0x1234\") failed\n", `SSL_CTX_set1_curves_list("0x1234") failed`},
		{"nginx@bookworm", "2026/11/23 06:08:36 [emerg] 62#62: bind() to 0.0.0.0:443 failed (98: Address already in use)\n", ""},
		{"haproxy@trixie", "[NOTICE]   (62) : haproxy version is 3.0.11\n[ALERT]    (62) : config : Proxy 'lab': unable to set SSL curves list to '0x1234' for bind '127.0.0.1:46147' at [haproxy.cfg:11].\n",
			"Proxy 'lab': unable to set SSL curves list to '0x1234'"},
		{"apache@trixie", "[Mon Nov 23 06:20:03.563726 2026] [ssl:emerg] [pid 9:tid 9] AH02407: \"SSLOpenSSLConfCmd Groups 0x1234\" failed for hybridlab.test:2001\n",
			`"SSLOpenSSLConfCmd Groups 0x1234" failed`},
		{"caddy@trixie", "Error: adapting config using caddyfile: parsing caddyfile tokens for 'tls': /tmp/C:6 - Error during parsing: Wrong curve name or curve not supported: '0x1234'\n",
			"Wrong curve name or curve not supported: '0x1234'"},
		{"haproxy@trixie", "[ALERT]    (62) : config : parsing [haproxy.cfg:11]: unknown keyword 'crv'\n", ""},
	} {
		p, err := Lookup(r.peer)
		if err != nil {
			t.Fatal(err)
		}
		end, _ := p.Parse(Request{Role: lab.ServerRole}, agent.Result{Exit: 1, Stderr: []byte(r.words)})
		if end.Unsupported != r.want || (end.Exit == exitUnsupported) != (r.want != "") {
			t.Errorf("%s: %q: %+v, want unsupported because %q", r.peer, r.words, end, r.want)
		}
	}
}

// TestProxied: what came back through a proxy is what it can say as a client.
func TestProxied(t *testing.T) {
	p, err := Lookup("nginx@trixie")
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range []struct {
		res  agent.Result
		want lab.End
	}{
		{agent.Result{Stdout: []byte("HTTP/1.1 200 OK\r\nServer: nginx\r\n\r\nhybridlab\n")}, lab.End{Done: true, Data: true}},
		{agent.Result{Exit: 1, Stdout: []byte("HTTP/1.1 502 Bad Gateway\r\n\r\n")}, lab.End{Exit: 1, Error: "HTTP/1.1 502 Bad Gateway"}},
		{agent.Result{Exit: 1, Stdout: []byte("HTTP/1.1 502 Bad Gateway\r\n\r\n"),
			Stderr: []byte("2026/11/23 06:13:58 [error] 26#26: *1 upstream SSL certificate verify error: (20:unable to get local issuer certificate) while SSL handshaking to upstream, client: unix:, server: \n")},
			lab.End{Exit: 1, Error: "upstream SSL certificate verify error: (20:unable to get local issuer certificate) while SSL handshaking to upstream"}},
	} {
		if got, _ := p.Parse(Request{Role: lab.ClientRole}, r.res); got != r.want {
			t.Errorf("%s: got %+v, want %+v", r.res.Stdout, got, r.want)
		}
	}
}
