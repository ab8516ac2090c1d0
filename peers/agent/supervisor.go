package agent

import (
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/sys/unix"

	"hybridlab/docker/control"
)

// supervisor keeps the books of the agent's commands.
type supervisor struct {
	base string   // parent of the private directories
	env  []string // what every command inherits
	mark string   // prefix of markEnv's value: tells this supervisor's children from others'

	mu     sync.Mutex
	procs  map[string]*process // nil value: the id is taken, the process not started yet
	doomed map[string]bool     // killed before they were started
	pids   map[int]bool        // direct children that are not reaped yet
	closed bool

	// forks is held for reading from before a fork until the child is in
	// pids, so that whoever holds it for writing knows every direct child.
	forks   sync.RWMutex
	wake    chan struct{} // something ended: look for orphans
	running sync.WaitGroup
	reaper  sync.WaitGroup
}

// markEnv names the command a process belongs to, in its environment: the
// only trace that survives leaving the process group and losing the parent.
const markEnv = "HYBRIDLAB_COMMAND"

func newSupervisor(base string) (*supervisor, error) {
	if err := os.MkdirAll(base, 0o700); err != nil {
		return nil, fmt.Errorf("make the commands' directory: %w", err)
	}
	// PID 1 inherits orphans anyway; elsewhere (tests) this makes it so.
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return nil, fmt.Errorf("become a subreaper: %w", err)
	}
	s := &supervisor{
		base: base, mark: rand.Text()[:8] + "-",
		procs: map[string]*process{}, doomed: map[string]bool{}, pids: map[int]bool{},
		wake: make(chan struct{}, 1),
	}
	s.env = mergeEnv(os.Environ(), nil, control.TokenEnv)
	s.reaper.Go(s.reapOrphans)
	return s, nil
}

// close kills every command and waits until none is left.
func (s *supervisor) close() {
	s.mu.Lock()
	s.closed = true
	for _, p := range s.procs {
		if p != nil {
			p.kill()
		}
	}
	s.mu.Unlock()
	s.forks.Lock()
	//lint:ignore SA2001 from here on launch refuses, and what it launched is counted
	s.forks.Unlock()
	s.running.Wait()
	close(s.wake)
	s.reaper.Wait()
}

// start starts a command under an id that was not used before.
func (s *supervisor) start(id string, c Command, lines *lineLog) (*process, error) {
	if err := s.reserve(id); err != nil {
		return nil, err
	}
	p, err := s.launch(id, c, lines)
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil {
		delete(s.procs, id)
		return nil, fmt.Errorf("start %q: %w", c.Argv, err)
	}
	s.procs[id] = p
	if s.doomed[id] || s.closed {
		delete(s.doomed, id)
		p.kill()
	}
	return p, nil
}

func (s *supervisor) reserve(id string) error {
	if _, err := strconv.ParseUint(id, 10, 64); err != nil { // it becomes a file name
		return fmt.Errorf("start a command: id %q is not a number", id)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	_, taken := s.procs[id]
	switch {
	case taken:
		return fmt.Errorf("start a command: id %q is taken", id)
	case s.doomed[id]:
		delete(s.doomed, id)
		return fmt.Errorf("start a command: %q was killed before it started", id)
	}
	s.procs[id] = nil
	return nil
}

// launch forks. The private directory is removed when the process is done.
func (s *supervisor) launch(id string, c Command, lines *lineLog) (*process, error) {
	dir := filepath.Join(s.base, id)
	if err := furnish(dir, c.Files); err != nil {
		os.RemoveAll(dir)
		return nil, err
	}
	env := append(c.Env[:len(c.Env):len(c.Env)], markEnv+"="+s.mark+id)
	s.forks.RLock()
	defer s.forks.RUnlock()
	p, err := s.fork(id, dir, c, mergeEnv(s.env, inDir(env, dir)), lines)
	if err != nil {
		os.RemoveAll(dir)
		return nil, err
	}
	s.running.Go(func() {
		p.reap()
		s.ended(p.pid)
		p.finish()
	})
	return p, nil
}

// fork makes the process and enters it in the books.
func (s *supervisor) fork(id, dir string, c Command, env []string, lines *lineLog) (*process, error) {
	if s.isClosed() {
		return nil, errClosed
	}
	p, err := newProcess(id, dir, c, env, lines)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pids[p.pid] = true
	return p, nil
}

func (s *supervisor) isClosed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closed
}

var errClosed = errors.New("the agent is shutting down")

func (s *supervisor) ended(pid int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.pids, pid)
	if s.closed {
		return
	}
	select {
	case s.wake <- struct{}{}:
	default: // a look at everything is due already
	}
}

func (s *supervisor) find(id string) (*process, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if p := s.procs[id]; p != nil {
		return p, nil
	}
	return nil, fmt.Errorf("find command %q: it was never started, or its result was fetched", id)
}

func (s *supervisor) forget(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.procs, id)
}

// doom kills the command, now or as soon as it starts.
func (s *supervisor) doom(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if p := s.procs[id]; p != nil {
		p.kill()
		return
	}
	if len(s.doomed) < maxDoomed {
		s.doomed[id] = true
	}
}

// maxDoomed bounds what kills that came too late leave behind.
const maxDoomed = 1 << 16

// furnish makes a private directory with files in it.
func furnish(dir string, files map[string][]byte) error {
	if err := os.Mkdir(dir, 0o700); err != nil {
		return fmt.Errorf("make private directory: %w", err)
	}
	for name, data := range files {
		if !plain(name) {
			return fmt.Errorf("write file %q: the name must be plain, without directories", name)
		}
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			return fmt.Errorf("write file: %w", err)
		}
	}
	return nil
}

// plain says whether name is the name of a file in a directory, not a path.
func plain(name string) bool {
	return filepath.IsLocal(name) && name != "." && !strings.ContainsRune(name, filepath.Separator)
}

// inDir replaces {dir} in every string.
func inDir(list []string, dir string) []string {
	out := make([]string, len(list))
	for i, s := range list {
		out[i] = strings.ReplaceAll(s, "{dir}", dir)
	}
	return out
}

// mergeEnv is base with extra on top, each variable once (C libraries
// disagree on which of two counts) and those in without left out.
func mergeEnv(base, extra []string, without ...string) []string {
	seen := map[string]bool{}
	for _, key := range without {
		seen[key] = true
	}
	var env []string
	for _, list := range [][]string{extra, base} {
		for i := len(list) - 1; i >= 0; i-- { // within a list the last one counts
			key, _, _ := strings.Cut(list[i], "=")
			if !seen[key] {
				seen[key] = true
				env = append(env, list[i])
			}
		}
	}
	return env
}
