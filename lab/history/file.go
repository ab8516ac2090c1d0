package history

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"hybridlab/lab"
)

// Read reads a history. A broken line is an error that names it: a history
// that is read in part would be written back in part.
func Read(r io.Reader, name string) ([]Run, error) {
	var out []Run
	for run, err := range lab.Lines[Run](r, name) {
		if err != nil {
			return nil, err
		}
		if err := run.check(); err != nil {
			return nil, fmt.Errorf("read %s line %d: %w", name, len(out)+1, err)
		}
		if slices.ContainsFunc(out, func(o Run) bool { return o.ID == run.ID }) {
			return nil, fmt.Errorf("read %s line %d: run %q is there twice", name, len(out)+1, run.ID)
		}
		out = append(out, run)
	}
	slices.SortStableFunc(out, Run.compare)
	return out, nil
}

// Load reads the history in a file; one that does not exist is empty.
func Load(file string) ([]Run, error) {
	f, err := os.Open(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read history: %w", err)
	}
	defer f.Close()
	return Read(f, file)
}

// Enter puts runs into a history, in order of time, each once; it reports how
// many were not there.
func Enter(history []Run, runs ...Run) (out []Run, added int) {
	out = slices.Clone(history)
	for _, r := range runs {
		if i := slices.IndexFunc(out, func(o Run) bool { return o.ID == r.ID }); i >= 0 {
			out[i] = r
			continue
		}
		out = append(out, r)
		added++
	}
	slices.SortStableFunc(out, Run.compare)
	return out, added
}

func (r Run) compare(s Run) int { return r.Started.Compare(s.Started) }

// Write writes a history.
func Write(w io.Writer, history []Run) error {
	b := bufio.NewWriter(w)
	enc := json.NewEncoder(b)
	enc.SetEscapeHTML(false)
	for _, r := range history {
		if err := enc.Encode(r); err != nil {
			return err
		}
	}
	return b.Flush()
}

// Save replaces a file of history whole or not at all.
func Save(file string, history []Run) error {
	d := &lab.RunDir{Dir: filepath.Dir(file)}
	if err := os.MkdirAll(d.Dir, 0o755); err != nil {
		return fmt.Errorf("write history: %w", err)
	}
	return d.Replace(filepath.Base(file), func(w io.Writer) error { return Write(w, history) })
}
