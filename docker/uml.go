package docker

import (
	"context"
	"fmt"
	"time"

	"github.com/moby/moby/api/types/container"
)

// KernelFolder is the folder of the image that Boot boots: user-mode Linux.
const KernelFolder = "uml"

// AnswerFile is where Boot's first process leaves its answer.
const AnswerFile = "/answer"

// bootTime is how long a kernel may run.
const bootTime = 10 * time.Minute

// Boot boots the kernel of an image of docker/uml, in a container without any
// network. Its first process is a static executable of this machine, which
// writes AnswerFile, whose content is returned, and ends the kernel
// (reboot(2)). Not what it prints: a console of this kernel does not wait for
// its reader, and stops at 16 kB.
//
// The kernel is a program that traces its own processes and runs code from
// the memory it keeps in /dev/shm: hence what the container may do beyond
// others. None of it concerns anything outside.
func (d *Daemon) Boot(ctx context.Context, image, binary string, args ...string) ([]byte, error) {
	if err := d.checkBinary(binary); err != nil {
		return nil, err
	}
	d.say("booting %s", image)
	ctx, cancel := context.WithTimeout(ctx, bootTime)
	defer cancel()
	answer, err := d.once(ctx, errand{
		image: image, binary: binary, memory: 1 << 30, file: AnswerFile,
		argv: append([]string{"linux.uml", "mem=256M", "root=/dev/root", "rootfstype=hostfs", "rootflags=/", "rw", "init=" + binaryPath,
			"con=null", "con0=null,fd:1", "quiet", "--"}, args...),
		limits: func(h *container.HostConfig) {
			h.SecurityOpt = []string{"seccomp=unconfined"}
			h.CapAdd = []string{"SYS_PTRACE"}
			h.Tmpfs = map[string]string{"/dev/shm": "exec,size=512m"}
		},
	})
	if err != nil {
		return nil, fmt.Errorf("boot image %q: %w", image, err)
	}
	return answer, nil
}
