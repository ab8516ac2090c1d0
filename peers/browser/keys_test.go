package browser

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// testKeys is a key log, and what a browser's library writes to it.
func testKeys(t *testing.T) (*keyLog, *os.File) {
	t.Helper()
	t.Setenv(keyLogEnv, "") // put back afterwards
	k, err := newKeyLog(filepath.Join(t.TempDir(), "keys"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(k.close)
	w, err := os.OpenFile(os.Getenv(keyLogEnv), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.Close() })
	return k, w
}

func TestKeyLog(t *testing.T) {
	k, w := testKeys(t)
	fmt.Fprint(w, "# SSL/TLS secrets log file\nCLIENT_RANDOM 01 02\n")
	k.settle(context.Background(), 0, true)
	mark := k.mark()
	if got := string(k.since(0)); mark != 1 || got != "CLIENT_RANDOM 01 02\n" {
		t.Fatalf("%d lines: %q", mark, got)
	}
	if got := k.since(mark); got != nil {
		t.Errorf("nothing came since, and it says %q", got)
	}
	fmt.Fprint(w, "CLIENT_RANDOM 03 04\nCLIENT_RANDOM 05 06\n")
	k.settle(context.Background(), mark, true)
	if got := string(k.since(mark)); got != "CLIENT_RANDOM 03 04\nCLIENT_RANDOM 05 06\n" {
		t.Errorf("since the mark: %q", got)
	}
	k.settle(context.Background(), k.mark(), true) // what must come and does not is not waited for for ever
}

func TestKeyLogIsBounded(t *testing.T) {
	k := &keyLog{}
	line := []byte(strings.Repeat("x", 99))
	mark := k.mark()
	for range 3 * mostKeys / 100 {
		k.add(line)
	}
	if got := len(k.since(mark)); got > mostKeys || got < mostKeys-100 {
		t.Errorf("%d bytes are kept of %d; the most is %d", got, 3*mostKeys, mostKeys)
	}
	late := k.mark()
	k.add([]byte("last"))
	if got := string(k.since(late)); got != "last\n" {
		t.Errorf("since a late mark: %q", got)
	}
}
