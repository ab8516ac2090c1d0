package reports

import (
	"encoding/csv"
	"strings"
	"testing"

	"hybridlab/lab"
)

func rows(t *testing.T, vs ...lab.Verdict) [][]string {
	t.Helper()
	var b strings.Builder
	if err := CSV(&b, lab.Report{}, Slice(vs)); err != nil {
		t.Fatal(err)
	}
	if strings.Count(b.String(), "\n") != strings.Count(b.String(), "\r\n") {
		t.Errorf("a line does not end as RFC 4180 has it: %q", b.String())
	}
	got, err := csv.NewReader(strings.NewReader(b.String())).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// Whatever a field is made of, a spreadsheet takes it for text; and a field
// that is harmless is left as it is.
func TestCSVRunsNoFormula(t *testing.T) {
	for _, s := range []string{"=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", " =1", "|calc", "%0a", "＝1", "\u200b=1", "\x1b[1m=1", "\"=1", "a,\"b\"", "'=1"} {
		all := rows(t, spiked(s, lab.Failure))
		if len(all) != 2 || len(all[1]) != len(columns) {
			t.Fatalf("%q: %d rows", s, len(all))
		}
		for i, field := range all[1] {
			if strings.ContainsAny(field, "\t\r\n") || field != "" && strings.ContainsRune(formulas, []rune(field)[0]) {
				t.Errorf("%q became %q in column %s", s, field, columns[i].name)
			}
		}
	}
	for _, s := range []string{"a,\"b\"", "a=1", "1-2", "go@1.26", "'=1"} {
		if got := rows(t, lab.Verdict{Cell: s})[1][0]; got != s {
			t.Errorf("%q became %q", s, got)
		}
	}
}

// What is not known is empty, and never a zero.
func TestCSVUnknown(t *testing.T) {
	for i, field := range rows(t, lab.Verdict{})[1] {
		if want := map[string]string{"offer": "default", "accept": "default", "fallback": "false"}[columns[i].name]; field != want {
			t.Errorf("%s is %q, want %q", columns[i].name, field, want)
		}
	}
}
