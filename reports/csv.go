package reports

import (
	"encoding/csv"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"

	"hybridlab/lab"
)

// columns of the CSV file, in order. Their names are those of verdicts.jsonl;
// new ones are added at the end.
var columns = []struct {
	name  string
	value func(lab.Verdict) string
}{
	{"cell", func(v lab.Verdict) string { return name(v.Cell) }},
	{"client", func(v lab.Verdict) string { return name(v.Client) }},
	{"server", func(v lab.Verdict) string { return name(v.Server) }},
	{"offer", func(v lab.Verdict) string { return name(v.Offer.String()) }},
	{"accept", func(v lab.Verdict) string { return name(v.Accept.String()) }},
	{"link", func(v lab.Verdict) string { return name(v.Link) }},
	{"boxes", func(v lab.Verdict) string { return name(boxes(v)) }},
	{"cert", func(v lab.Verdict) string { return name(v.Cert) }},
	{"predicted", func(v lab.Verdict) string { return strings.Join(names(v.Predicted), " or ") }},
	{"outcome", func(v lab.Verdict) string { return name(v.Outcome) }},
	{"cause", func(v lab.Verdict) string { return name(v.Cause) }},
	{"blame", func(v lab.Verdict) string { return name(v.Blame) }},
	{"group", func(v lab.Verdict) string { return name(v.Group) }},
	{"version", func(v lab.Verdict) string { return name(v.Version) }},
	{"hrr", func(v lab.Verdict) string { return known(v.HRR) }},
	{"fallback", func(v lab.Verdict) string { return strconv.FormatBool(v.Fallback) }},
	{"hello_bytes", func(v lab.Verdict) string { return plain(v.HelloBytes) }},
	{"hello_segments", func(v lab.Verdict) string { return plain(v.HelloSegments) }},
	{"hello_records", func(v lab.Verdict) string { return plain(v.HelloRecords) }},
	{"handshake_ms", func(v lab.Verdict) string { return milliseconds(v.HandshakeMS) }},
	{"trigger", func(v lab.Verdict) string { return name(v.Trigger) }},
	{"threshold", func(v lab.Verdict) string { return plain(v.Threshold) }},
	{"known", func(v lab.Verdict) string { return name(v.Known) }},
	{"attempts", func(v lab.Verdict) string { return plain(len(v.Attempts)) }},
	{"why", func(v lab.Verdict) string { return text(v.Why) }},
	{"traced", func(v lab.Verdict) string { return text(v.Traced) }},
	{"remedy", func(v lab.Verdict) string { return text(v.Remedy) }},
	{"capture", capture},
}

// CSV writes one row for each cell, for spreadsheets and data frames (RFC
// 4180). An empty field is not known. A spreadsheet takes a field for a formula
// by its first character, quotes or not, and runs it: such a field is given an
// apostrophe, which makes it text.
func CSV(w io.Writer, _ lab.Report, verdicts Verdicts) error {
	out := csv.NewWriter(w)
	out.UseCRLF = true
	row := make([]string, len(columns))
	for i, c := range columns {
		row[i] = c.name
	}
	if err := out.Write(row); err != nil {
		return err
	}
	err := each(verdicts, func(v lab.Verdict) error {
		for i, c := range columns {
			row[i] = inert(c.value(v))
		}
		return out.Write(row)
	})
	if err != nil {
		return err
	}
	if out.Flush(); out.Error() != nil {
		return fmt.Errorf("write CSV: %w", out.Error())
	}
	return nil
}

// formulas are the characters that begin one, also in the full width that
// spreadsheets set to East Asian languages take for the same.
const formulas = "=+-@|%\t\r\n＝＋－＠"

func inert(field string) string {
	if r, _ := utf8.DecodeRuneInString(field); field != "" && strings.ContainsRune(formulas, r) {
		return "'" + field
	}
	return field
}

func known(b *bool) string {
	if b == nil {
		return ""
	}
	return strconv.FormatBool(*b)
}

func plain(n int) string {
	if n == 0 {
		return ""
	}
	return strconv.Itoa(n)
}

func milliseconds(ms float64) string {
	if ms == 0 {
		return ""
	}
	return strconv.FormatFloat(ms, 'f', -1, 64)
}
