package evidence

import (
	"bytes"
	"context"
	"crypto/tls"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"hybridlab/lab"
	"hybridlab/lab/capture"
	"hybridlab/lab/capture/capturetest"
	"hybridlab/lab/triage"
)

// rules are those of both ends of the run below.
type rules struct{}

func (rules) Rules(lab.PeerID) lab.Rules {
	return lab.Rules{Default: lab.MustOffer("*x25519mlkem768+*x25519"), Shares: lab.ShareFirst, Pick: lab.PickPostQuantum, NoMatch: "handshake_failure"}
}

func (rules) Unsupported(lab.PeerID, lab.Role, lab.Offer) string { return "" }

var field = triage.Field{
	Known: rules{}, CleanLink: func(string) string { return "clean" },
	Settings: func(id lab.PeerID) (lab.PeerID, []lab.Setting) { return id, nil },
	Remedy:   func(string) string { return "" },
}

// The finding of the run, and another.
var (
	weaker  = lab.NewCell("a", "b", lab.MustOffer("x25519mlkem768+x25519"), lab.MustOffer("x25519mlkem768+x25519"), "slow")
	another = lab.NewCell("a", "b", lab.MustOffer("x25519mlkem768+x25519"), lab.MustOffer("x25519mlkem768+x25519"), "slower")
	passes  = lab.NewCell("a", "b", lab.MustOffer("x25519"), lab.MustOffer("x25519"), "slow")
)

// fabric has a server that never takes the hybrid: a downgrade, with keys.
type fabric struct{ t *testing.T }

func (f fabric) Run(_ context.Context, c lab.Cell, _ uint64) (lab.Evidence, error) {
	client := &tls.Config{CurvePreferences: []tls.CurveID{tls.X25519MLKEM768, tls.X25519}}
	server := &tls.Config{CurvePreferences: []tls.CurveID{tls.X25519}}
	if !c.Offer.Groups()[0].PostQuantum() {
		client = server
	}
	flights, keylog, err := capturetest.Talk(client, server)
	if err != nil {
		return lab.Evidence{}, err
	}
	path := capturetest.New(false)
	path.Open()
	path.Play(flights)
	path.Close(capture.ToServer)
	end := lab.End{Done: true, Data: true, Group: "x25519"}
	setup := &lab.Setup{Argv: []string{"serve", "{dir}/conf"}, Files: map[string]string{"conf": "groups x25519\n"}}
	return lab.Evidence{Packets: path.Packets, KeyLog: keylog, Client: end, Server: end, ClientSetup: setup, ServerSetup: setup}, nil
}

// recorded is a run directory with findings in it.
func recorded(t *testing.T) *lab.RunDir {
	t.Helper()
	rec, err := lab.Record(filepath.Join(t.TempDir(), "run"), lab.Report{
		Run: "test", Tool: "abc", Started: time.Unix(1e9, 0).UTC(), Peers: []lab.PeerInfo{{ID: "a", Version: "1"}, {ID: "b"}, {ID: "c"}},
		Links: []lab.LinkInfo{{Name: "slow"}, {Name: "slower"}}, Excluded: []lab.Exclusion{{Cell: "x", Reason: "y"}}, Cells: 3,
	})
	if err != nil {
		t.Fatal(err)
	}
	r := lab.Runner{Fabric: fabric{t}, Known: rules{}, Sink: rec, Attempts: 2, CleanLink: field.CleanLink}
	if err := r.Run(t.Context(), []lab.Cell{weaker, another, passes}, 1); err != nil {
		t.Fatal(err)
	}
	if err := rec.Close(time.Unix(1e9+9, 0).UTC()); err != nil {
		t.Fatal(err)
	}
	return reopened(t, rec.Dir)
}

