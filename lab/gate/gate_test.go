package gate

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"hybridlab/lab"
	"hybridlab/lab/compare"
	"hybridlab/lab/stats"
)

const policyYAML = `# what the new proxy must live up to
success: 99.5%
fallback: 1%
p95: 20%
require: [x25519mlkem768]
forbid: [downgrade, misroute]
versions: [openssl >= 3.5, nginx >= 1.26.0]
`

func load(t *testing.T, text string) Policy {
	t.Helper()
	p, err := Load(strings.NewReader(text), "policy.yaml")
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestLoad(t *testing.T) {
	want := Policy{Success: Share{0.995, true}, Fallback: Share{0.01, true}, Downgrade: Share{0, true}, P95: Share{0.2, true},
		Require: []string{"X25519MLKEM768"}, Forbid: []string{"downgrade", "misroute"},
		Versions: []Minimum{{"openssl", []int{3, 5}}, {"nginx", []int{1, 26, 0}}}}
	if got := load(t, policyYAML); !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
	for _, tt := range []struct{ text, want string }{
		{"sucess: 1%", `policy.yaml:1: unknown key "sucess" in the file (did you mean "success"?); valid keys: success, fallback, downgrade, p95, p99, require, forbid, versions`},
		{"success: 99", `policy.yaml:1: success: "99" is not a percentage such as 99.5%`},
		{"success: -1%", `policy.yaml:1: success: "-1%" is not`},
		{"p95: NaN%", `policy.yaml:1: p95: "NaN%" is not`},
		{"require:\n  - kyber", `policy.yaml:2: `},
		{"forbid:\n  - size\n  - broken", `policy.yaml:3: outcome "broken": want one of hybrid, classical`},
		{"versions: [openssl > 3]", `policy.yaml:1: versions: "openssl > 3" is not a least version such as openssl >= 3.5`},
		{"versions: [openssl >= 3..5]", `policy.yaml:1: versions: "openssl >= 3..5" is not`},
		{"", "policy.yaml: holds 0 YAML documents"},
	} {
		if _, err := Load(strings.NewReader(tt.text), "policy.yaml"); err == nil || !strings.HasPrefix(err.Error(), tt.want) {
			t.Errorf("%q:\n got %v\nwant %s", tt.text, err, tt.want)
		}
	}
}

// FuzzLoad: whatever the file, a policy or an error with its place.
func FuzzLoad(f *testing.F) {
	f.Add(policyYAML)
	for i := 0; i < len(policyYAML); i += 13 {
		f.Add(policyYAML[:i])
	}
	f.Fuzz(func(t *testing.T, text string) {
		if _, err := Load(strings.NewReader(text), "fuzz.yaml"); err != nil && !strings.HasPrefix(err.Error(), "fuzz.yaml:") {
			t.Errorf("error without a place: %v", err)
		}
	})
}

func TestVersions(t *testing.T) {
	const nginx = "nginx/1.26.3, OpenSSL 3.5.4 30 Sep 2025, OpenSSL 3.5.4"
	for _, tt := range []struct {
		minimum, words, version string
		reached                 bool
	}{
		{"openssl >= 3.5", nginx, "3.5.4", true},
		{"openssl >= 3.5.4", nginx, "3.5.4", true},
		{"openssl >= 3.5.5", nginx, "3.5.4", false},
		{"openssl >= 3.10", nginx, "3.5.4", false},
		{"nginx >= 1.9", nginx, "1.26.3", true},
		{"nginx >= 1.26.3.0", nginx, "1.26.3", true},
		{"nginx >= 1.26.3.1", nginx, "1.26.3", false},
		{"go >= 1.26", "go1.26.8 crypto/tls", "1.26.8", true},
		{"haproxy >= 3", "HAProxy version 3.0.11-1", "3.0.11", true},
		{"ssl >= 1", nginx, "", false},
		{"envoy >= 1", nginx, "", false},
		{"nginx >= 1", "nginx/99999999999999999999", "99999999999999999999", true},
	} {
		var m Minimum
		if err := m.UnmarshalText([]byte(tt.minimum)); err != nil || m.String() != tt.minimum {
			t.Fatalf("%s: %v, written as %s", tt.minimum, err, m)
		}
		version, ok := m.found(tt.words)
		if version != tt.version || ok != (tt.version != "") || ok && m.reached(version) != tt.reached {
			t.Errorf("%s in %q: %q, %t, reached %t", tt.minimum, tt.words, version, ok, m.reached(version))
		}
	}
}

var before, after = Side{Name: "b@1", ID: "b@1"}, Side{Name: "b@2", ID: "b@2"}

func verdict(t *testing.T, id, outcome string) lab.Verdict {
	t.Helper()
	c, err := lab.ParseCell(id)
	if err != nil {
		t.Fatal(err)
	}
	v := lab.Verdict{Cell: c.ID, Client: c.Client, Server: c.Server, Offer: c.Offer, Accept: c.Accept, Link: c.Link, Outcome: lab.Outcome(outcome), Why: "because"}
	switch v.Outcome {
	case lab.Hybrid:
		v.Group = "X25519MLKEM768"
	case lab.Classical, lab.Downgrade:
		v.Group = "x25519"
	}
	return v
}

// decide compares cells that ended so before and after: "hybrid classical".
func decide(t *testing.T, p Policy, accept string, cells ...string) Decision {
	t.Helper()
	return decideFor(t, after, p, accept, cells...)
}

func decideFor(t *testing.T, after Side, p Policy, accept string, cells ...string) Decision {
	t.Helper()
	var a, b []lab.Verdict
	for i, cell := range cells {
		was, is, _ := strings.Cut(cell, " ")
		a = append(a, verdict(t, fmt.Sprintf("a@%d/b@1/x25519mlkem768:default/clean", i), was))
		if is != "" {
			b = append(b, verdict(t, fmt.Sprintf("a@%d/b@2/x25519mlkem768:%s/clean", i, accept), is))
		}
	}
	run := func(vs []lab.Verdict) compare.Side {
		return compare.Side{Report: lab.Report{Ended: time.Unix(1, 0), Peers: []lab.PeerInfo{{ID: "b@2", Version: "OpenSSL 3.5.4"}}},
			Verdicts: func(yield func(lab.Verdict, error) bool) {
				for _, v := range vs {
					if !yield(v, nil) {
						return
					}
				}
			}, Key: func(cell string) (string, int) {
				client, _, _ := strings.Cut(cell, "/")
				return client, 0
			}}
	}
	sideB := run(b)
	sideB.Report.Excluded = []lab.Exclusion{{Cell: fmt.Sprintf("a@%d/b@2/x25519mlkem768:default/clean", len(cells)-1), Reason: "server b@2: it has no group X25519MLKEM768"}}
	c, err := compare.Runs(run(a), sideB)
	if err != nil {
		t.Fatal(err)
	}
	d, err := Decide(p, before, after, c, Run{sideB.Report, sideB.Verdicts})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestShares(t *testing.T) {
	half := Default()
	half.Success, half.Fallback, half.Downgrade = Share{0.5, true}, Share{0.5, true}, Share{0.5, true}
	for _, tt := range []struct {
		name   string
		policy Policy
		cells  []string
		want   []string // what each reason begins with
	}{
		{"the same", Default(), []string{"hybrid hybrid", "classical classical", "refused refused", "size size"}, nil},
		{"mended and stronger", Default(), []string{"size hybrid", "classical hybrid"}, nil},
		{"broke", Default(), []string{"hybrid failure", "hybrid hybrid"}, []string{"of 2 handshakes that worked, 1 do not with b@2 (at least 100% must): failure, such as a@0/b@2/"}},
		{"refused now", Default(), []string{"classical refused", "hybrid hybrid"}, []string{"of 2 handshakes that worked, 1 do not"}},
		{"flaky now", Default(), []string{"classical flaky", "hybrid hybrid"}, []string{"of 2 handshakes that worked, 1 do not"}},
		{"cannot be set up so", Default(), []string{"hybrid hybrid", "hybrid"}, []string{"of 2 handshakes that worked, 1 do not with b@2 (at least 100% must): server b@2: it has no group X25519MLKEM768, such as a@1/b@1/"}},
		{"fell back", Default(), []string{"hybrid classical", "hybrid hybrid"}, []string{"of 2 handshakes that were hybrid, 1 are classical with b@2 (at most 0% may): by its own rules b@2 ends it as classical x25519"}},
		{"downgraded", Default(), []string{"hybrid downgrade", "hybrid hybrid"}, []string{"of 2 handshakes that were hybrid, 1", "of 2 handshakes, 1 are downgrades"}},
		{"a failure became a downgrade", Default(), []string{"failure downgrade"}, []string{"of 1 handshakes, 1 are downgrades"}},
		{"half may", half, []string{"hybrid classical", "hybrid hybrid", "classical failure", "classical downgrade"}, nil},
		{"not more than half", half, []string{"hybrid failure", "hybrid failure", "hybrid hybrid"}, []string{"of 3 handshakes that worked, 2 do not"}},
		{"undecided", Default(), []string{"hybrid inconclusive", "hybrid hybrid"}, nil},
		{"nothing is judged", Policy{}, []string{"hybrid failure", "hybrid downgrade"}, nil},
	} {
		d := decide(t, tt.policy, "default", tt.cells...)
		if d.Yes != (len(tt.want) == 0) || len(d.Reasons) != len(tt.want) {
			t.Errorf("%s: %+v", tt.name, d)
			continue
		}
		for i, want := range tt.want {
			if !strings.HasPrefix(d.Reasons[i], want) {
				t.Errorf("%s: %q, want %q", tt.name, d.Reasons[i], want)
			}
		}
		if s := d.Sentence(before, after); d.Yes && s != "Yes: b@2 may replace b@1." || !d.Yes && !strings.HasPrefix(s, "No: b@2 may not replace b@1: of ") {
			t.Error(s)
		}
	}
}

// TestNamesTheList: a list of classical groups is named as the reason.
func TestNamesTheList(t *testing.T) {
	d := decide(t, Default(), "x25519+secp256r1", "hybrid classical", "hybrid refused")
	if len(d.Reasons) != 2 || !strings.Contains(d.Reasons[0], "b@2 is set up for x25519+secp256r1, which has no post-quantum group") {
		t.Errorf("%q", d.Reasons)
	}
}

// TestNamesTheDefault: what the peer has by itself or by its file is named
// where the cell names none, and is no reason where it is not known.
func TestNamesTheDefault(t *testing.T) {
	for list, want := range map[string]string{"x25519": "b@2 is set up for x25519, which has no post-quantum group", "x25519mlkem768": "by its own rules", "default": "by its own rules"} {
		named := after
		named.Default = lab.MustOffer(list)
		if d := decideFor(t, named, Default(), "default", "hybrid classical"); len(d.Reasons) != 1 || !strings.Contains(d.Reasons[0], want) {
			t.Errorf("%s: %q", list, d.Reasons)
		}
	}
}

func TestNotes(t *testing.T) {
	d := decide(t, Default(), "default", "hybrid inconclusive", "refused failure", "hybrid hybrid")
	if got := strings.Join(d.Notes, "; "); !d.Yes || got != "cells that were refused as they should be and are findings now: 1; cells that could not be decided with the peer after, and count neither way: 1" {
		t.Errorf("%t: %s", d.Yes, got)
	}
}

func TestDemands(t *testing.T) {
	for _, tt := range []struct {
		policy Policy
		want   string
	}{
		{Policy{Require: []string{"X25519MLKEM768"}}, ""},
		{Policy{Require: []string{"MLKEM1024"}}, "MLKEM1024 came out of no handshake with b@2, and the policy requires it"},
		{Policy{Forbid: []string{"misroute"}}, ""},
		{Policy{Forbid: []string{"size"}}, "the policy forbids the outcome size, and a@1/b@2/x25519mlkem768:default/clean ends so: because"},
		{Policy{Versions: []Minimum{{"openssl", []int{3, 5}}}}, ""},
		{Policy{Versions: []Minimum{{"openssl", []int{3, 6}}}}, "the policy wants openssl >= 3.6, and b@2 has 3.5.4"},
		{Policy{Versions: []Minimum{{"nginx", []int{1}}}}, `the policy wants nginx >= 1, and b@2 does not say what nginx it has (it says "OpenSSL 3.5.4")`},
	} {
		d := decide(t, tt.policy, "default", "hybrid hybrid", "size size")
		if got := strings.Join(d.Reasons, "; "); got != tt.want {
			t.Errorf("%+v: %q, want %q", tt.policy, got, tt.want)
		}
	}
}

// TestTimes: slower counts where it is shown, and what cannot be shown is no
// yes for those who asked.
func TestTimes(t *testing.T) {
	shift := func(q float64, need int, before, low float64, real bool) compare.Timing {
		timing := compare.Timing{Client: "a@1", Server: "b@2", Path: "clean", Group: "X25519MLKEM768"}
		for _, each := range stats.Quantiles {
			s := stats.Shift{Quantile: each, Samples: 5, Need: 72}
			if each == q {
				s = stats.Shift{Quantile: q, Need: need, Samples: 5, Before: before, After: before + low + 1, Change: stats.Interval{Value: low + 1, Low: low, High: low + 2}, Real: real}
			}
			timing.Shifts = append(timing.Shifts, s)
		}
		return timing
	}
	p95 := Policy{P95: Share{0.2, true}}
	for _, tt := range []struct {
		name         string
		policy       Policy
		times        []compare.Timing
		reason, note string
	}{
		{"not asked", Policy{}, []compare.Timing{shift(0.95, 0, 10, 9, true)}, "", ""},
		{"slower", p95, []compare.Timing{shift(0.95, 0, 10, 9, true)}, "the p95 of handshakes from a@1 to b@2 over clean with X25519MLKEM768 grew from 10.0 ms to 20.0 ms, at least by 90% (at most 20% may)", ""},
		{"slower, and it may be", p95, []compare.Timing{shift(0.95, 0, 10, 1.9, true)}, "", ""},
		{"perhaps slower", p95, []compare.Timing{shift(0.95, 0, 10, 9, false)}, "", ""},
		{"too few samples", p95, []compare.Timing{shift(0.95, 72, 0, 0, false)}, "the p95 was not judged: n too small, 5 samples where it takes 72; run with a larger --repeat", ""},
		{"too few in one of two", p95, []compare.Timing{shift(0.95, 72, 0, 0, false), shift(0.95, 0, 10, 1, false)}, "", "the p95 was judged in 1 of 2 groups of like handshakes; n is too small in the others"},
		{"nothing to compare", p95, nil, "the p95 was not judged: no handshake was timed both before and after: the lab was too busy, or none worked", ""},
		{"the other quantile", Policy{P99: Share{0.2, true}}, []compare.Timing{shift(0.99, 0, 10, 9, true)}, "the p99 of handshakes from a@1 to b@2 over clean with X25519MLKEM768 grew from 10.0 ms to 20.0 ms, at least by 90% (at most 20% may)", ""},
	} {
		var d Decision
		d.times(tt.policy, &compare.Comparison{Times: tt.times})
		if reason, note := strings.Join(d.Reasons, "; "), strings.Join(d.Notes, "; "); reason != tt.reason || note != tt.note {
			t.Errorf("%s: %q and %q, want %q and %q", tt.name, reason, note, tt.reason, tt.note)
		}
	}
}
