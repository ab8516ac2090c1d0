package docker

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// owner names a process beyond doubt: a process id alone is used again after
// a while, after a restart, and in every container that has the daemon's
// socket.
type owner struct {
	host  string // machine, by name
	boot  string // boot id of its kernel
	space string // PID namespace
	pid   int
	start string // clock ticks from boot to the process's start
}

func (o owner) String() string {
	return strings.Join([]string{o.host, o.boot, o.space, strconv.Itoa(o.pid), o.start}, "/")
}

func parseOwner(text string) (o owner, err error) {
	f := strings.Split(text, "/")
	if len(f) != 5 {
		return owner{}, fmt.Errorf("parse owner %q: want host/boot/namespace/pid/start", text)
	}
	o = owner{host: f[0], boot: f[1], space: f[2], start: f[4]}
	if o.pid, err = strconv.Atoi(f[3]); err != nil || o.pid <= 0 {
		return owner{}, fmt.Errorf("parse owner %q: %q is no process id", text, f[3])
	}
	return o, nil
}

// self is the owner of what this process creates. proc is "/proc".
func self(proc string) (o owner, err error) {
	o.pid = os.Getpid()
	if o.host, err = os.Hostname(); err != nil {
		return owner{}, err
	}
	boot, err := os.ReadFile(filepath.Join(proc, "sys/kernel/random/boot_id"))
	if err != nil {
		return owner{}, err
	}
	o.boot = string(bytes.TrimSpace(boot))
	if o.space, err = os.Readlink(filepath.Join(proc, "self/ns/pid")); err != nil {
		return owner{}, err
	}
	if o.start, err = startTime(proc, o.pid); err != nil {
		return owner{}, err
	}
	return o, nil
}

// dead says whether the process o is certainly gone, as seen by the process
// me. What cannot be seen from here (another machine at the same daemon,
// another PID namespace) is taken for alive.
func (o owner) dead(me owner, proc string) bool {
	switch {
	case o.host != me.host:
		return false
	case o.boot != me.boot:
		return true // the machine was restarted
	case o.space != me.space:
		return false
	}
	start, err := startTime(proc, o.pid)
	return errors.Is(err, os.ErrNotExist) || err == nil && start != o.start
}

// startTime reads when a process started, in clock ticks after boot: the
// 22nd field of its stat file, counted after the name, which may contain
// anything.
func startTime(proc string, pid int) (string, error) {
	stat, err := os.ReadFile(filepath.Join(proc, strconv.Itoa(pid), "stat"))
	if err != nil {
		return "", err
	}
	f := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	if len(f) < 20 {
		return "", fmt.Errorf("read start time of process %d: only %d fields in its stat file", pid, len(f))
	}
	return string(f[19]), nil
}
