package main

import (
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/schollz/progressbar/v3"

	"hybridlab/lab"
)

// progress shows how far a run is: a bar with rate and time left on a
// terminal, a line now and then elsewhere.
type progress struct {
	mu       sync.Mutex
	w        io.Writer
	bar      *progressbar.ProgressBar
	total    int
	done     int
	findings int
	started  time.Time
	lastLine time.Time
}

// quietFor is the time between two lines where there is no terminal.
const quietFor = 5 * time.Second

func newProgress(w io.Writer, tty bool, total int) *progress {
	p := &progress{w: w, total: total, started: time.Now(), lastLine: time.Now()}
	if tty {
		p.bar = progressbar.NewOptions(total,
			progressbar.OptionSetWriter(w), progressbar.OptionShowCount(), progressbar.OptionShowIts(),
			progressbar.OptionSetItsString("cells"), progressbar.OptionSetPredictTime(true),
			progressbar.OptionThrottle(100*time.Millisecond), progressbar.OptionClearOnFinish(),
			progressbar.OptionSetDescription("handshakes"))
	}
	return p
}

// add counts one verdict.
func (p *progress) add(v lab.Verdict) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.done++
	if v.Outcome.Finding() {
		p.findings++
	}
	if p.bar != nil {
		p.bar.Describe(fmt.Sprintf("handshakes, %d findings", p.findings))
		p.bar.Add(1)
		return
	}
	if now := time.Now(); now.Sub(p.lastLine) >= quietFor {
		p.lastLine = now
		p.line(now)
	}
}

func (p *progress) line(now time.Time) {
	rate := float64(p.done) / now.Sub(p.started).Seconds()
	left := time.Duration(float64(p.total-p.done)/rate*1e9) * time.Nanosecond
	fmt.Fprintf(p.w, "%d of %d cells, %.0f/s, about %s left, %d findings\n", p.done, p.total, rate, left.Round(time.Second), p.findings)
}

// end clears the bar and says how it went.
func (p *progress) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.bar != nil {
		p.bar.Clear()
	}
	took := time.Since(p.started)
	fmt.Fprintf(p.w, "%d of %d cells in %s, %.0f cells/s\n", p.done, p.total, took.Round(10*time.Millisecond), float64(p.done)/took.Seconds())
}
