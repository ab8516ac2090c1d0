package reports

import (
	"bytes"
	"encoding/json"
	"io"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	metricspb "go.opentelemetry.io/proto/slim/otlp/metrics/v1"
	"google.golang.org/protobuf/encoding/protojson"

	dto "github.com/prometheus/client_model/go"

	"hybridlab/lab"
)

// families is a metrics file as Prometheus' own parser reads it.
func families(t *testing.T, rep lab.Report, vs Verdicts) map[string]*dto.MetricFamily {
	t.Helper()
	var b bytes.Buffer
	if err := Prometheus(&b, rep, vs); err != nil {
		t.Fatal(err)
	}
	p := expfmt.NewTextParser(model.LegacyValidation)
	fs, err := p.TextToMetricFamilies(&b)
	if err != nil {
		t.Fatalf("Prometheus does not read it: %v\n%s", err, &b)
	}
	return fs
}

func labelsOf(m *dto.Metric) map[string]string {
	out := map[string]string{}
	for _, l := range m.Label {
		out[l.GetName()] = l.GetValue()
	}
	return out
}

// Every verdict is in exactly one series, and the series say what the
// verdicts say.
func TestPrometheusCounts(t *testing.T) {
	want := map[string]float64{}
	timed, total := 0, 0.0
	for v := range large.verdicts {
		want[string(v.Client)+" "+string(v.Server)+" "+string(v.Session())+" "+string(v.Outcome)]++
		if s := v.Session(); v.HandshakeMS > 0 && s != lab.SessionFailed && s != lab.SessionUndecided {
			timed, total = timed+1, total+v.HandshakeMS/1000
		}
	}
	fs := families(t, large.report(), large.verdicts)
	got := map[string]float64{}
	for _, m := range fs["hybridlab_sessions"].Metric {
		l := labelsOf(m)
		got[l["client"]+" "+l["server"]+" "+l["session"]+" "+l["outcome"]] += m.GetGauge().GetValue()
		if l["fabric"] != "containers" || l["client"] == "go@1.26" && l["client_version"] != "go1.26.8 crypto/tls" {
			t.Errorf("labels %v", l)
		}
	}
	if !maps.Equal(got, want) {
		t.Errorf("sessions %v\nwant     %v", got, want)
	}
	count, sum := 0, 0.0
	for _, m := range fs["hybridlab_handshake_duration_seconds"].Metric {
		h := m.GetHistogram()
		if last := h.Bucket[len(h.Bucket)-1]; last.GetCumulativeCount() != h.GetSampleCount() || len(h.Bucket) != len(bounds)+1 {
			t.Errorf("%v: buckets %v of %d", labelsOf(m), h.Bucket, h.GetSampleCount())
		}
		count, sum = count+int(h.GetSampleCount()), sum+h.GetSampleSum()
	}
	if count != timed || sum < total*.999999 || sum > total*1.000001 {
		t.Errorf("%d handshakes of %f s, want %d of %f s", count, sum, timed, total)
	}
}

func TestHistogramBounds(t *testing.T) {
	var h histogram
	for _, us := range []time.Duration{0, 1, 1100, 15_000_000, 15_000_001, 900_000_000} {
		h.add(us * time.Microsecond)
	}
	h.add(time.Millisecond)
	if h.buckets[0] != 3 || h.buckets[1] != 1 || h.buckets[len(bounds)-1] != 1 || h.buckets[len(bounds)] != 2 || h.count != 7 {
		t.Errorf("buckets %v: a bound belongs to the bucket below it", h.buckets)
	}
}

// Names that come from elsewhere are escaped, and two that are shown alike
// are one series: Prometheus refuses a file with a series twice.
func TestPrometheusHostile(t *testing.T) {
	rep, vs := spikedRun()
	var more []lab.Verdict
	for v := range vs {
		more = append(more, v)
	}
	for _, s := range []string{"a\nb", "a b", `q"uote`, `back\slash`, `end\`, "bad\xff", "a{b=\"c\"} 1\n# TYPE x counter\nx 1"} {
		v := spiked(s, lab.Hybrid)
		v.HandshakeMS = 1
		more = append(more, v)
		rep.Peers = append(rep.Peers, lab.PeerInfo{ID: lab.PeerID(s), Version: s})
	}
	fs := families(t, rep, Slice(more))
	if len(fs) != 11 {
		t.Errorf("metrics %v", slices.Sorted(maps.Keys(fs)))
	}
	total, seen := 0.0, map[string]bool{}
	for _, m := range fs["hybridlab_sessions"].Metric {
		total += m.GetGauge().GetValue()
		key := ""
		for _, l := range m.Label {
			key += l.GetValue() + "\x00"
			if clean(l.GetValue(), longName+1) != l.GetValue() {
				t.Errorf("label %q is not clean", l.GetValue())
			}
		}
		if seen[key] {
			t.Errorf("series twice: %q", key)
		}
		seen[key] = true
	}
	if int(total) != len(more) {
		t.Errorf("%v sessions of %d verdicts", total, len(more))
	}
	for _, s := range []string{`q"uote`, `back\slash`, `end\`, `bad\xff`, "a b"} {
		if !slices.ContainsFunc(fs["hybridlab_sessions"].Metric, func(m *dto.Metric) bool { return labelsOf(m)["client"] == s }) {
			t.Errorf("no series of client %q", s)
		}
	}
}

