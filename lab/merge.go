package lab

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
)

// Merge makes one run directory of all the shards of a plan. What the judge
// said of a cell is what its shard says; a cell that another shard ran as a
// control counts by its own shard. The shards must be of one plan, seed,
// fabric and hybridlab, and their peers the same binaries: anything else is
// an error, and nothing is written.
//
// With partial, shards may be missing: the report then says which, and their
// cells are not in it.
func Merge(dir string, shards []*RunDir, partial bool) (*RunDir, error) {
	missing, err := together(shards, partial)
	if err != nil {
		return nil, err
	}
	m := merger{owner: map[string]int{}}
	if err := m.gather(shards); err != nil {
		return nil, err
	}
	head := m.head(shards)
	head.Missing = missing
	rec, err := Record(dir, head)
	if err != nil {
		return nil, err
	}
	for _, v := range m.verdicts {
		if err := rec.Judged(v); err != nil {
			return nil, err
		}
	}
	for i, s := range shards {
		if err := errors.Join(m.observations(rec, s, i), copyDir(filepath.Join(s.Dir, LogsDir), filepath.Join(dir, LogsDir, fmt.Sprintf("shard-%d", i+1)))); err != nil {
			return nil, err
		}
	}
	// The boxes' books are those of the shards, not of what was copied.
	rec.Report.Boxes = m.boxes(shards)
	ended := shards[0].Report.Ended
	for _, s := range shards {
		if s.Report.Ended.After(ended) {
			ended = s.Report.Ended
		}
	}
	return &rec.RunDir, rec.Close(ended)
}

// together reports what keeps the runs from being the shards of one, and which
// shards are missing.
func together(shards []*RunDir, partial bool) (missing []string, err error) {
	if len(shards) == 0 {
		return nil, errors.New("merge shards: none is given")
	}
	slices.SortStableFunc(shards, func(a, b *RunDir) int { return a.Report.part() - b.Report.part() })
	first, next := shards[0], 1
	_, all, err := ParseShard(first.Report.Shard)
	if err != nil {
		return nil, fmt.Errorf("merge %q: it is no shard: run it with --shard", first.Dir)
	}
	for _, s := range shards {
		i, n, err := ParseShard(s.Report.Shard)
		switch {
		case err != nil:
			return nil, fmt.Errorf("merge %q: it is no shard: run it with --shard", s.Dir)
		case n != all:
			return nil, fmt.Errorf("merge %q with %q: it is shard %s, the other %s", s.Dir, first.Dir, s.Report.Shard, first.Report.Shard)
		case i < next:
			return nil, fmt.Errorf("merge %q: it is shard %s, which is there already", s.Dir, s.Report.Shard)
		}
		if err := s.Report.goesWith(first.Report); err != nil {
			return nil, fmt.Errorf("merge %q with %q: %w", s.Dir, first.Dir, err)
		}
		for ; next < i; next++ {
			missing = append(missing, fmt.Sprintf("%d/%d", next, all))
		}
		next = i + 1
	}
	for ; next <= all; next++ {
		missing = append(missing, fmt.Sprintf("%d/%d", next, all))
	}
	if len(missing) > 0 && !partial {
		return nil, fmt.Errorf("merge shards: %s missing: give all %d, or merge what there is as a part (--partial)", strings.Join(missing, ", "), all)
	}
	return missing, nil
}

// part is the number of the shard, from 1; 0: it is none.
func (r Report) part() int {
	i, _, err := ParseShard(r.Shard)
	if err != nil {
		return 0
	}
	return i
}

// goesWith compares everything that decides what a cell comes to.
func (r Report) goesWith(first Report) error {
	for _, c := range []struct {
		what      string
		this, one any
	}{
		{"plan", r.PlanDigest, first.PlanDigest},
		{"seed", r.Seed, first.Seed},
		{"hybridlab", r.Tool, first.Tool},
		{"fabric", r.Fabric, first.Fabric},
	} {
		if c.this != c.one {
			return fmt.Errorf("another %s: %v and %v", c.what, c.this, c.one)
		}
	}
	if !reflect.DeepEqual(r.Deviations(), first.Deviations()) {
		return errors.New("another list of known deviations")
	}
	for _, p := range r.Peers {
		for _, q := range first.Peers {
			if p.ID == q.ID && (p.Version != q.Version || p.Image != q.Image) {
				return fmt.Errorf("another peer %s: %s %s and %s %s", p.ID, p.Version, p.Image, q.Version, q.Image)
			}
		}
	}
	return nil
}

// merger is what is known of all shards at once.
type merger struct {
	verdicts []Verdict      // sorted by cell
	owner    map[string]int // the shard whose word counts, by cell
}

