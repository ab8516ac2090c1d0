package reports

import (
	"bufio"
	"fmt"
	"io"
	"strconv"
	"strings"

	"hybridlab/lab"
)

// Prometheus writes the counts of the run in Prometheus' text format 0.0.4,
// for a collector that reads files. A file says what is, and the next run's
// replaces it, so that what is counted is a gauge and no counter.
func Prometheus(w io.Writer, rep lab.Report, verdicts Verdicts) error {
	ms, err := measure(rep, verdicts)
	if err != nil {
		return err
	}
	b := bufio.NewWriter(w)
	for _, m := range ms {
		if len(m.points) > 0 {
			m.prometheus(b)
		}
	}
	return b.Flush()
}

func (m metric) prometheus(w io.Writer) {
	name := strings.ReplaceAll(m.name, ".", "_")
	if m.unit == "s" {
		name += "_seconds"
	}
	kind := "gauge"
	if m.points[0].times != nil {
		kind = "histogram"
	}
	fmt.Fprintf(w, "# HELP %s %s\n# TYPE %s %s\n", name, helpEscapes.Replace(m.help), name, kind)
	for _, p := range m.points {
		if p.times == nil {
			sampleLine(w, name, p.labels, p.value)
			continue
		}
		p.buckets(w, name)
	}
}

// buckets are cumulative in this format.
func (p point) buckets(w io.Writer, name string) {
	n := 0
	for i, k := range p.times.buckets {
		n += k
		bound := "+Inf"
		if i < len(bounds) {
			bound = decimal(bounds[i])
		}
		sampleLine(w, name+"_bucket", append(p.labels[:len(p.labels):len(p.labels)], labelled{"le", bound}), float64(n))
	}
	sampleLine(w, name+"_sum", p.labels, p.times.seconds())
	sampleLine(w, name+"_count", p.labels, float64(p.times.count))
}

func sampleLine(w io.Writer, name string, labels []labelled, value float64) {
	parts := make([]string, len(labels))
	for i, l := range labels {
		parts[i] = l.name + `="` + labelEscapes.Replace(l.value) + `"`
	}
	fmt.Fprintf(w, "%s{%s} %s\n", name, strings.Join(parts, ","), decimal(value))
}

var (
	labelEscapes = strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`)
	helpEscapes  = strings.NewReplacer(`\`, `\\`, "\n", `\n`)
)

// decimal has as many digits as it takes, and no exponent.
func decimal(f float64) string { return strconv.FormatFloat(f, 'f', -1, 64) }
