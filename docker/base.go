package docker

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"time"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/moby/moby/client"
)

// pullTime is how long a registry may take over the base image (30 MB).
const pullTime = 3 * time.Minute

// A suite is a Debian release by its code name.
var suiteName = regexp.MustCompile(`^[a-z]{3,20}$`)

// Base returns a reference to a base image of a Debian suite ("trixie"). It
// is debian:<suite>-slim if that is here or a registry answers; otherwise
// hybridlab-base:<suite>, bootstrapped from the Debian archive once (20 s).
func (d *Daemon) Base(ctx context.Context, suite string) (ref string, err error) {
	if !suiteName.MatchString(suite) {
		return "", fmt.Errorf("find base image: %q is not a Debian suite (want a code name such as \"trixie\")", suite)
	}
	official, own := "debian:"+suite+"-slim", "hybridlab-base:"+suite
	for _, ref := range []string{official, own} {
		switch _, err := d.ImageID(ctx, ref); {
		case err == nil:
			return ref, nil
		case !cerrdefs.IsNotFound(err):
			return "", err
		}
	}
	pullErr := d.pull(ctx, official)
	if pullErr == nil {
		return official, nil
	}
	if ctx.Err() != nil {
		return "", pullErr
	}
	if err := d.bootstrap(ctx, suite, own); err != nil {
		return "", fmt.Errorf("make base image %s: %w (and before that: %v)", own, err, pullErr)
	}
	return own, nil
}

func (d *Daemon) pull(ctx context.Context, ref string) error {
	d.say("pulling %s", ref)
	ctx, cancel := context.WithTimeout(ctx, pullTime)
	defer cancel()
	answer, err := d.cli.ImagePull(ctx, ref, client.ImagePullOptions{})
	if err == nil {
		err = answer.Wait(ctx)
	}
	if err != nil {
		return fmt.Errorf("pull %s: %w", ref, err)
	}
	return nil
}

// bootstrap makes the base image from the Debian archive. The archive's
// packages are verified by mmdebstrap with Debian's own keys.
func (d *Daemon) bootstrap(ctx context.Context, suite, ref string) error {
	if err := d.needMmdebstrap(ctx); err != nil {
		return err
	}
	d.say("no registry answers: bootstrapping %s from the Debian archive", ref)
	cmd := exec.CommandContext(ctx, "mmdebstrap", "--variant=minbase", "--format=tar",
		// Testing's and unstable's lists expire within days, and a mirror may
		// be older; the signature is checked all the same.
		`--aptopt=Acquire::Check-Valid-Until "false"`, suite, "-")
	cmd.Env = append(os.Environ(), "LC_ALL=C")
	cmd.WaitDelay = time.Second
	errs := new(bytes.Buffer)
	cmd.Stderr = errs
	r, w := io.Pipe()
	cmd.Stdout = w
	go func() {
		// A failure tears the upload, so that half a system never becomes an image.
		w.CloseWithError(explain(cmd.Run(), errs.Bytes()))
	}()
	return d.importImage(ctx, r, ref)
}

// explain adds the end of what a program said to its error.
func explain(err error, said []byte) error {
	if err == nil {
		return nil
	}
	said = bytes.TrimSpace(said[max(0, len(said)-2048):])
	return fmt.Errorf("%w: %s", err, said)
}

func (d *Daemon) importImage(ctx context.Context, tar *io.PipeReader, ref string) error {
	defer tar.Close()
	source := client.ImageImportSource{Source: tar, SourceName: "-"}
	answer, err := d.cli.ImageImport(ctx, source, ref, client.ImageImportOptions{
		Changes: []string{"LABEL " + imageLabel + "=base", `CMD ["/bin/sh"]`},
	})
	if err != nil {
		return fmt.Errorf("import: %w", err)
	}
	defer answer.Close()
	_, err = readStream(answer)
	return err
}

// needMmdebstrap installs mmdebstrap where that is possible.
func (d *Daemon) needMmdebstrap(ctx context.Context) error {
	if _, err := exec.LookPath("mmdebstrap"); err == nil {
		return nil
	}
	_, err := exec.LookPath("apt-get")
	if err != nil || os.Geteuid() != 0 {
		return errors.New("mmdebstrap is missing: install the packages mmdebstrap and debian-archive-keyring, or let Docker reach a registry")
	}
	d.say("installing mmdebstrap")
	for _, args := range [][]string{
		{"update"},
		{"install", "-y", "--no-install-recommends", "mmdebstrap", "debian-archive-keyring"},
	} {
		cmd := exec.CommandContext(ctx, "apt-get", args...)
		cmd.Env = append(os.Environ(), "LC_ALL=C", "DEBIAN_FRONTEND=noninteractive")
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("install mmdebstrap: apt-get %s: %w", strings.Join(args, " "), explain(err, out))
		}
	}
	return nil
}

// readStream reads the daemon's progress report of a build or an import to
// its end and returns the last lines of its text. An error in the report is
// an error here, with those lines.
func readStream(r io.Reader) (tail string, err error) {
	var said bytes.Buffer
	for dec := json.NewDecoder(r); ; {
		var m struct{ Stream, Status, Error string }
		err := dec.Decode(&m)
		if err == io.EOF {
			return said.String(), nil
		}
		if err != nil {
			return said.String(), fmt.Errorf("read the daemon's report: %w", err)
		}
		said.WriteString(m.Stream)
		if extra := said.Len() - maxReport; extra > 0 {
			said.Next(extra)
		}
		if m.Error != "" {
			return said.String(), explain(errors.New(m.Error), said.Bytes())
		}
	}
}

// maxReport bounds what is kept of a build's output, bytes.
const maxReport = 4 << 10
