package browser

import (
	"bytes"
	"context"
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The kernel's tables, with one connection to 198.18.0.5:2001 and one to
// [2001:2::5]:2001 that is over.
const (
	tcpTable = `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 00000000:07E8 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 651 1
   1: 020011AC:D431 050012C6:07D1 02 00000000:00000000 00:00000000 00000000     0        0 652 1
`
	tcp6Table = `  sl  local_address                         remote_address                        st
   0: 000080FE000000000000000002000000:D431 02000120000000000000000005000000:07D1 06 00000000:00000000
`
)

func TestRemoteIn(t *testing.T) {
	for _, tt := range []struct {
		table, addr string
		want        bool
	}{
		{tcpTable, "198.18.0.5:2001", true},
		{tcpTable, "198.18.0.5:2002", false},
		{tcpTable, "198.18.0.6:2001", false},
		{tcpTable, "172.17.0.2:54321", false}, // its own end
		{tcp6Table, "[2001:2::5]:2001", false},
		{strings.Replace(tcp6Table, " 06 ", " 01 ", 1), "[2001:2::5]:2001", true},
		{strings.Replace(tcpTable, " 02 ", " 06 ", 1), "198.18.0.5:2001", false},
		{"", "198.18.0.5:2001", false},
	} {
		if got := remoteIn(strings.NewReader(tt.table), netip.MustParseAddrPort(tt.addr)); got != tt.want {
			t.Errorf("%s: %t in\n%s", tt.addr, got, tt.table)
		}
	}
}

func FuzzRemoteIn(f *testing.F) {
	f.Add([]byte(tcpTable))
	f.Add([]byte(tcp6Table))
	f.Fuzz(func(t *testing.T, table []byte) {
		for _, a := range []string{"198.18.0.5:2001", "[2001:2::5]:2001"} {
			addr := netip.MustParseAddrPort(a)
			if remoteIn(bytes.NewReader(table), addr) && !bytes.Contains(table, []byte(kernelAddr(addr))) {
				t.Errorf("%s found in %q", a, table)
			}
		}
	})
}

// testHosts is a hosts file and a kernel's table in a directory of the test's.
func testHosts(t *testing.T) *hosts {
	t.Helper()
	dir := t.TempDir()
	file := filepath.Join(dir, "hosts")
	if err := os.WriteFile(file, []byte("127.0.0.1 localhost\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	h, err := newHosts(file, dir)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// connect puts a connection to 198.18.0.5:2001 into the table.
func (h *hosts) connect(t *testing.T) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(h.procNet, "tcp"), []byte(tcpTable), 0o644); err != nil {
		t.Fatal(err)
	}
}

func (h *hosts) text(t *testing.T) string {
	t.Helper()
	b, err := os.ReadFile(h.file)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestNameMeansOneAddressAtATime(t *testing.T) {
	h := testHosts(t)
	first, second := netip.MustParseAddrPort("198.18.0.5:2001"), netip.MustParseAddrPort("[2001:2::6]:2001")
	began, released, ranSecond := make(chan struct{}), make(chan error, 1), make(chan struct{})
	go func() {
		released <- h.during(context.Background(), "hybridlab.test", first, nil, func() { close(began) })
	}()
	<-began
	if got := h.text(t); got != "127.0.0.1 localhost\n198.18.0.5 hybridlab.test\n" {
		t.Errorf("the file says %q", got)
	}
	over := make(chan struct{})
	go h.during(context.Background(), "hybridlab.test", second, over, func() { close(ranSecond) })
	select {
	case <-ranSecond:
		t.Fatal("two have the name at once")
	case err := <-released:
		t.Fatalf("the name is let go before there is a connection: %v", err)
	default:
	}
	h.connect(t)
	if err := <-released; err != nil {
		t.Fatal(err)
	}
	<-ranSecond
	if got := h.text(t); got != "127.0.0.1 localhost\n2001:2::6 hybridlab.test\n" {
		t.Errorf("the file says %q", got)
	}
	gone, cancel := context.WithCancel(context.Background())
	cancel()
	if err := h.during(gone, "hybridlab.test", first, nil, func() { t.Error("it ran out of turn") }); !errors.Is(err, context.Canceled) {
		t.Errorf("whoever gives up waiting: %v", err)
	}
	close(over) // a visit that failed makes no connection
	again := make(chan struct{})
	close(again)
	if err := h.during(context.Background(), "hybridlab.test", second, again, func() {}); err != nil {
		t.Errorf("after a failed visit: %v", err)
	}
}
