package lab

import (
	"context"
	"fmt"
	"sync"

	"hybridlab/lab/capture"
)

// Fabric runs one cell once. Run returns an error only when the lab itself
// failed; whatever the peers did is in the Evidence.
type Fabric interface {
	Run(ctx context.Context, c Cell, seed uint64) (Evidence, error)
}

// Evidence is what a fabric hands back: both ends' accounts, every packet,
// the link's books.
type Evidence struct {
	Client, Server End
	Addressed      string // identity of the server the client was sent to
	Packets        []capture.Packet
	KeyLog         []byte
	Path           Path
	// How the ends were started; nil: not known.
	ClientSetup, ServerSetup *Setup
	// Keep: a finding is compared with this, so the packets are wanted even
	// if it passes.
	Keep bool
}

// Observe turns evidence into an observation. It is pure.
func Observe(c Cell, attempt int, e Evidence, err error) Observation {
	o := Observation{Cell: c, Attempt: attempt, Addressed: e.Addressed, Client: e.Client, Server: e.Server, Path: e.Path,
		ClientSetup: e.ClientSetup, ServerSetup: e.ServerSetup}
	if err != nil {
		o.Fault = err.Error()
		return o
	}
	o.Wire = ObserveWire(e.Packets)
	return o
}

// Runner takes cells through fabric, judge and sink. Its zero value is not
// usable: Fabric, Known and Sink are mandatory.
type Runner struct {
	Fabric Fabric
	Known  Catalogue
	Sink   Sink
	Seed   uint64
	// CleanLink names the link a control uses in place of the given one.
	CleanLink func(link string) string
	// Attempts is how often a finding is run in all before it is believed (at
	// least 1). Attempts that disagree make the cell flaky.
	Attempts int
	// Repeat is how often every other cell is run, for its handshake times and
	// to see whether it is flaky; 0 and 1: once.
	Repeat int
	// Inputs is the fingerprint of everything that a verdict on the cell depends
	// on that was held against these controls; empty: there is none. It may be
	// nil.
	Inputs func(Cell, []ControlTaken) string

	mu      sync.Mutex
	firsts  map[string]*memo[first] // by cell id
	settled map[string]*memo[Verdict]
	trials  map[string]*memo[Observation] // by TrialKey and patience
}

// memo is something about a cell that is made once however many ask for it.
type memo[T any] struct {
	once sync.Once
	val  T
	err  error
}

// first is attempt 1 at a cell, judged without controls.
type first struct {
	o Observation
	v Verdict
}

// remember returns the memo of a cell, making it by f the first time.
func remember[T any](r *Runner, memos *map[string]*memo[T], id string, f func() (T, error)) (T, error) {
	r.mu.Lock()
	if *memos == nil {
		*memos = map[string]*memo[T]{}
	}
	m := (*memos)[id]
	if m == nil {
		m = &memo[T]{}
		(*memos)[id] = m
	}
	r.mu.Unlock()
	m.once.Do(func() { m.val, m.err = f() })
	return m.val, m.err
}

// Sink keeps what a run produces. Calls may come from many goroutines.
type Sink interface {
	// Observed stores one attempt, with its packets where they are wanted, and
	// returns the capture's file name, or "".
	Observed(o Observation, v Verdict, e Evidence) (capture string, err error)
	// Judged stores the cell's one verdict.
	Judged(v Verdict) error
}

// Run takes the cells through, at most parallel at a time, in the given
// order. It returns when all are judged or ctx ends; cells that were running
// then are left without a verdict. The first error of the sink ends the run.
func (r *Runner) Run(ctx context.Context, cells []Cell, parallel int) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	var wg sync.WaitGroup
	work := make(chan Cell)
	for range parallel {
		wg.Go(func() {
			for c := range work {
				if _, err := r.Cell(ctx, c); err != nil {
					stop(err)
				}
			}
		})
	}
