package agent

import (
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// stopGrace is how long a command may take to obey SIGTERM.
	stopGrace = 500 * time.Millisecond
	// pipeGrace is how long output is still read after the end of a command
	// when something that left its process group holds the pipes open.
	pipeGrace = 100 * time.Millisecond
	// maxOutput bounds a returned file, bytes.
	maxOutput = 1 << 20
)

// process is a running command. It is started by os.StartProcess and not by
// os/exec, because the group has to be killed between the end of its leader
// and the leader's reaping: afterwards the number may belong to somebody else.
type process struct {
	id, dir string
	outputs []string
	pid     int
	proc    *os.Process
	timer   *time.Timer // nil: no limit

	stdin          *os.File   // our end of the pipe; nil: /dev/null
	pipes          []*os.File // our ends of the output pipes
	readers        sync.WaitGroup
	stdout, stderr capped
	lines          *lineLog // nil: nobody will ask
	ready          *watcher // nil: output does not say it

	mu       sync.Mutex
	reaped   bool
	timedOut bool
	told     bool // to end
	byItself bool // it ended without being told
	state    *os.ProcessState
	done     chan struct{} // closed when result is there
	result   Result
}

// newProcess forks. The caller has to reap and finish it.
func newProcess(id, dir string, c Command, env []string, lines *lineLog) (*process, error) {
	if len(c.Argv) == 0 {
		return nil, errors.New("no program given")
	}
	path, err := exec.LookPath(c.Argv[0])
	if err != nil {
		return nil, err
	}
	p := &process{id: id, dir: dir, outputs: c.Outputs, lines: lines, ready: newWatcher(c.Ready), done: make(chan struct{})}
	files, err := p.openStdio(len(c.Stdin) > 0 || c.HoldStdin)
	defer closeAll(files)
	if err == nil {
		attr := &os.ProcAttr{Dir: c.Dir, Env: env, Files: files, Sys: &syscall.SysProcAttr{Setpgid: true}}
		if attr.Dir == "" {
			attr.Dir = dir
		}
		p.proc, err = os.StartProcess(path, inDir(c.Argv, dir), attr)
	}
	if err != nil {
		closeAll(append(p.pipes, p.stdin))
		return nil, err
	}
	p.pid = p.proc.Pid
	p.follow(c)
	return p, nil
}

// openStdio makes the child's standard files and keeps our ends of the pipes.
func (p *process) openStdio(pipedIn bool) (files []*os.File, err error) {
	var in *os.File
	if pipedIn {
		in, p.stdin, err = os.Pipe()
	} else {
		in, err = os.Open(os.DevNull)
	}
	files = append(files, in)
	for i := 0; i < 2 && err == nil; i++ {
		var r, w *os.File
		if r, w, err = os.Pipe(); err == nil {
			p.pipes, files = append(p.pipes, r), append(files, w)
		}
	}
	return files, err
}

func closeAll(files []*os.File) {
	for _, f := range files {
		f.Close() // of a nil file: harmless
	}
}

// follow starts what goes on beside the running command.
func (p *process) follow(c Command) {
	p.readers.Add(2)
	go p.read(p.pipes[0], &p.stdout)
	go p.read(p.pipes[1], &p.stderr)
	if p.stdin != nil {
		go p.feed(c.Stdin, c.HoldStdin)
	}
	if c.Timeout > 0 {
		p.timer = time.AfterFunc(c.Timeout, p.expire)
	}
}

func (p *process) read(r *os.File, keep *capped) {
	defer p.readers.Done()
	defer r.Close()
	var split lineSplitter
	take := func(chunk []byte, end bool) {
		keep.write(chunk)
		if p.ready != nil {
			p.ready.write(chunk)
		}
		if p.lines != nil {
			p.lines.add(split.cut(chunk, end))
		}
	}
	for buf := make([]byte, 16<<10); ; {
		n, err := r.Read(buf)
		take(buf[:n], false)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			take(inPipe(r), false)
		}
		if err != nil {
			take(nil, true)
			return
		}
	}
}

// pipeSize is how much a pipe holds, bytes (pipe(7)).
const pipeSize = 64 << 10

