package agent

import (
	"bytes"
	"fmt"
	"strings"
	"sync"
	"time"
)

// Limits of what is kept of a command's output, in bytes. A peer may write a
// gigabyte; it costs reading time and nothing else.
const (
	halfOutput = 32 << 10 // of each stream: this much of its start and of its end
	maxLines   = 1 << 20  // all lines of a server together; the oldest go first
	maxLine    = 64 << 10 // one line; a longer one counts as several
)

// capped keeps the start and the end of a stream.
type capped struct {
	head, tail []byte
	cut        int64 // bytes dropped from the front of tail
}

func (c *capped) write(p []byte) {
	if room := halfOutput - len(c.head); room > 0 {
		n := min(room, len(p))
		c.head = append(c.head, p[:n]...)
		p = p[n:]
	}
	c.tail = append(c.tail, p...)
	if len(c.tail) > 2*halfOutput { // dropping in large steps keeps the copying small
		c.trim()
	}
}

func (c *capped) trim() {
	if extra := len(c.tail) - halfOutput; extra > 0 {
		c.cut += int64(extra)
		c.tail = append(c.tail[:0], c.tail[extra:]...)
	}
}

func (c *capped) bytes() []byte {
	c.trim()
	if c.cut == 0 {
		return append(c.head, c.tail...)
	}
	return append(fmt.Appendf(c.head, "\n[%d bytes cut here]\n", c.cut), c.tail...)
}

// watcher waits for a text in one or more streams.
type watcher struct {
	want []byte
	mu   sync.Mutex
	last []byte // end of the stream so far, shorter than want
	seen chan struct{}
	done bool
}

// newWatcher returns nil when ready is not a text to wait for.
func newWatcher(ready string) *watcher {
	if _, isPort := strings.CutPrefix(ready, readyPort); isPort || ready == "" {
		return nil
	}
	return &watcher{want: []byte(ready), seen: make(chan struct{})}
}

func (w *watcher) write(p []byte) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.done {
		return
	}
	w.last = append(w.last, p...)
	if bytes.Contains(w.last, w.want) {
		w.done = true
		close(w.seen)
	}
	keep := min(len(w.last), len(w.want)-1)
	w.last = append(w.last[:0], w.last[len(w.last)-keep:]...)
}

// lineSplitter cuts a stream into lines.
type lineSplitter struct{ partial []byte }

// cut returns the lines that p completes, without their ends; at the end of
// the stream also what is left.
func (s *lineSplitter) cut(p []byte, end bool) (lines []string) {
	s.partial = append(s.partial, p...)
	for {
		i := bytes.IndexByte(s.partial[:min(len(s.partial), maxLine+1)], '\n')
		switch {
		case i >= 0:
			lines = append(lines, strings.TrimSuffix(string(s.partial[:i]), "\r"))
			s.partial = s.partial[i+1:]
		case len(s.partial) > maxLine:
			lines = append(lines, string(s.partial[:maxLine]))
			s.partial = s.partial[maxLine:]
		default:
			if end && len(s.partial) > 0 {
				lines = append(lines, string(s.partial))
			}
			s.partial = append([]byte(nil), s.partial...)
			return lines
		}
	}
}

// lineLog keeps the latest lines of a server for those who wait for theirs.
type lineLog struct {
	mu     sync.Mutex
	lines  []string
	first  int // number of lines[0] since the start
	size   int // what lines cost
	closed bool
	more   chan struct{} // closed, and replaced, when there is something new
}

func newLineLog() *lineLog { return &lineLog{more: make(chan struct{})} }

func (l *lineLog) add(lines []string) {
	if len(lines) == 0 {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, line := range lines {
		l.size += cost(line)
	}
	l.lines = append(l.lines, lines...)
	for l.size > maxLines {
		l.size -= cost(l.lines[0])
		l.lines = l.lines[1:]
		l.first++
	}
	close(l.more)
	l.more = make(chan struct{})
}

// cost is what a line takes in memory: an empty one is not free.
func cost(line string) int { return len(line) + 32 }

// close says that no line will follow.
func (l *lineLog) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	close(l.more)
}

// find returns the lines that contain text: at most want of them, or all when
// want is 0. It waits up to wait, or to the end of the command, for as many.
func (l *lineLog) find(text string, want int, wait time.Duration) (found []string) {
	expired := time.NewTimer(wait)
	defer expired.Stop()
	for next := 0; ; {
		fresh, n, closed, more := l.since(next)
		for _, line := range fresh {
			if strings.Contains(line, text) {
				found = append(found, line)
				if len(found) == want {
					return found
				}
			}
		}
		if closed || want == 0 {
			return found
		}
		next = n
		select {
		case <-more:
		case <-expired.C:
			return found
		}
	}
}

// since returns the lines from number next on.
func (l *lineLog) since(next int) (fresh []string, n int, closed bool, more chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.lines[max(0, next-l.first):], l.first + len(l.lines), l.closed, l.more
}
