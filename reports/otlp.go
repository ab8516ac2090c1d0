package reports

import (
	"encoding/json"
	"io"
	"strconv"
	"time"

	"hybridlab/lab"
)

// OTLP writes the counts of the run as OpenTelemetry has metrics in JSON (OTLP
// 1.x: the body of a POST to /v1/metrics, and a line of a collector's file): 64-bit integers are strings,
// enumerations are numbers. A run is an interval, so what was counted in it is
// a sum of temporality "delta": runs add up.
func OTLP(w io.Writer, rep lab.Report, verdicts Verdicts) error {
	ms, err := measure(rep, verdicts)
	if err != nil {
		return err
	}
	began, ended := nanos(rep.Started), nanos(rep.Ended)
	if rep.Ended.Before(rep.Started) { // killed
		ended = began
	}
	out := []otlpMetric{}
	for _, m := range ms {
		if len(m.points) > 0 {
			out = append(out, m.otlp(began, ended))
		}
	}
	doc := map[string]any{"resourceMetrics": []any{map[string]any{
		"resource": map[string]any{"attributes": attributes([]labelled{
			{"service.name", "hybridlab"}, {"service.version", name(rep.Tool)}, {"service.instance.id", name(rep.Run)},
		})},
		"scopeMetrics": []any{map[string]any{"scope": map[string]any{"name": "hybridlab", "version": name(rep.Tool)}, "metrics": out}},
	}}}
	return json.NewEncoder(w).Encode(doc)
}

// delta is AGGREGATION_TEMPORALITY_DELTA.
const delta = 1

type otlpMetric struct {
	Name        string    `json:"name"`
	Description string    `json:"description"`
	Unit        string    `json:"unit,omitempty"`
	Gauge       *otlpData `json:"gauge,omitempty"`
	Sum         *otlpData `json:"sum,omitempty"`
	Histogram   *otlpData `json:"histogram,omitempty"`
}

type otlpData struct {
	Temporality int         `json:"aggregationTemporality,omitempty"`
	Monotonic   bool        `json:"isMonotonic,omitempty"`
	Points      []otlpPoint `json:"dataPoints"`
}

type otlpPoint struct {
	Attributes []otlpAttribute `json:"attributes"`
	Start      string          `json:"startTimeUnixNano"`
	Time       string          `json:"timeUnixNano"`
	Int        string          `json:"asInt,omitempty"`
	Double     *float64        `json:"asDouble,omitempty"`
	Count      string          `json:"count,omitempty"`
	Sum        *float64        `json:"sum,omitempty"`
	Buckets    []string        `json:"bucketCounts,omitempty"`
	Bounds     []float64       `json:"explicitBounds,omitempty"`
}

type otlpAttribute struct {
	Key   string            `json:"key"`
	Value map[string]string `json:"value"`
}

func attributes(labels []labelled) []otlpAttribute {
	out := []otlpAttribute{}
	for _, l := range labels {
		out = append(out, otlpAttribute{l.name, map[string]string{"stringValue": l.value}})
	}
	return out
}

func (m metric) otlp(began, ended string) otlpMetric {
	d := &otlpData{}
	for _, p := range m.points {
		d.Points = append(d.Points, p.otlp(m, began, ended))
	}
	out := otlpMetric{Name: m.name, Description: m.help, Unit: m.unit}
	if m.summed {
		d.Temporality = delta
	}
	switch {
	case m.points[0].times != nil:
		out.Histogram = d
	case m.summed:
		d.Monotonic = true
		out.Sum = d
	default:
		out.Gauge = d
	}
	return out
}

func (p point) otlp(m metric, began, ended string) otlpPoint {
	out := otlpPoint{Attributes: attributes(p.labels), Start: began, Time: ended}
	switch {
	case p.times != nil:
		sum := p.times.seconds()
		out.Count, out.Sum, out.Bounds = strconv.Itoa(p.times.count), &sum, bounds
		for _, n := range p.times.buckets {
			out.Buckets = append(out.Buckets, strconv.Itoa(n))
		}
	case m.unit == "s":
		out.Double = &p.value
	default:
		out.Int = strconv.FormatInt(int64(p.value), 10)
	}
	return out
}

func nanos(t time.Time) string { return strconv.FormatInt(max(t.UnixNano(), 0), 10) }
