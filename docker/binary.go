package docker

import (
	"debug/elf"
	"fmt"
)

// machines are ELF machine numbers by the daemon's names for them.
var machines = map[string]elf.Machine{
	"amd64": elf.EM_X86_64, "arm64": elf.EM_AARCH64, "386": elf.EM_386, "arm": elf.EM_ARM,
	"ppc64le": elf.EM_PPC64, "s390x": elf.EM_S390, "riscv64": elf.EM_RISCV,
}

// checkBinary makes sure that an executable runs in any container of the
// daemon: for its processor, and without a C library that may be another
// there, or none.
func (d *Daemon) checkBinary(file string) error {
	f, err := elf.Open(file)
	if err != nil {
		return fmt.Errorf("check executable %q: %w", file, err)
	}
	defer f.Close()
	if want, known := machines[d.Arch]; known && f.Machine != want {
		return fmt.Errorf("check executable %q: it is for %v, the daemon's containers are %s (build with GOARCH=%s)", file, f.Machine, d.Arch, d.Arch)
	}
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP {
			return fmt.Errorf("check executable %q: it is dynamically linked (build with CGO_ENABLED=0)", file)
		}
	}
	return nil
}