// inPipe reads what is in a pipe, without waiting for more. After its
// deadline Read fails without looking, and on a busy machine what it did not
// look at may be all that the command wrote.
func inPipe(r *os.File) []byte {
	raw, err := r.SyscallConn()
	if err != nil {
		return nil
	}
	buf, n := make([]byte, pipeSize), 0
	raw.Control(func(fd uintptr) {
		for n < len(buf) {
			m, err := unix.Read(int(fd), buf[n:])
			if err == unix.EINTR {
				continue
			}
			if m <= 0 {
				return
			}
			n += m
		}
	})
	return buf[:n]
}

func (p *process) feed(in []byte, hold bool) {
	p.stdin.Write(in) // a command that does not read is no fault of the agent's
	if !hold {
		p.stdin.Close()
	}
}

// signal signals the whole group, as long as it is certain whose it is.
func (p *process) signal(sig syscall.Signal) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.reaped {
		p.told = true
		syscall.Kill(-p.pid, sig)
	}
}

// expire ends a command whose time is up, unless it just ended by itself.
func (p *process) expire() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.reaped {
		p.timedOut = true
		syscall.Kill(-p.pid, syscall.SIGKILL)
	}
}

func (p *process) kill() { p.signal(syscall.SIGKILL) }

// stop ends the command, after a while and by force if need be.
func (p *process) stop(after time.Duration) {
	for _, step := range []struct {
		wait time.Duration
		sig  syscall.Signal
	}{{after, syscall.SIGTERM}, {stopGrace, syscall.SIGKILL}} {
		select {
		case <-p.done:
			return
		case <-time.After(step.wait):
			p.signal(step.sig)
		}
	}
}

// reap waits for the end of the command and takes its group along.
func (p *process) reap() {
	for {
		err := unix.Waitid(unix.P_PID, p.pid, nil, unix.WEXITED|unix.WNOWAIT, nil)
		if err != unix.EINTR {
			break
		}
	}
	p.mu.Lock()
	p.byItself = !p.told && !p.timedOut
	p.mu.Unlock()
	p.kill()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.state, _ = p.proc.Wait()
	p.reaped = true
}

// over says whether the command has ended.
func (p *process) over() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.reaped
}

// finish collects what the command left behind.
func (p *process) finish() {
	if p.timer != nil {
		p.timer.Stop()
	}
	end := time.Now().Add(pipeGrace)
	for _, r := range p.pipes {
		r.SetReadDeadline(end)
	}
	p.readers.Wait()
	p.stdin.Close()
	if p.lines != nil {
		p.lines.close()
	}
	p.result = Result{
		Exit: exitCode(p.state), TimedOut: p.timedOut, ByItself: p.byItself,
		Stdout: p.stdout.bytes(), Stderr: p.stderr.bytes(),
		Files: collect(p.dir, p.outputs),
	}
	if p.state != nil {
		p.result.CPU = p.state.UserTime() + p.state.SystemTime()
	}
	os.RemoveAll(p.dir)
	close(p.done)
}

// exitCode is the shell's: 128+n for a command killed by signal n.
func exitCode(s *os.ProcessState) int {
	if s == nil {
		return -1
	}
	if ws, ok := s.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
		return 128 + int(ws.Signal())
	}
	return s.ExitCode()
}

// collect reads the wanted files that are there.
func collect(dir string, names []string) map[string][]byte {
	files := map[string][]byte{}
	for _, name := range names {
		if data, err := readFile(dir, name); err == nil {
			files[name] = data
		}
	}
	return files
}

// readFile reads a file the peer wrote, and only a file: no link to
// somewhere else, no pipe that never ends.
func readFile(dir, name string) ([]byte, error) {
	if !plain(name) {
		return nil, errors.New("not a plain name")
	}
	f, err := os.OpenFile(filepath.Join(dir, name), os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if st, err := f.Stat(); err != nil || !st.Mode().IsRegular() {
		return nil, errors.New("not a regular file")
	}
	return io.ReadAll(io.LimitReader(f, maxOutput))
}

// lastWords is the end of what a command said, for an error message.
func (r Result) lastWords() []byte {
	words := r.Stderr
	if len(words) == 0 {
		words = r.Stdout
	}
	return words[max(0, len(words)-1024):]
}
