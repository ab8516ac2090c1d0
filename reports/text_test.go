package reports

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"hybridlab/lab"
)

func TestClean(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"plain: X25519MLKEM768, 1,449 bytes", "plain: X25519MLKEM768, 1,449 bytes"},
		{"Grüße, 日本, שלום", "Grüße, 日本, שלום"},
		{"\x1b[1;31mred\x1b[0m", "red"},
		{"\x1b]0;title\x07after", "after"},
		{"\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\", "link"},
		{"\x1b(Bcharset\x1bcreset", "charsetreset"},
		{"\x1bP1$r\x1b\\dcs", "dcs"},
		{"\x1b]0;never ended", `\x1b]0;never ended`},
		{"\x1b", `\x1b`},
		{"a\r\nb\tc", "a  b c"},
		{"nul\x00bel\x07del\x7f", `nul\x00bel\adel\x7f`},
		{"user\u202egnp.exe", `user\u202egnp.exe`},
		{"zero\u200bwidth\ufeff", `zero\u200bwidth\ufeff`},
		{"a\u2028b", `a\u2028b`},
		{"bad\xff", `bad\xff`},
		{"\u009b31m", `\u009b31m`},
		{"it's \"so\"", "it's \"so\""},
		{"  edges \n", "edges"},
		{strings.Repeat("ä", 41), strings.Repeat("ä", 40) + "…"},
		{strings.Repeat("ä", 40), strings.Repeat("ä", 40)},
	} {
		if got := clean(c.in, 40); got != c.want {
			t.Errorf("clean(%q) = %q, want %q", c.in, got, c.want)
		}
	}
}

func FuzzClean(f *testing.F) {
	for _, s := range hostile {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got := clean(s, 100)
		if !utf8.ValidString(got) {
			t.Errorf("clean(%q) = %q is not UTF-8", s, got)
		}
		if i := strings.IndexFunc(got, func(r rune) bool { return !unicode.IsPrint(r) }); i >= 0 {
			t.Errorf("clean(%q) = %q has %q", s, got, got[i:])
		}
		if again := clean(got, 2000); again != got {
			t.Errorf("clean is not idempotent: %q, then %q", got, again)
		}
	})
}

func TestCapture(t *testing.T) {
	for in, ok := range map[string]bool{
		"captures/go-1-26-x25519.pcapng": true,
		"":                               false,
		"captures/../../etc/passwd":      false,
		"captures/a/b.pcapng":            false,
		"/captures/a.pcapng":             false,
		"https://x/captures/a.pcapng":    false,
		"captures/a.pcapng\n":            false,
		"captures/a.pcapng?x":            false,
		"javascript:captures/a.pcapng":   false,
		"captures/A.pcapng":              false,
	} {
		if got := capture(lab.Verdict{Capture: in}); (got != "") != ok {
			t.Errorf("capture(%q) = %q, want it linked: %t", in, got, ok)
		}
	}
}

func TestShell(t *testing.T) {
	for in, want := range map[string]string{
		"go@1.26/openssl@trixie/x25519/clean": "go@1.26/openssl@trixie/x25519/clean",
		"x25519mlkem768>x25519":               "'x25519mlkem768>x25519'",
		"*x25519+~x25519mlkem768":             "'*x25519+~x25519mlkem768'",
		"it's $(reboot)":                      `'it'\''s $(reboot)'`,
		"a; rm -rf /":                         "'a; rm -rf /'",
		"":                                    "''",
	} {
		if got := shell(in); got != want {
			t.Errorf("shell(%q) = %s, want %s", in, got, want)
		}
	}
}

func TestNumber(t *testing.T) {
	for n, want := range map[int]string{0: "0", 999: "999", 1000: "1,000", 10500: "10,500", 1234567: "1,234,567", -1000: "-1,000", -100: "-100"} {
		if got := number(n); got != want {
			t.Errorf("number(%d) = %q, want %q", n, got, want)
		}
	}
}
