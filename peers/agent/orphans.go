package agent

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// reapOrphans looks for orphans whenever a command has ended: processes that
// left their command's group and lost their parent, so that the kernel made
// them children of the agent. Those of a command that is over are killed.
func (s *supervisor) reapOrphans() {
	for range s.wake {
		s.killOrphans()
	}
	s.killOrphans()
}

// killOrphans goes round until there is nothing to kill: what forks faster
// than it dies is found again.
func (s *supervisor) killOrphans() {
	for {
		victims := s.orphans()
		if len(victims) == 0 {
			return
		}
		for _, pid := range victims {
			syscall.Kill(pid, syscall.SIGKILL)
		}
		for _, pid := range victims {
			syscall.Wait4(pid, nil, 0, nil) // ours alone to wait for
		}
	}
}

// orphans lists the agent's children that are nobody's. The first look costs
// no lock; only when it finds somebody are forks held off for a second one,
// because between a fork and its entry in the books every child looks like
// an orphan.
func (s *supervisor) orphans() []int {
	suspects := children("/proc", os.Getpid())
	if suspects = s.unknown(suspects); len(suspects) == 0 {
		return nil
	}
	s.forks.Lock()
	defer s.forks.Unlock()
	return s.unknown(suspects)
}

// unknown leaves out direct children and what belongs to a live command.
func (s *supervisor) unknown(pids []int) (rest []int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, pid := range pids {
		if !s.pids[pid] && s.abandoned(mark("/proc", pid)) {
			rest = append(rest, pid)
		}
	}
	return rest
}

// abandoned says whether a process with that mark may go. PID 1 answers for
// every process of the container; anywhere else an unmarked one is not ours.
func (s *supervisor) abandoned(mark string) bool {
	id, ours := strings.CutPrefix(mark, s.mark)
	if ours {
		p, known := s.procs[id] // nil while it is being started
		return !known || p != nil && p.over()
	}
	return os.Getpid() == 1
}

// children lists the processes whose parent is ppid.
func children(proc string, ppid int) (pids []int) {
	dir, err := os.Open(proc)
	if err != nil {
		return nil
	}
	defer dir.Close()
	names, _ := dir.Readdirnames(-1)
	for _, name := range names {
		pid, err := strconv.Atoi(name)
		if err != nil {
			continue
		}
		stat, err := os.ReadFile(filepath.Join(proc, name, "stat"))
		if err == nil && parent(stat) == ppid {
			pids = append(pids, pid)
		}
	}
	return pids
}

// parent reads the parent's number from the text of /proc/PID/stat:
//
//	123 (any name, even with) brackets) S 1 ...
//
// It is -1 when there is none to read.
func parent(stat []byte) int {
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	if len(fields) < 2 {
		return -1
	}
	ppid, err := strconv.Atoi(string(fields[1]))
	if err != nil {
		return -1
	}
	return ppid
}

// mark reads the value of markEnv from the environment a process started with.
func mark(proc string, pid int) string {
	env, _ := os.ReadFile(filepath.Join(proc, strconv.Itoa(pid), "environ"))
	for entry := range bytes.SplitSeq(env, []byte{0}) {
		if value, ok := bytes.CutPrefix(entry, []byte(markEnv+"=")); ok {
			return string(value)
		}
	}
	return ""
}
