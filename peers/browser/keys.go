package browser

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// keyLog is what the browser's SSLKEYLOGFILE names: a named pipe, so that
// thousands of visits fill no disk.
type keyLog struct {
	pipe *os.File

	mu      sync.Mutex
	lines   [][]byte
	dropped int // lines no longer kept, from the start
	size    int // bytes in lines
}

// keyLogEnv names the file a TLS library appends its secrets to.
const keyLogEnv = "SSLKEYLOGFILE"

// mostKeys bounds the lines kept, bytes: three hundred connections'. A capture
// takes twice that.
const mostKeys = 1 << 18

func newKeyLog(path string) (*keyLog, error) {
	if err := unix.Mkfifo(path, 0o600); err != nil {
		return nil, fmt.Errorf("make key log: %w", err)
	}
	// For writing as well: it never ends, and nobody waits to open it.
	pipe, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return nil, fmt.Errorf("make key log: %w", err)
	}
	if err := os.Setenv(keyLogEnv, path); err != nil {
		return nil, err
	}
	k := &keyLog{pipe: pipe}
	go k.read()
	return k, nil
}

func (k *keyLog) close() { k.pipe.Close() }

func (k *keyLog) read() {
	for rows := bufio.NewScanner(k.pipe); rows.Scan(); {
		k.add(bytes.Clone(rows.Bytes()))
	}
	io.Copy(io.Discard, k.pipe) // after a line that is none: nobody shall wait for a reader
}

func (k *keyLog) add(line []byte) {
	if len(line) == 0 || line[0] == '#' {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.lines, k.size = append(k.lines, line), k.size+len(line)+1
	for k.size > mostKeys {
		k.size -= len(k.lines[0]) + 1
		k.lines, k.dropped = k.lines[1:], k.dropped+1
	}
}

// mark is a place in the log: its end now.
func (k *keyLog) mark() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.dropped + len(k.lines)
}

// since is what came after a mark and is still kept.
func (k *keyLog) since(mark int) []byte {
	k.mu.Lock()
	defer k.mu.Unlock()
	lines := k.lines[min(max(0, mark-k.dropped), len(k.lines)):]
	if len(lines) == 0 {
		return nil
	}
	return append(bytes.Join(lines, []byte("\n")), '\n')
}

// Browsers write their log in a thread of its own, a moment after the fact.
const (
	quietTime = 10 * time.Millisecond // without a line: nothing is under way
	mostQuiet = 20                    // of these are waited at most
)

// settle waits until the log is quiet and, where secrets must come, something
// has come since the mark.
func (k *keyLog) settle(ctx context.Context, mark int, must bool) {
	tick := time.NewTicker(quietTime)
	defer tick.Stop()
	for last, n := -1, 0; n < mostQuiet; n++ {
		now := k.mark()
		if now == last && (now > mark || !must) {
			return
		}
		last = now
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}
