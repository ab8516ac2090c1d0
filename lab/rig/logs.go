package rig

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// lastWords bounds the collection of logs: an interrupt must not wait.
const lastWords = time.Second

// saveLogs keeps what the long-lived servers printed, as the agent kept it:
// the first and the last 32 KiB. File names are ours, not the peers'.
func (f *containers) saveLogs(ctx context.Context) error {
	if f.logs == "" {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, lastWords)
	defer cancel()
	var mu sync.Mutex
	var errs []error
	var wg sync.WaitGroup
	for _, s := range f.stations {
		if s == nil {
			continue
		}
		for _, i := range s.running() {
			wg.Go(func() {
				res, err := s.agent.Stop(ctx, i.id)
				if err != nil {
					return // it went with its container, whose end the verdicts tell
				}
				text := fmt.Sprintf("%s as server, groups %s, on %s\n--- stdout\n%s\n--- stderr\n%s\n", s.peer.ID, i.req.Offer, i.addr, res.Stdout, res.Stderr)
				if err := save(f.logs, i.identity+".txt", text); err != nil {
					mu.Lock()
					defer mu.Unlock()
					errs = append(errs, err)
				}
			})
		}
	}
	wg.Wait()
	return errors.Join(errs...)
}

func save(dir, name, text string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("save log: %w", err)
	}
	if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
		return fmt.Errorf("save log: %w", err)
	}
	return nil
}

// running are the long-lived servers that came up.
func (s *station) running() []*instance {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []*instance
	for _, i := range s.servers {
		i.once.Do(func() { i.err = errNeverStarted }) // waits for one that is starting
		if i.err == nil {
			out = append(out, i)
		}
	}
	return out
}

var errNeverStarted = errors.New("it was never started")
