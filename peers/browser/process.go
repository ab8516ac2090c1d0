package browser

import (
	"fmt"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"
)

// process is a browser's program with all that it starts.
type process struct {
	cmd   *exec.Cmd
	done  chan struct{}
	words tail
}

// startProcess starts a browser with its home in dir and files as its file
// descriptors from 3 on.
func startProcess(argv []string, home string, env []string, files ...*os.File) (*process, error) {
	p := &process{cmd: exec.Command(argv[0], argv[1:]...), done: make(chan struct{})}
	p.cmd.Dir, p.cmd.ExtraFiles = home, files
	p.cmd.Env = append(append(os.Environ(), "HOME="+home), env...)
	p.cmd.Stdout, p.cmd.Stderr = &p.words, &p.words
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	p.cmd.WaitDelay = time.Second
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		p.cmd.Wait()
		close(p.done)
	}()
	return p, nil
}

func (p *process) ended() <-chan struct{} { return p.done }

// stop kills the program and whatever it started.
func (p *process) stop() {
	syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL)
	<-p.done
}

// explain adds the browser's last words to an error.
func (p *process) explain(err error) error {
	if words := p.words.String(); words != "" {
		return fmt.Errorf("%w (its last words: %q)", err, words)
	}
	return err
}

// tail keeps the end of what a program says.
type tail struct {
	mu   sync.Mutex
	text []byte
}

// maxWords is how much is kept, bytes.
const maxWords = 500

func (t *tail) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.text = append(t.text, b...)
	t.text = append(t.text[:0], t.text[max(0, len(t.text)-maxWords):]...)
	return len(b), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(t.text)
}