func (m *merger) gather(shards []*RunDir) error {
	for i, s := range shards {
		for v, err := range s.Verdicts() {
			if err != nil {
				return err
			}
			if j, twice := m.owner[v.Cell]; twice {
				return fmt.Errorf("merge shards: cell %q is in %q and in %q", v.Cell, shards[j].Dir, s.Dir)
			}
			v.Shard = s.Report.part()
			m.owner[v.Cell] = i
			m.verdicts = append(m.verdicts, v)
		}
	}
	slices.SortFunc(m.verdicts, func(a, b Verdict) int { return strings.Compare(a.Cell, b.Cell) })
	return nil
}

// head is the report of the whole before its verdicts are counted.
func (m *merger) head(shards []*RunDir) Report {
	r := shards[0].Report
	r.Shard, r.Judged, r.Reused, r.Unexpected, r.Cells = "", 0, 0, 0, 0
	r.Expect(shards[0].Report.Deviations())
	r.Peers, r.Links, r.Merged = nil, nil, nil
	for _, s := range shards {
		r.Cells += s.Report.Cells
		r.Merged = append(r.Merged, s.Report.Run)
		if s.Report.Started.Before(r.Started) {
			r.Started = s.Report.Started
		}
		r.Peers = union(r.Peers, s.Report.Peers, func(p PeerInfo) string { return string(p.ID) })
		r.Links = union(r.Links, s.Report.Links, func(l LinkInfo) string { return l.Name })
	}
	r.Command = unsharded(r.Command)
	return r
}

// union adds what is new by its name, and keeps the names in order.
func union[T any](all, more []T, name func(T) string) []T {
	for _, m := range more {
		if !slices.ContainsFunc(all, func(a T) bool { return name(a) == name(m) }) {
			all = append(all, m)
		}
	}
	slices.SortFunc(all, func(a, b T) int { return strings.Compare(name(a), name(b)) })
	return all
}

// unsharded is the command line of the whole run.
func unsharded(command string) string {
	var out []string
	words := strings.Split(command, " ")
	for i := 0; i < len(words); i++ {
		switch {
		case words[i] == "--shard":
			i++
		case !strings.HasPrefix(words[i], "--shard="):
			out = append(out, words[i])
		}
	}
	return strings.Join(out, " ")
}

// boxes adds up what each box did.
func (m *merger) boxes(shards []*RunDir) []BoxInfo {
	var all []BoxInfo
	for _, s := range shards {
		for _, b := range s.Report.Boxes {
			i := slices.IndexFunc(all, func(a BoxInfo) bool { return a.Name == b.Name })
			if i < 0 {
				all = append(all, b)
				continue
			}
			all[i].Cells += b.Cells
			all[i].Triggered += b.Triggered
			all[i].Missed = append(slices.Clone(all[i].Missed), b.Missed...)
		}
	}
	return all
}

// observations copies what the shard saw of the cells for which it has the
// word, with their captures. Of controls that are in no plan, the first shard
// that ran them has it. All trials are copied: whatever cell they are, they are
// the findings' of the shard that ran them.
func (m *merger) observations(rec *Recorder, s *RunDir, shard int) error {
	for o, err := range s.Observations() {
		if err != nil {
			return err
		}
		if _, ok := m.owner[o.Cell.ID]; !ok && !o.Trial {
			m.owner[o.Cell.ID] = shard
		}
		if !o.Trial && m.owner[o.Cell.ID] != shard {
			continue
		}
		if err := rec.observations.add(o); err != nil {
			return err
		}
		if o.Capture != "" {
			if err := copyCapture(s.Dir, rec.Dir, o); err != nil {
				return err
			}
		}
	}
	return nil
}

// copyCapture copies by the name that the lab gives the capture, whatever the
// run directory says.
func copyCapture(from, to string, o Observation) error {
	if want := captureName(o); o.Capture != want {
		return fmt.Errorf("copy capture %q of cell %q: want the name %q", o.Capture, o.Cell.ID, want)
	}
	return copyFile(filepath.Join(from, o.Capture), filepath.Join(to, o.Capture))
}

func copyFile(from, to string) (err error) {
	in, err := os.Open(from)
	if err != nil {
		return fmt.Errorf("copy file of a run: %w", err)
	}
	defer in.Close()
	out, err := os.Create(to)
	if err != nil {
		return fmt.Errorf("copy file of a run: %w", err)
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}

// copyDir copies the plain files of a directory, if there is one.
func copyDir(from, to string) error {
	entries, err := os.ReadDir(from)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("copy files of a run: %w", err)
	}
	if err := os.MkdirAll(to, 0o755); err != nil {
		return fmt.Errorf("copy files of a run: %w", err)
	}
	for _, e := range entries {
		if e.Type().IsRegular() {
			err = errors.Join(err, copyFile(filepath.Join(from, e.Name()), filepath.Join(to, e.Name())))
		}
	}
	return err
}
