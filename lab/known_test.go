package lab

import (
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"hybridlab/fixtures"
)

const knownYAML = `known:
  - name: takes-classical
    client: ["*"]
    server: [openssl@trixie, nginx@*]
    offer: ["x25519+~*"]
    accept: ["*"]
    link: [clean]
    boxes: [none]
    cert: [ecdsa-p256]
    outcome: downgrade
    cause: server-preferred-classical
    blame: server
    reason: One tuple.
    see: openssl/openssl#30109
  - name: strips
    boxes: ["*strip*"]
    outcome: downgrade
    reason: That is what the box is for.
`

func deviations(t *testing.T, text string) Deviations {
	t.Helper()
	ds, err := LoadDeviations(strings.NewReader(text), "known.yaml")
	if err != nil {
		t.Fatal(err)
	}
	return ds
}

func TestLoadDeviations(t *testing.T) {
	want := Deviations{
		{Name: "takes-classical", Client: []string{"*"}, Server: []string{"openssl@trixie", "nginx@*"}, Offer: []string{"x25519+~*"}, Accept: []string{"*"},
			Link: []string{"clean"}, Boxes: []string{"none"}, Cert: []string{"ecdsa-p256"},
			Outcome: Downgrade, Cause: CauseServerPreferredClassical, Blame: "server", Reason: "One tuple.", See: "openssl/openssl#30109"},
		{Name: "strips", Boxes: []string{"*strip*"}, Outcome: Downgrade, Reason: "That is what the box is for."},
	}
	if got := deviations(t, knownYAML); !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
	for _, tt := range []struct{ text, want string }{
		{"known:\n  - name: a\n    outcome: downgrade", `known.yaml:2: known deviation "a": it needs a reason`},
		{"known:\n  - outcome: downgrade\n    reason: b", `known.yaml:2: known deviation "": it needs a name`},
		{"known:\n  - name: a\n    reason: b\n    outcome: hybrid", `known.yaml:4: known deviation "a": outcome "hybrid": want one of downgrade, failure`},
		{"known:\n  - name: a\n    reason: b\n    outcome: fault", `known.yaml:4: known deviation "a": outcome "fault"`},
		{"known:\n  - name: a\n    reason: b\n    outcome: size\n    blame: me", `known.yaml:5: known deviation "a": blame "me": want client, server, link or box NAME`},
		{"known:\n  - {name: a, reason: b, outcome: size}\n  - {name: a, reason: b, outcome: size}", `known.yaml:3: known deviation "a": the name is taken`},
		{"known:\n  - name: a\n    servers: [b]", `known.yaml:3: unknown key "servers" in known (did you mean "server"?)`},
		{"deviations: []", `known.yaml:1: unknown key "deviations"`},
	} {
		if _, err := LoadDeviations(strings.NewReader(tt.text), "known.yaml"); err == nil || !strings.HasPrefix(err.Error(), tt.want) {
			t.Errorf("%q:\n got %v\nwant %s", tt.text, err, tt.want)
		}
	}
}

// TestOwnList: the lab's own list can be used.
func TestOwnList(t *testing.T) {
	for _, d := range deviations(t, fixtures.Known) {
		if !strings.HasSuffix(d.Reason, ".") || d.Cause == "" || d.Blame == "" {
			t.Errorf("%s: want a sentence, a cause and somebody to blame: %+v", d.Name, d)
		}
	}
}

func TestJoinDeviations(t *testing.T) {
	a := deviations(t, knownYAML)
	if _, err := a.Join(a[:1]); err == nil || !strings.Contains(err.Error(), "takes-classical") {
		t.Errorf("joined with itself: %v", err)
	}
	if all, err := a[:1].Join(a[1:]); err != nil || len(all) != 2 {
		t.Errorf("%v, %v", all, err)
	}
}