feed:
	for _, c := range cells {
		select {
		case work <- c:
		case <-ctx.Done():
			break feed
		}
	}
	close(work)
	wg.Wait()
	return context.Cause(ctx)
}

// Cell runs one cell with everything its verdict needs and stores the
// verdict; asked again it returns the same one. A pass costs one attempt; a
// finding is repeated and its controls are run, each of them once per run
// however many findings ask for it.
func (r *Runner) Cell(ctx context.Context, c Cell) (Verdict, error) {
	return remember(r, &r.settled, c.ID, func() (Verdict, error) {
		f, err := r.first(ctx, c, false)
		if err != nil {
			return Verdict{}, err
		}
		switch {
		case f.v.Outcome.Disputed():
			f.v, err = r.confirm(ctx, f.o)
		case f.v.Outcome.Pass():
			f.v, err = r.repeat(ctx, c, f.v)
		}
		if err != nil {
			return Verdict{}, err
		}
		f.v.Inputs = r.inputs(c, f.v.Control)
		return f.v, r.Sink.Judged(f.v)
	})
}

// Seen is the first attempt at a finding that was judged, once the run is
// over; ok is false where there is none.
func (r *Runner) Seen(cell string) (o Observation, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	m := r.firsts[cell]
	if m == nil {
		return o, false
	}
	return m.val.o, m.val.o.Cell.ID != ""
}

// repeat runs a cell that passed as often as was asked for.
func (r *Runner) repeat(ctx context.Context, c Cell, v Verdict) (Verdict, error) {
	all := []said{{Verdict: v}}
	for n := 2; n <= r.Repeat; n++ {
		o, v, err := r.attempt(ctx, c, n, false)
		if err != nil {
			return Verdict{}, err
		}
		all = append(all, said{v, o.Path.Starved})
	}
	return agree(r.Known, all), nil
}

// first is attempt 1, shared by the cell itself and by the findings that
// need it as a control. Of one that is run for a finding the packets are kept.
func (r *Runner) first(ctx context.Context, c Cell, control bool) (first, error) {
	return remember(r, &r.firsts, c.ID, func() (f first, err error) {
		f.o, f.v, err = r.attempt(ctx, c, 1, control)
		if !f.v.Outcome.Disputed() {
			f.o = Observation{} // never judged again: keep 10,000 cells small
		}
		return f, err
	})
}

// confirm runs the controls and the further attempts of a finding, and
// judges every attempt in their light.
func (r *Runner) confirm(ctx context.Context, o Observation) (Verdict, error) {
	var taken []ControlTaken
	for _, k := range Controls(o.Cell, r.CleanLink(o.Cell.Link), r.Known) {
		f, err := r.first(ctx, k.Cell, true)
		if err != nil {
			return Verdict{}, err
		}
		taken = append(taken, ControlTaken{k.Kind, k.Cell.ID, f.v.Outcome})
	}
	all := []Observation{o}
	for n := 2; n <= r.Attempts; n++ {
		o, _, err := r.attempt(ctx, o.Cell, n, false)
		if err != nil {
			return Verdict{}, err
		}
		all = append(all, o)
	}
	return Settle(r.Known, all, taken), nil
}

// attempt runs a cell once and stores what was seen.
func (r *Runner) attempt(ctx context.Context, c Cell, n int, keep bool) (Observation, Verdict, error) {
	if ctx.Err() != nil {
		return Observation{}, Verdict{}, context.Cause(ctx)
	}
	e, err := r.Fabric.Run(ctx, c, r.Seed)
	if ctx.Err() != nil {
		return Observation{}, Verdict{}, context.Cause(ctx) // interrupted: not the cell's doing
	}
	o := Observe(c, n, e, err)
	v := judgeOne(r.Known, o, nil)
	e.Keep = keep
	if o.Capture, err = r.Sink.Observed(o, v, e); err != nil {
		return o, v, fmt.Errorf("store cell %q: %w", c.ID, err)
	}
	v.Capture = o.Capture
	return o, v, nil
}
