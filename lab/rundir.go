package lab

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"regexp"

	"hybridlab/lab/capture"
)

// Names inside a run directory.
const (
	ReportFile       = "report.json"        // Report
	VerdictsFile     = "verdicts.jsonl"     // one Verdict a line
	ObservationsFile = "observations.jsonl" // one Observation a line: every attempt, controls included
	JUnitFile        = "junit.xml"
	IndexFile        = "index.html"
	CellsFile        = "cells.csv"
	MetricsFile      = "metrics.prom" // the counts as Prometheus has them
	OTLPFile         = "metrics.json" // and as OpenTelemetry has them
	CapturesDir      = "captures"
	LogsDir          = "logs"
)

// RunDir is a run directory on disk, complete or cut short.
type RunDir struct {
	Dir    string
	Report Report

	packed fs.FS // nil: it is the directory Dir
}

// OpenRun reads the head of a run directory. A run that was killed opens
// too: its report says it never ended.
func OpenRun(dir string) (*RunDir, error) { return openRun(&RunDir{Dir: dir}) }

// OpenPacked is OpenRun for a run directory inside something else, to be read
// only; name is for error messages.
func OpenPacked(packed fs.FS, name string) (*RunDir, error) {
	return openRun(&RunDir{Dir: name, packed: packed})
}

// files are those of the run.
func (d *RunDir) files() fs.FS {
	if d.packed != nil {
		return d.packed
	}
	return os.DirFS(d.Dir)
}

func openRun(d *RunDir) (*RunDir, error) {
	dir := d.Dir
	b, err := fs.ReadFile(d.files(), ReportFile)
	if err != nil {
		return nil, fmt.Errorf("open run %q: %w (want a directory written by hybridlab run)", dir, err)
	}
	if err := strict(b, &d.Report); err != nil {
		return nil, fmt.Errorf("open run %q: read %s: %w", dir, ReportFile, err)
	}
	if d.Report.Schema != SchemaVersion {
		return nil, fmt.Errorf("open run %q: schema %d, this hybridlab reads %d", dir, d.Report.Schema, SchemaVersion)
	}
	return d, nil
}

// Verdicts reads verdicts.jsonl line by line. A broken line is an error that
// names it, and ends the sequence.
func (d *RunDir) Verdicts() iter.Seq2[Verdict, error] {
	return lines[Verdict](d, VerdictsFile)
}

// Observations reads observations.jsonl line by line, like Verdicts.
func (d *RunDir) Observations() iter.Seq2[Observation, error] {
	return lines[Observation](d, ObservationsFile)
}

// CaptureName reports whether name is one that a Recorder gives to a capture:
// what comes from a file must not become any other path.
func CaptureName(name string) bool { return captureNames.MatchString(name) }

var captureNames = regexp.MustCompile(`^` + CapturesDir + `/[0-9a-z-]+\.pcapng$`)

// Ladder reads the account of an attempt from its capture, a name as verdicts
// and observations have it. From a damaged file it returns the account of what
// comes before the damage, with the error.
func (d *RunDir) Ladder(name string) (Ladder, error) {
	f, err := d.OpenCapture(name)
	if err != nil {
		return Ladder{}, err
	}
	defer f.Close()
	packets, _, err := capture.ReadPcapng(f)
	if err != nil {
		err = fmt.Errorf("read capture %s: %w", name, err)
	}
	return NewLadder(packets), err
}

// OpenCapture opens a capture of the run, by a name as verdicts have it.
func (d *RunDir) OpenCapture(name string) (fs.File, error) {
	if !CaptureName(name) {
		return nil, fmt.Errorf("read capture %q: want %s/NAME.pcapng", name, CapturesDir)
	}
	f, err := d.files().Open(name)
	if err != nil {
		return nil, fmt.Errorf("read capture: %w", err)
	}
	return f, nil
}

// SaveReport replaces report.json whole or not at all.
func (d *RunDir) SaveReport() error {
	b, err := json.MarshalIndent(d.Report, "", "  ")
	if err != nil {
		return fmt.Errorf("encode %s: %w", ReportFile, err)
	}
	return d.Replace(ReportFile, func(w io.Writer) error {
		_, err := w.Write(append(b, '\n'))
		return err
	})
}

// Replace writes a file of the run beside the old one and renames it, so
// that a crash leaves the one or the other.
func (d *RunDir) Replace(name string, write func(io.Writer) error) (err error) {
	f, err := os.CreateTemp(d.Dir, "."+name+"-*")
	if err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	defer func() {
		if err != nil {
			os.Remove(f.Name())
			err = fmt.Errorf("write %s: %w", name, err)
		}
	}()
	w := bufio.NewWriter(f)
	if err := errors.Join(write(w), w.Flush(), f.Chmod(0o644), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), filepath.Join(d.Dir, name))
}

// maxLine bounds one line of a .jsonl file that is read back: 4 MiB.
const maxLine = 4 << 20

func lines[T any](d *RunDir, name string) iter.Seq2[T, error] {
	path := filepath.Join(d.Dir, name)
	return func(yield func(T, error) bool) {
		f, err := d.files().Open(name)
		if err != nil {
			var zero T
			yield(zero, fmt.Errorf("read run: %w", err))
			return
		}
		defer f.Close()
		Lines[T](f, path)(yield)
	}
}

// Lines reads JSON values, one a line. A broken line is an error that names it
// by number and name, and ends the sequence; unknown keys are broken.
func Lines[T any](r io.Reader, name string) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var zero T
		sc := bufio.NewScanner(r)
		sc.Buffer(make([]byte, 64<<10), maxLine)
		n := 0
		for sc.Scan() {
			n++
			var t T
			if err := strict(sc.Bytes(), &t); err != nil {
				yield(zero, fmt.Errorf("read %s line %d: %w (cut short? the lines before it are intact)", name, n, err))
				return
			}
			if !yield(t, nil) {
				return
			}
		}
		if err := sc.Err(); err != nil {
			yield(zero, fmt.Errorf("read %s line %d: %w", name, n+1, err))
		}
	}
}

// strict decodes JSON and refuses unknown keys and trailing data.
func strict(b []byte, v any) error {
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	if err := dec.Decode(v); err != nil {
		return err
	}
	if _, err := dec.Token(); err != io.EOF {
		return errors.New("trailing data")
	}
	return nil
}
