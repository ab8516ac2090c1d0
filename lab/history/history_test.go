package history

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"hybridlab/lab"
)

var began = time.Date(2026, 11, 23, 3, 0, 0, 500, time.UTC)

// recorded is a run directory with these verdicts.
func recorded(t *testing.T, id string, started time.Time, vs ...lab.Verdict) *lab.RunDir {
	t.Helper()
	rec, err := lab.Record(filepath.Join(t.TempDir(), "run"), lab.Report{
		Run: id, Started: started, Tool: "abc", Fabric: "embedded", Level: "quick", PlanDigest: "p", Cells: len(vs),
		Peers: []lab.PeerInfo{{ID: "a@1", Version: "1.0"}, {ID: "b@1", Version: "2.0", Image: "sha256:b"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range vs {
		if err := rec.Judged(v); err != nil {
			t.Fatal(err)
		}
	}
	if err := rec.Close(started.Add(90 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return &rec.RunDir
}

func verdict(client, server lab.PeerID, groups, link string, o lab.Outcome, cause lab.Cause, blame string, ms float64) lab.Verdict {
	g := lab.MustOffer(groups)
	c := lab.NewCell(client, server, g, g, link)
	v := lab.Verdict{Cell: c.ID, Client: client, Server: server, Offer: g, Accept: g, Link: link, Outcome: o, Cause: cause, Blame: blame, HandshakeMS: ms}
	v.Attempts = []lab.Attempt{{Outcome: o, Cause: cause, HandshakeMS: ms}}
	return v
}

func of(t *testing.T, d *lab.RunDir) Run {
	t.Helper()
	r, err := Of(d)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// TestOf: the line says what the verdicts say.
func TestOf(t *testing.T) {
	vs := []lab.Verdict{
		verdict("b@1", "a@1", "x25519", "clean", lab.Classical, "", "", 1),
		verdict("a@1", "b@1", "x25519mlkem768", "hole2", lab.Size, lab.CausePMTUBlackhole, "link", 0),
		verdict("a@1", "b@1", "x25519mlkem768", "hole1", lab.Size, lab.CausePMTUBlackhole, "link", 0),
		verdict("a@1", "b@1", "x25519mlkem768", "lossy", lab.Flaky, "", "", 0),
		verdict("a@1", "b@1", "secp256r1", "clean", lab.Refused, "", "", 0),
	}
	for i := range 100 { // 1 to 100 ms
		v := verdict("a@1", "b@1", "x25519mlkem768", "clean", lab.Hybrid, "", "", float64(i+1))
		v.Cell += strings.Repeat("x", i)
		vs = append(vs, v)
	}
	old := verdict("a@1", "b@1", "x25519mlkem768", "rtt100", lab.Hybrid, "", "", 100_000)
	old.Reused = "before"
	r := of(t, recorded(t, "one", began, append(vs, old)...))
	if r.ID != "one" || !r.Started.Equal(began.Truncate(time.Second)) || r.Seconds != 90 || r.Level != "quick" || r.Plan != "p" || r.Judged != 106 || r.Reused != 1 || r.Unexpected != 3 || r.Counts[lab.Hybrid] != 101 {
		t.Errorf("%+v", r)
	}
	want := []Pair{
		{"a@1", "b@1", map[lab.Session]int{lab.SessionHybrid: 101, lab.SessionFailed: 2, lab.SessionRefused: 1, lab.SessionUndecided: 1}, &Times{100, 50, 95}},
		{"b@1", "a@1", map[lab.Session]int{lab.SessionClassical: 1}, &Times{Sample: 1}},
	}
	if !reflect.DeepEqual(r.Pairs, want) {
		t.Errorf("pairs %+v\nwant  %+v", r.Pairs, want)
	}
	if r.Times == nil || r.Times.Sample != 101 || r.Times.P95 == 0 {
		t.Errorf("times %+v: those of reused verdicts are another run's", r.Times)
	}
	if len(r.Findings) != 1 || r.Findings[0].Cells != 2 || r.Findings[0].ID != "a@1/b@1/size/pmtu-blackhole/link" || !strings.HasSuffix(r.Findings[0].Example, "hole1") {
		t.Errorf("findings %+v", r.Findings)
	}
	if s, ok := Share(want[0].Sessions); !ok || s != 101./103 {
		t.Errorf("share %f, %t", s, ok)
	}
	if _, ok := Share(map[lab.Session]int{lab.SessionRefused: 3}); ok {
		t.Error("of refusals alone there is no share")
	}
}

func TestSince(t *testing.T) {
	size := verdict("a@1", "b@1", "x25519mlkem768", "hole", lab.Size, lab.CausePMTUBlackhole, "link", 0)
	fails := verdict("b@1", "a@1", "x25519mlkem768", "clean", lab.Failure, lab.CauseRSTAfterHello, "server", 0)
	fine := verdict("b@1", "a@1", "x25519mlkem768", "clean", lab.Hybrid, "", "", 1)
	other := verdict("a@1", "a@1", "x25519mlkem768", "clean", lab.Failure, lab.CauseRSTAfterHello, "server", 0)
	known := size
	known.Known = "why"
	before := of(t, recorded(t, "one", began, size, fails, other))
	after := of(t, recorded(t, "two", began, size, fine))
	ids := func(fs []Finding) (out []string) {
		for _, f := range fs {
			out = append(out, f.ID)
		}
		return out
	}
	c := after.Since(before)
	if len(c.New) != 0 || !slices.Equal(ids(c.Gone), []string{"b@1/a@1/failure/rst-after-hello/server"}) || c.Plan {
		t.Errorf("%+v: what was not run (a@1 with itself) is not gone", c)
	}
	if back := before.Since(after); len(back.New) != 2 || len(back.Gone) != 0 {
		t.Errorf("the other way round: %+v", back)
	}
	after.Peers[1].Version, after.Plan = "2.1", "q"
	if c := after.Since(before); len(c.Peers) != 1 || c.Peers[0].After.Version != "2.1" || !c.Plan {
		t.Errorf("%+v", c)
	}
	if same := after.Since(after); len(same.New)+len(same.Gone)+len(same.Peers) != 0 || same.Plan {
		t.Errorf("against itself: %+v", same)
	}
	k := gathering{findings: map[string]*Finding{}}
	k.find(size)
	if k.find(known); len(k.findings) != 2 {
		t.Error("a finding that is known now is the same as one that is not")
	}
}

// TestEnter: a run is there once, however often it is entered, and the runs
// are in order of time.
func TestEnter(t *testing.T) {
	fine := verdict("a@1", "b@1", "x25519", "clean", lab.Classical, "", "", 1)
	first, second := of(t, recorded(t, "one", began, fine)), of(t, recorded(t, "two", began.Add(time.Hour), fine))
	h, added := Enter(nil, second, first)
	if added != 2 || len(h) != 2 || h[0].ID != "one" {
		t.Errorf("%d added: %+v", added, h)
	}
	judged := second
	judged.Unexpected = 7
	again, added := Enter(h, judged)
	if added != 0 || len(again) != 2 || again[1].Unexpected != 7 || h[1].Unexpected != 0 {
		t.Errorf("%d added: %+v", added, again)
	}
}

func TestSaveAndLoad(t *testing.T) {
	file := filepath.Join(t.TempDir(), "new", "history.jsonl")
	if h, err := Load(file); err != nil || len(h) != 0 {
		t.Errorf("a file that is not there: %v, %v", h, err)
	}
	h := []Run{of(t, recorded(t, "one", began, verdict("a@1", "b@1", "x25519", "<&>", lab.Size, "c", "link", 0)))}
	if err := Save(file, h); err != nil {
		t.Fatal(err)
	}
	got, err := Load(file)
	if err != nil || !reflect.DeepEqual(got, h) {
		t.Errorf("%v\n%+v\nwant\n%+v", err, got, h)
	}
	b, err := os.ReadFile(file)
	if err != nil || bytes.Count(b, []byte("\n")) != 1 || !bytes.Contains(b, []byte("<&>")) {
		t.Errorf("%v: %s", err, b)
	}
	if err := Save(filepath.Join(file, "x"), h); err == nil {
		t.Error("a file as a folder is fine")
	}
	if _, err := Load(filepath.Dir(file)); err == nil {
		t.Error("a folder is a history")
	}
}

// TestReadRefuses: a history that cannot be read whole is not read.
func TestReadRefuses(t *testing.T) {
	var b bytes.Buffer
	if err := Write(&b, []Run{{Schema: Schema, ID: "one", Counts: map[lab.Outcome]int{}}, {Schema: Schema, ID: "two"}}); err != nil {
		t.Fatal(err)
	}
	whole := b.String()
	if h, err := Read(strings.NewReader(whole), "h"); err != nil || len(h) != 2 {
		t.Fatalf("the control: %v, %v", h, err)
	}
	line := strings.SplitAfter(whole, "\n")[0]
	for text, want := range map[string]string{
		whole + line: `line 3: run "one" is there twice`,
		whole + strings.Replace(line, `"schema":1`, `"schema":9`, 1): "line 3: schema 9",
		strings.Replace(whole, `"run":"two"`, `"run":""`, 1):         "line 2: it names no run",
		strings.Replace(whole, `"tool"`, `"tol"`, 1):                 `line 1: json: unknown field "tol"`,
		line + "\n" + line: "line 2",
	} {
		if h, err := Read(strings.NewReader(text), "h"); err == nil || !strings.Contains(err.Error(), want) || h != nil {
			t.Errorf("%v, %v, want %q", h, err, want)
		}
	}
	for i := 1; i < len(whole)-1; i++ {
		if h, err := Read(strings.NewReader(whole[:i]), "h"); err == nil && i != len(line) && i != len(line)-1 {
			t.Errorf("%d of %d bytes are read: %v", i, len(whole), h)
		}
	}
	if err := Write(broken{}, []Run{{}}); err == nil {
		t.Error("a full disk is not noticed")
	}
}

type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, errors.New("full") }

// FuzzRead: what is read can be written and is then read the same.
func FuzzRead(f *testing.F) {
	f.Add(`{"schema":1,"run":"a","started":"2026-11-23T03:00:00Z","tool":"","fabric":"","plan_digest":"","cells":0,"judged":0,"counts":null,"unexpected":0,"peers":[],"pairs":[],"findings":[]}`)
	f.Add(`{"schema":1,"run":"b","pairs":[{"client":"a","server":"b","sessions":{"hybrid":1},"times":{"sample":1}}]}`)
	f.Add("{}\n")
	f.Fuzz(func(t *testing.T, text string) {
		h, err := Read(strings.NewReader(text), "h")
		if err != nil {
			return
		}
		var b bytes.Buffer
		if err := Write(&b, h); err != nil {
			t.Fatalf("what was read cannot be written: %v", err)
		}
		again, err := Read(&b, "h")
		if err != nil || len(again) != len(h) {
			t.Fatalf("%v: %d runs, %d before", err, len(again), len(h))
		}
		for i := 1; i < len(again); i++ {
			again[i].Since(again[i-1])
		}
	})
}