// Escaping is not left to clean alone.
func TestPrometheusEscapes(t *testing.T) {
	var b strings.Builder
	sampleLine(&b, "m", []labelled{{"l", "a\n\"b\"\\"}}, 1)
	if got, want := b.String(), `m{l="a\n\"b\"\\"} 1`+"\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// otlp is a metrics file as OpenTelemetry's own types read it; what they do
// not know is an error.
func otlp(t *testing.T, rep lab.Report, vs Verdicts) *metricspb.ResourceMetrics {
	t.Helper()
	var b bytes.Buffer
	if err := OTLP(&b, rep, vs); err != nil {
		t.Fatal(err)
	}
	var doc metricspb.MetricsData
	if err := protojson.Unmarshal(b.Bytes(), &doc); err != nil {
		t.Fatalf("OpenTelemetry does not read it: %v", err)
	}
	if len(doc.ResourceMetrics) != 1 || len(doc.ResourceMetrics[0].ScopeMetrics) != 1 {
		t.Fatalf("%d resources", len(doc.ResourceMetrics))
	}
	return doc.ResourceMetrics[0]
}

// Both files say the same.
func TestOTLPAgreesWithPrometheus(t *testing.T) {
	spikedRep, spikedVs := spikedRun()
	for _, run := range []struct {
		rep lab.Report
		vs  Verdicts
	}{{large.report(), large.verdicts}, {spikedRep, spikedVs}} {
		fs, rm := families(t, run.rep, run.vs), otlp(t, run.rep, run.vs)
		if len(rm.ScopeMetrics[0].Metrics) != len(fs) {
			t.Errorf("%d metrics for OpenTelemetry, %d for Prometheus", len(rm.ScopeMetrics[0].Metrics), len(fs))
		}
		for _, m := range rm.ScopeMetrics[0].Metrics {
			f := fs[strings.ReplaceAll(m.Name, ".", "_")]
			if f == nil {
				f = fs[strings.ReplaceAll(m.Name, ".", "_")+"_seconds"]
			}
			if got, want := otlpValues(m), promValues(f); !slices.Equal(got, want) {
				t.Errorf("%s: %v, for Prometheus %v", m.Name, got, want)
			}
		}
	}
}

func otlpValues(m *metricspb.Metric) (out []float64) {
	for _, p := range append(m.GetGauge().GetDataPoints(), m.GetSum().GetDataPoints()...) {
		out = append(out, p.GetAsDouble()+float64(p.GetAsInt()))
	}
	for _, p := range m.GetHistogram().GetDataPoints() {
		n := 0
		for _, k := range p.BucketCounts {
			n += int(k)
		}
		if n != int(p.Count) || len(p.BucketCounts) != len(p.ExplicitBounds)+1 {
			n = -1
		}
		out = append(out, float64(n), p.GetSum())
	}
	return out
}

func promValues(f *dto.MetricFamily) (out []float64) {
	for _, m := range f.GetMetric() {
		if h := m.GetHistogram(); h != nil {
			out = append(out, float64(h.GetSampleCount()), h.GetSampleSum())
			continue
		}
		out = append(out, m.GetGauge().GetValue())
	}
	return out
}

// Counts of a run are a delta over the run's time.
func TestOTLPTimes(t *testing.T) {
	rep := small.report()
	for _, m := range otlp(t, rep, small.verdicts).ScopeMetrics[0].Metrics {
		for _, p := range m.GetSum().GetDataPoints() {
			if m.GetSum().AggregationTemporality != metricspb.AggregationTemporality_AGGREGATION_TEMPORALITY_DELTA || !m.GetSum().IsMonotonic ||
				p.StartTimeUnixNano != uint64(rep.Started.UnixNano()) || p.TimeUnixNano != uint64(rep.Ended.UnixNano()) {
				t.Fatalf("%s: %v", m.Name, p)
			}
		}
	}
	killed := rep
	killed.Ended = time.Time{}
	for _, m := range otlp(t, killed, small.verdicts).ScopeMetrics[0].Metrics {
		for _, p := range m.GetSum().GetDataPoints() {
			if p.TimeUnixNano != uint64(rep.Started.UnixNano()) {
				t.Fatalf("%s of a killed run: %v", m.Name, p)
			}
		}
	}
}

// The types of OpenTelemetry take numbers for 64-bit integers, too; the
// encoding wants strings.
func TestOTLPIntegersAreStrings(t *testing.T) {
	var b bytes.Buffer
	if err := OTLP(&b, small.report(), small.verdicts); err != nil {
		t.Fatal(err)
	}
	var doc any
	if err := json.Unmarshal(b.Bytes(), &doc); err != nil {
		t.Fatal(err)
	}
	seen := 0
	walk(doc, func(key string, v any) {
		switch key {
		case "asInt", "timeUnixNano", "startTimeUnixNano", "count":
			if _, ok := v.(string); !ok {
				t.Errorf("%s is %T", key, v)
			}
			seen++
		}
	})
	if seen < 20 {
		t.Errorf("only %d integers found", seen)
	}
}

func walk(v any, f func(key string, v any)) {
	switch v := v.(type) {
	case map[string]any:
		for k, w := range v {
			f(k, w)
			walk(w, f)
		}
	case []any:
		for _, w := range v {
			walk(w, f)
		}
	}
}

func TestMetricsOnAFullDisk(t *testing.T) {
	for _, render := range []func(io.Writer, lab.Report, Verdicts) error{Prometheus, OTLP} {
		if err := render(&full{room: 100}, large.report(), large.verdicts); err == nil {
			t.Error("nothing is said about a full disk")
		}
	}
}
