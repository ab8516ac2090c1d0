package agent

import (
	"strings"
	"testing"
)

func TestListening(t *testing.T) {
	for _, tc := range []struct {
		ready string
		want  bool
		why   string
	}{
		{"tcp:4433", true, "one IPv4 address"},
		{"tcp:6116", true, "every IPv4 address"},
		{"tcp:4435", true, "every IPv6 address"},
		{"tcp:54321", false, "a connection's own port is not a listening one"},
		{"tcp:4434", false, "after the first connection the kernel lists no listening socket"},
		{"tcp:41665", false, "loopback, IPv4"},
		{"tcp:4436", false, "loopback, IPv6"},
		{"tcp:9", false, "not there"},
		{"ACCEPT", false, "a text, not a port"},
	} {
		if got, err := listening("testdata/net", tc.ready); err != nil || got != tc.want {
			t.Errorf("listening(%q) = %v, %v; want %v (%s)", tc.ready, got, err, tc.want, tc.why)
		}
	}
	for _, bad := range []string{"tcp:", "tcp:0", "tcp:65536", "tcp:https", "tcp:-1"} {
		if _, err := listening("testdata/net", bad); err == nil || !strings.Contains(err.Error(), "tcp:PORT") {
			t.Errorf("listening(%q): error %v does not say what is wanted", bad, err)
		}
	}
	if got, err := listening(t.TempDir(), "tcp:4433"); got || err != nil {
		t.Errorf("listening without tables: %v, %v", got, err)
	}
}

func FuzzListensIn(f *testing.F) {
	f.Add("heading\n 0: 00000000:1151 00000000:0000 0A x\n")
	f.Add("heading\n 0: : 0A\n\n")
	f.Fuzz(func(t *testing.T, table string) {
		if listensIn(strings.NewReader(table), 4433) && !strings.Contains(table, "1151") {
			t.Errorf("found port 4433 in %q", table)
		}
	})
}
