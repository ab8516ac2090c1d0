package reports

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"hybridlab/lab"
)

// metric is one quantity of a run, for systems that collect numbers. Its
// name is OpenTelemetry's; Prometheus' name follows from it and the unit.
type metric struct {
	name, unit, help string
	summed           bool // how often something was seen, not how much of it there is
	points           []point
}

// point is a value with what it is the value of; or, where the metric is a
// distribution, a histogram.
type point struct {
	labels []labelled
	value  float64
	times  *histogram
}

type labelled struct{ name, value string }

// bounds of the handshake times, in seconds: from what a loopback takes to
// what four retransmissions of a SYN add up to (RFC 6298 section 5.5).
var bounds = []float64{.001, .002, .005, .01, .02, .05, .1, .2, .5, 1, 2, 5, 15}

// histogram counts times by bounds; the last bucket has no upper bound.
type histogram struct {
	buckets []int
	count   int
	total   time.Duration // whole numbers, so that the order of adding does not show
}

func (h *histogram) seconds() float64 { return h.total.Seconds() }

func (h *histogram) add(took time.Duration) {
	if h.buckets == nil {
		h.buckets = make([]int, len(bounds)+1)
	}
	i, _ := slices.BinarySearch(bounds, took.Seconds()) // a bound belongs to the bucket below it
	h.buckets[i]++
	h.count++
	h.total += took
}

// sessionKey is what sessions are counted by. What it holds is clean: two
// names that are one when shown are one series.
type sessionKey struct {
	client, clientVersion, server, serverVersion string
	session                                      lab.Session
	outcome                                      string
}

// timeKey is what handshake times are told apart by: what explains most of
// them. Peers are not among it, or there would be thousands of series.
type timeKey struct {
	link    string
	session lab.Session
}

// meter counts what metrics are made of.
type meter struct {
	versions map[string]string
	sessions map[sessionKey]int
	times    map[timeKey]*histogram
	total    int
	expected int
	reused   int
}

func newMeter(rep lab.Report) *meter {
	m := &meter{versions: map[string]string{}, sessions: map[sessionKey]int{}, times: map[timeKey]*histogram{}}
	for _, p := range rep.Peers {
		m.versions[name(p.ID)] = name(p.Version)
	}
	return m
}

func (m *meter) add(v lab.Verdict) {
	client, server, session := name(v.Client), name(v.Server), v.Session()
	m.sessions[sessionKey{client, m.versions[client], server, m.versions[server], session, class(v.Outcome)}]++
	m.total++
	if v.Known != "" {
		m.expected++
	}
	if v.Reused != "" {
		m.reused++
	}
	if v.HandshakeMS <= 0 || session == lab.SessionFailed || session == lab.SessionUndecided {
		return
	}
	k := timeKey{name(v.Link), session}
	if m.times[k] == nil {
		m.times[k] = &histogram{}
	}
	m.times[k].add(time.Duration(v.HandshakeMS * float64(time.Millisecond)))
}

// measure reads all verdicts once.
func measure(rep lab.Report, verdicts Verdicts) ([]metric, error) {
	m := newMeter(rep)
	err := each(verdicts, func(v lab.Verdict) error { m.add(v); return nil })
	fabric := labelled{"fabric", name(rep.Fabric)}
	number := func(name, unit, help string, value float64) metric {
		return metric{name: name, unit: unit, help: help, points: []point{{labels: []labelled{fabric}, value: value}}}
	}
	return []metric{
		m.counted(fabric),
		m.timed(fabric),
		number("hybridlab.cells", "{cell}", "Cells that were planned.", float64(rep.Cells)),
		number("hybridlab.verdicts", "{cell}", "Cells that have a verdict.", float64(m.total)),
		number("hybridlab.reused", "{cell}", "Verdicts that were taken over from an older run.", float64(m.reused)),
		number("hybridlab.unexpected", "{cell}", "Findings and flaky cells that no known deviation explains.", float64(rep.Unexpected)),
		number("hybridlab.expected", "{cell}", "Cells that a known deviation explains.", float64(m.expected)),
		number("hybridlab.excluded", "{combination}", "Combinations that cannot be run.", float64(len(rep.Excluded))),
		number("hybridlab.run.start_timestamp", "s", "When the run began, seconds since 1970.", unix(rep.Started)),
		number("hybridlab.run.duration", "s", "How long the run took.", duration(rep).Seconds()),
		info(rep),
	}, err
}

func unix(t time.Time) float64 { return float64(max(t.UnixMilli(), 0)) / 1000 }

// info has what is no number: the run's provenance.
func info(rep lab.Report) metric {
	return metric{name: "hybridlab.run.info", help: "Provenance of the run; always 1.", points: []point{{value: 1, labels: []labelled{
		{"run", name(rep.Run)}, {"tool", name(rep.Tool)}, {"fabric", name(rep.Fabric)}, {"kernel", name(rep.Kernel)}, {"plan", name(rep.PlanDigest)},
	}}}}
}

func (m *meter) counted(fabric labelled) metric {
	out := metric{name: "hybridlab.sessions", unit: "{session}", summed: true,
		help: "Sessions of the run by peer, version and what came of them: session is what came out, outcome what the judge says of it."}
	for _, k := range slices.SortedFunc(maps.Keys(m.sessions), sessionKey.compare) {
		out.points = append(out.points, point{value: float64(m.sessions[k]), labels: []labelled{
			{"client", k.client}, {"client_version", k.clientVersion}, {"server", k.server}, {"server_version", k.serverVersion},
			fabric, {"session", string(k.session)}, {"outcome", k.outcome},
		}})
	}
	return out
}

func (k sessionKey) compare(l sessionKey) int {
	return cmp.Or(cmp.Compare(k.client, l.client), cmp.Compare(k.server, l.server),
		slices.Index(lab.Sessions, k.session)-slices.Index(lab.Sessions, l.session), cmp.Compare(k.outcome, l.outcome))
}

func (m *meter) timed(fabric labelled) metric {
	out := metric{name: "hybridlab.handshake.duration", unit: "s", summed: true,
		help: "First SYN to the client's Finished at the client's side, by link and what came out."}
	keys := slices.SortedFunc(maps.Keys(m.times), func(k, l timeKey) int {
		return cmp.Or(cmp.Compare(k.link, l.link), slices.Index(lab.Sessions, k.session)-slices.Index(lab.Sessions, l.session))
	})
	for _, k := range keys {
		out.points = append(out.points, point{times: m.times[k], labels: []labelled{{"link", k.link}, fabric, {"session", string(k.session)}}})
	}
	return out
}