func reopened(t *testing.T, dir string) *lab.RunDir {
	t.Helper()
	d, err := lab.OpenRun(dir)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func gathered(t *testing.T, d *lab.RunDir) *Finding {
	t.Helper()
	f, err := Gather(d, weaker.ID, field)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func files(t *testing.T, f *Finding) []File {
	t.Helper()
	out, err := f.Files("abc")
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func packed(t *testing.T, files []File) []byte {
	t.Helper()
	data, err := Pack(files, nil)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// What is gathered is the finding and what it rests on, and nothing else; and
// gathered from the bundle it is the same to the byte.
func TestGather(t *testing.T) {
	d := recorded(t)
	f := gathered(t, d)
	if f.Verdict.Outcome != lab.Downgrade || f.Seen.Cell.ID != weaker.ID || len(f.Controls) != 2 || len(f.Verdicts) != 1 || len(f.Observations) != 4 {
		t.Fatalf("%+v, %d controls, %d verdicts, %d observations", f.Verdict, len(f.Controls), len(f.Verdicts), len(f.Observations))
	}
	if len(f.Report.Peers) != 2 || len(f.Report.Links) != 1 || len(f.Report.Excluded) != 0 || f.Report.Judged != 1 || f.Report.Counts[lab.Downgrade] != 1 {
		t.Errorf("the report is not reduced: %+v", f.Report)
	}
	if hello := f.Hello.Bytes; len(hello) != f.Verdict.HelloBytes || hello[0] != 22 || len(f.Hello.Cuts) != f.Verdict.HelloSegments-1 {
		t.Errorf("a hello of %d bytes, cut at %v; want %d bytes in %d segments", len(hello), f.Hello.Cuts, f.Verdict.HelloBytes, f.Verdict.HelloSegments)
	}
	data := packed(t, files(t, f))
	if again := packed(t, files(t, gathered(t, d))); !bytes.Equal(data, again) {
		t.Error("the same finding gave other bytes")
	}
	b, checks := Open(data, nil)
	if Wrong(checks) {
		t.Fatalf("%+v", checks)
	}
	inside, cell, err := b.Run()
	if err != nil || cell != weaker.ID {
		t.Fatalf("%q: %v", cell, err)
	}
	if err := b.Account(files(t, gathered(t, inside))); err != nil {
		t.Error(err)
	}
	if err := Follow(inside, field); err != nil {
		t.Error(err)
	}
}

// Both sides are captures of their own, with the keys.
func TestTwoCaptures(t *testing.T) {
	byName := map[string]capture.File{}
	for _, f := range files(t, gathered(t, recorded(t))) {
		if strings.HasSuffix(f.Name, ".pcapng") {
			c, err := capture.ReadFile(bytes.NewReader(f.Data))
			if err != nil {
				t.Fatalf("%s: %v", f.Name, err)
			}
			byName[f.Name] = c
		}
	}
	both, client, server := byName[BothSidesFile], byName[ClientSideFile], byName[ServerSideFile]
	if len(client.Packets) == 0 || len(server.Packets) == 0 || len(client.Packets)+len(server.Packets) != len(both.Packets) {
		t.Errorf("%d and %d packets of %d", len(client.Packets), len(server.Packets), len(both.Packets))
	}
	for _, p := range client.Packets {
		if p.Side != capture.ClientSide {
			t.Errorf("%+v is on the wrong side", p)
		}
	}
	if len(both.KeyLog) == 0 || !bytes.Equal(both.KeyLog, client.KeyLog) || !bytes.Equal(both.KeyLog, server.KeyLog) {
		t.Error("the keys are not in all of them")
	}
}

func TestGatherRefuses(t *testing.T) {
	for want, c := range map[string]struct {
		cell  string
		spoil func(t *testing.T, d *lab.RunDir, captured string)
	}{
		"no such cell":         {"nobody", nil},
		"ended as classical":   {passes.ID, nil},
		"the file is gone":     {weaker.ID, func(t *testing.T, d *lab.RunDir, c string) { must(t, os.Remove(c)) }},
		"its SHA-256":          {weaker.ID, func(t *testing.T, d *lab.RunDir, c string) { edit(t, c, func(b []byte) { b[len(b)-9] ^= 1 }) }},
		"more than the packet": {weaker.ID, func(t *testing.T, d *lab.RunDir, c string) { unsummed(t, d); grow(t, c) }},
		"do not say what": {weaker.ID, func(t *testing.T, d *lab.RunDir, c string) {
			unsummed(t, d)
			rewrite(t, c, func(f *capture.File) { f.Packets = f.Packets[:len(f.Packets)/2] })
		}},
		"read pcapng": {weaker.ID, func(t *testing.T, d *lab.RunDir, c string) { unsummed(t, d); must(t, os.Truncate(c, 500)) }},
	} {
		d := recorded(t)
		if c.spoil != nil {
			c.spoil(t, d, filepath.Join(d.Dir, gathered(t, d).Verdict.Capture))
		}
		if _, err := Gather(d, c.cell, field); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want an error with %q, got %v", want, err)
		}
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func edit(t *testing.T, file string, change func([]byte)) {
	t.Helper()
	b, err := os.ReadFile(file)
	must(t, err)
	change(b)
	must(t, os.WriteFile(file, b, 0o644))
}

// replace changes text in a file.
func replace(t *testing.T, file, from, to string) {
	t.Helper()
	b, err := os.ReadFile(file)
	must(t, err)
	if !bytes.Contains(b, []byte(from)) {
		t.Fatalf("no %q in %s", from, file)
	}
	must(t, os.WriteFile(file, bytes.ReplaceAll(b, []byte(from), []byte(to)), 0o644))
}

// unsummed takes the digests of the captures out of the run, as one of an
// older hybridlab has none.
func unsummed(t *testing.T, d *lab.RunDir) {
	t.Helper()
	file := filepath.Join(d.Dir, lab.ObservationsFile)
	b, err := os.ReadFile(file)
	must(t, err)
	must(t, os.WriteFile(file, sums.ReplaceAll(b, nil), 0o644))
}

// grow adds a block that Wireshark skips: a custom one.
func grow(t *testing.T, file string) {
	t.Helper()
	b, err := os.ReadFile(file)
	must(t, err)
	must(t, os.WriteFile(file, append(b, 0xad, 0x0b, 0, 0x40, 16, 0, 0, 0, 1, 2, 3, 4, 16, 0, 0, 0), 0o644))
}

func rewrite(t *testing.T, file string, change func(*capture.File)) {
	t.Helper()
	b, err := os.ReadFile(file)
	must(t, err)
	f, err := capture.ReadFile(bytes.NewReader(b))
	must(t, err)
	change(&f)
	var out bytes.Buffer
	must(t, f.Write(&out))
	must(t, os.WriteFile(file, out.Bytes(), 0o644))
}