func TestGlob(t *testing.T) {
	for _, tt := range []struct {
		pattern, s string
		want       bool
	}{
		{"", "", true}, {"", "a", false}, {"*", "", true}, {"*", "a/b", true}, {"a", "a", true}, {"a", "ab", false},
		{"a*", "ab", true}, {"a*", "ba", false}, {"*a", "ba", true}, {"*a", "ab", false}, {"a*c", "abc", true}, {"a*c", "ac", true},
		{"a*a", "a", false}, {"*b*b*", "abb", true}, {"*b*b*", "ab", false}, {"x25519+~*", "x25519+~x25519mlkem768", true},
		{"*ab", "aab", true}, {"a**b", "ab", true},
	} {
		if got := glob(tt.pattern, tt.s); got != tt.want {
			t.Errorf("%q and %q: %t", tt.pattern, tt.s, got)
		}
	}
}

// deviant is a verdict that the first entry of knownYAML explains.
func deviant() Verdict {
	return Verdict{Cell: "c", Client: "go@1.26", Server: "nginx@forky", Offer: MustOffer(deferred), Accept: MustOffer(pqList), Link: "clean",
		Outcome: Downgrade, Cause: CauseServerPreferredClassical, Blame: "server"}
}

// TestExplains: an entry is about its cells and about its finding, and about
// no others.
func TestExplains(t *testing.T) {
	d := deviations(t, knownYAML)[0]
	if !d.explains(deviant()) || !d.covers(deviant()) {
		t.Fatal("does not match what it is about")
	}
	for name, change := range map[string]func(*Verdict){
		"server": func(v *Verdict) { v.Server = "go@1.26" },
		"offer":  func(v *Verdict) { v.Offer = MustOffer(pqList) },
		"link":   func(v *Verdict) { v.Link = "mtu1280" },
		"boxes":  func(v *Verdict) { v.Boxes = []string{"a"} },
		"cert":   func(v *Verdict) { v.Cert = "rsa2048" },
	} {
		v := deviant()
		if change(&v); d.covers(v) || d.explains(v) {
			t.Errorf("matches another %s", name)
		}
	}
	for name, change := range map[string]func(*Verdict){
		"outcome": func(v *Verdict) { v.Outcome = Failure },
		"cause":   func(v *Verdict) { v.Cause = CauseHelloRewritten },
		"blame":   func(v *Verdict) { v.Blame = "client" },
	} {
		v := deviant()
		if change(&v); !d.covers(v) || d.explains(v) {
			t.Errorf("another %s: covers %t, explains %t", name, d.covers(v), d.explains(v))
		}
	}
}

// TestChance: where it is a matter of chance, attempts that disagree are
// explained if one of them ended so.
func TestChance(t *testing.T) {
	ds := deviations(t, "known:\n  - {name: a, boxes: [real@*], outcome: misroute, cause: wrong-server, blame: box real@*, chance: true, reason: It is.}\n  - {name: b, outcome: misroute, reason: It is.}")
	flaky := func(box string, outcomes ...Outcome) Verdict {
		v := deviant()
		v.Boxes, v.Outcome, v.Cause, v.Blame = []string{box}, Flaky, "", ""
		for _, o := range outcomes {
			a := Attempt{Outcome: o}
			if o == Misroute {
				a.Cause = CauseWrongServer
			}
			v.Attempts = append(v.Attempts, a)
		}
		return v
	}
	always := flaky("real@1")
	always.Outcome, always.Cause, always.Blame = Misroute, CauseWrongServer, "box real@1"
	others := always
	others.Blame = "box other@1"
	for _, tt := range []struct {
		what string
		v    Verdict
		want [2]bool
	}{
		{"every attempt", always, [2]bool{true, true}},
		{"every attempt, another's doing", others, [2]bool{false, true}},
		{"one of two", flaky("real@1", Hybrid, Misroute), [2]bool{true, false}},
		{"neither", flaky("real@1", Hybrid, Failure), [2]bool{false, false}},
		{"another box", flaky("other@1", Hybrid, Misroute), [2]bool{false, false}},
	} {
		if got := [2]bool{ds[0].explains(tt.v), ds[1].explains(tt.v)}; got != tt.want {
			t.Errorf("%s: explained %v, want %v", tt.what, got, tt.want)
		}
	}
}

