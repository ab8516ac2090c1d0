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
}

// Observe turns evidence into an observation. It is pure.
func Observe(c Cell, attempt int, e Evidence, err error) Observation {
	o := Observation{Cell: c, Attempt: attempt, Addressed: e.Addressed, Client: e.Client, Server: e.Server, Path: e.Path}
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

	mu     sync.Mutex
	firsts map[string]*memo // by cell id
}

// memo is the first attempt at a cell, made once however many ask for it.
type memo struct {
	once sync.Once
	o    Observation
	v    Verdict
	err  error
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
// verdict. A pass costs one attempt; a finding is repeated and its controls
// are run, each of them once per run however many findings ask for it.
func (r *Runner) Cell(ctx context.Context, c Cell) (Verdict, error) {
	m := r.first(ctx, c)
	v, err := m.v, m.err
	if err == nil && v.Outcome.Disputed() {
		v, err = r.confirm(ctx, m)
	}
	if err != nil {
		return Verdict{}, err
	}
	return v, r.Sink.Judged(v)
}

// first is attempt 1 of a cell, judged without controls.
func (r *Runner) first(ctx context.Context, c Cell) *memo {
	r.mu.Lock()
	if r.firsts == nil {
		r.firsts = map[string]*memo{}
	}
	m := r.firsts[c.ID]
	if m == nil {
		m = &memo{}
		r.firsts[c.ID] = m
	}
	r.mu.Unlock()
	m.once.Do(func() {
		m.o, m.v, m.err = r.attempt(ctx, c, 1)
		if m.v.Outcome.Pass() {
			m.o = Observation{} // a pass is never judged again: keep 10,000 cells small
		}
	})
	return m
}

// confirm runs the controls and the further attempts of a finding, and
// judges every attempt in their light.
func (r *Runner) confirm(ctx context.Context, m *memo) (Verdict, error) {
	var taken []ControlTaken
	for _, k := range Controls(m.o.Cell, r.CleanLink(m.o.Cell.Link), r.Known) {
		km := r.first(ctx, k.Cell)
		if km.err != nil {
			return Verdict{}, km.err
		}
		taken = append(taken, ControlTaken{k.Kind, k.Cell.ID, km.v.Outcome})
	}
	all := []Observation{m.o}
	for n := 2; n <= r.Attempts; n++ {
		o, _, err := r.attempt(ctx, m.o.Cell, n)
		if err != nil {
			return Verdict{}, err
		}
		all = append(all, o)
	}
	return Settle(r.Known, all, taken), nil
}

// attempt runs a cell once and stores what was seen.
func (r *Runner) attempt(ctx context.Context, c Cell, n int) (Observation, Verdict, error) {
	if ctx.Err() != nil {
		return Observation{}, Verdict{}, context.Cause(ctx)
	}
	e, err := r.Fabric.Run(ctx, c, r.Seed)
	if ctx.Err() != nil {
		return Observation{}, Verdict{}, context.Cause(ctx) // interrupted: not the cell's doing
	}
	o := Observe(c, n, e, err)
	v := judgeOne(r.Known, o, nil)
	if o.Capture, err = r.Sink.Observed(o, v, e); err != nil {
		return o, v, fmt.Errorf("store cell %q: %w", c.ID, err)
	}
	v.Capture = o.Capture
	return o, v, nil
}