// TestGone: an entry is gone where its cells ran and ended otherwise, and
// only then.
func TestGone(t *testing.T) {
	passing, elsewhere, undecided := deviant(), deviant(), deviant()
	passing.Outcome, passing.Cause, passing.Blame = Hybrid, "", ""
	elsewhere.Link = "mtu1280"
	undecided.Outcome, undecided.Cause, undecided.Blame = Inconclusive, "", ""
	for _, tt := range []struct {
		name       string
		verdicts   []Verdict
		gone       bool
		unexpected int
	}{
		{"nothing ran", nil, false, 0},
		{"its cell ran and deviates", []Verdict{deviant()}, false, 0},
		{"one of two deviates", []Verdict{deviant(), passing}, false, 0},
		{"its cell ran and passes", []Verdict{passing}, true, 0},
		{"its cell could not be decided", []Verdict{undecided}, false, 0},
		{"other cells deviate", []Verdict{elsewhere}, false, 1},
	} {
		var r Report
		r.Recount(deviations(t, knownYAML), tt.verdicts)
		if got := slices.ContainsFunc(r.Gone(), func(k KnownSeen) bool { return k.Name == "takes-classical" }); got != tt.gone || r.Unexpected != tt.unexpected {
			t.Errorf("%s: gone %t, %d unexpected; %+v", tt.name, got, r.Unexpected, r.Known)
		}
	}
}

// TestSeenGone: what was looked for and not found is gone, unless it is a matter of
// chance or was not looked for.
func TestSeenGone(t *testing.T) {
	for _, tt := range []struct {
		seen KnownSeen
		want bool
	}{
		{KnownSeen{Cells: 3}, true},
		{KnownSeen{Cells: 3, Matched: 1}, false},
		{KnownSeen{}, false},
		{KnownSeen{Deviation: Deviation{Chance: true}, Cells: 3}, false},
	} {
		if got := tt.seen.Gone(); got != tt.want {
			t.Errorf("%+v: %t", tt.seen, got)
		}
	}
}

// TestRecordKnown: what is known is marked on disk and counted apart.
func TestRecordKnown(t *testing.T) {
	head := Report{Run: "r"}
	head.Expect(deviations(t, knownYAML))
	rec, err := Record(filepath.Join(t.TempDir(), "run"), head)
	if err != nil {
		t.Fatal(err)
	}
	flaky, unknown := deviant(), deviant()
	flaky.Outcome, unknown.Server = Flaky, "go@1.26"
	for _, v := range []Verdict{deviant(), unknown, flaky} {
		if err := rec.Judged(v); err != nil {
			t.Fatal(err)
		}
	}
	if err := rec.Close(time.Unix(9, 0)); err != nil {
		t.Fatal(err)
	}
	d, err := OpenRun(rec.Dir)
	if err != nil {
		t.Fatal(err)
	}
	var known []string
	for v, err := range d.Verdicts() {
		if err != nil {
			t.Fatal(err)
		}
		known = append(known, v.Known)
	}
	if !slices.Equal(known, []string{"takes-classical", "", ""}) || d.Report.Unexpected != 2 || d.Report.Counts[Downgrade] != 2 {
		t.Errorf("known %q, %d unexpected of %v", known, d.Report.Unexpected, d.Report.Counts)
	}
	if !reflect.DeepEqual(d.Report.Deviations(), deviations(t, knownYAML)) {
		t.Errorf("the list came back as %+v", d.Report.Deviations())
	}
}

// FuzzLoadDeviations: whatever the file, entries that come out of it make
// sense.
func FuzzLoadDeviations(f *testing.F) {
	f.Add(knownYAML)
	f.Add(fixtures.Known)
	for i := 0; i < len(knownYAML); i += 37 {
		f.Add(knownYAML[:i])
	}
	f.Fuzz(func(t *testing.T, text string) {
		ds, err := LoadDeviations(strings.NewReader(text), "fuzz.yaml")
		if err != nil {
			if !strings.HasPrefix(err.Error(), "fuzz.yaml:") {
				t.Errorf("error without a place: %v", err)
			}
			return
		}
		for i, d := range ds {
			if key, err := d.check(ds[:i]); err != nil {
				t.Errorf("%s: %v", key, err)
			}
			d.explains(deviant())
		}
	})
}
