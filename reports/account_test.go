package reports

import (
	"crypto/ed25519"
	"errors"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/html"

	"hybridlab/lab"
	"hybridlab/lab/capture/capturetest"
	"hybridlab/lab/evidence"
)

// told is the account of a finding, by file.
func accounted(t testing.TB, f *evidence.Finding) map[string]string {
	t.Helper()
	files, err := Account(f)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	for _, file := range files {
		out[file.Name] = string(file.Data)
	}
	return out
}

// reset is a finding with everything there is to tell.
func reset() *evidence.Finding {
	path := capturetest.New(false)
	path.Open()
	hello := make([]byte, 1506)
	copy(hello, "\x16\x03\x01\x05\xdd\x01\x00\x05\xd9\x03\x03")
	for _, s := range path.Cut(0, hello, 1420) {
		s.Drop = "box"
		path.Put(s)
	}
	path.Reset(1)
	for i := range path.Packets {
		if path.Packets[i].Drop != "" {
			path.Packets[i].Note = "box proxysg-rst: RST(client)"
		}
	}
	cell := lab.NewCell("go@1.26", "openssl@trixie", lab.MustOffer("x25519mlkem768+x25519"), lab.MustOffer("default"), "mine", "proxysg-rst", "my-box", "squid@trixie")
	v := lab.Verdict{
		Cell: cell.ID, Client: cell.Client, Server: cell.Server, Offer: cell.Offer, Accept: cell.Accept, Link: cell.Link, Boxes: cell.Boxes,
		Predicted: []string{"hybrid X25519MLKEM768", "refused handshake_failure"}, Outcome: lab.Size, Cause: lab.CauseRSTAfterHello, Blame: "box proxysg-rst",
		HelloBytes: 1506, HelloSegments: 2, HelloRecords: 1, Trigger: lab.TriggerSegmentation, Threshold: 1421, TriageRuns: 58, Capture: "captures/0123456789ab-1.pcapng",
		Why:    "RST in answer to a ClientHello of 1506 bytes in 2 segments",
		Traced: "box proxysg-rst resets the connection on a ClientHello in more than one segment, here of 1,421 bytes and more; the same ClientHello in one segment (MTU 9,000) passes",
		Remedy: "ProxySG 7.3.22.1, late 2024", Evidence: []int{7, 8},
		Control: []lab.ControlTaken{{Kind: lab.ControlNoBox, Cell: "go@1.26/openssl@trixie/x25519mlkem768+x25519:default/mine", Outcome: lab.Hybrid}},
		Triage: []lab.Trial{
			{Changed: "another seed", Cell: cell.ID, Seed: 12, Outcome: lab.Size, Cause: lab.CauseRSTAfterHello},
			{Changed: "x25519 alone", Cell: "crafted/openssl@trixie/x25519:default/mine/proxysg-rst+my-box", Outcome: lab.Classical},
			{Changed: "the same in one segment (MTU 9,000)", Cell: "go@1.26/openssl@trixie/x25519mlkem768+x25519:default/mine{mtu=9000}/proxysg-rst+my-box", Outcome: lab.Hybrid},
		},
		Attempts: []lab.Attempt{{Outcome: lab.Size, Cause: lab.CauseRSTAfterHello}, {Outcome: lab.Size, Cause: lab.CauseRSTAfterHello}},
	}
	f := &evidence.Finding{Verdict: v, Hello: lab.SentHello{Bytes: hello, Cuts: []int{500, 1420}}}
	f.Seen = lab.Observation{
		Cell: cell, Attempt: 1, Capture: v.Capture, Client: lab.End{Exit: 1, Error: "read: connection reset by peer"},
		Path: lab.Path{Boxes: []lab.Deed{{Box: "proxysg-rst", Action: "RST(client)", Times: 3}},
			Ends: []lab.BoxEnd{{Box: "squid@trixie", Said: "started\nfailed\n", Setup: &lab.Setup{Argv: []string{"squid", "-f", "{dir}/squid.conf"}, Files: map[string]string{"squid.conf": "https_port 4433\n"}}}}},
		ClientSetup: &lab.Setup{InProcess: true, Argv: []string{"/hybridlab", "peer", "go@1.26"}, Env: []string{"PEER_ROLE=client", "PEER_CA={dir}/ca.pem"}},
		ServerSetup: &lab.Setup{Argv: []string{"openssl", "s_server", "-cert", "{dir}/cert.pem"}, Files: map[string]string{"openssl.cnf": "[ssl]\n  Groups = X25519MLKEM768\n"}, Stdin: "Q\n"},
	}
	f.Capture.Packets, f.Capture.KeyLog = path.Packets, []byte("CLIENT_RANDOM ...")
	f.Controls = []evidence.Control{{
		ControlTaken: v.Control[0], Verdict: lab.Verdict{Outcome: lab.Hybrid, Why: "X25519MLKEM768, as predicted", HelloBytes: 1506, HelloSegments: 2}, Seen: lab.Observation{Capture: "captures/ba9876543210-1.pcapng"},
	}}
	f.Report = lab.Report{
		Run: "20261125-191010-e989", Fabric: "containers", Seed: 7, Tool: "9b75baf", Kernel: "Linux 6.12.48", Started: time.Date(2026, 11, 25, 19, 10, 0, 0, time.UTC),
		Peers: []lab.PeerInfo{{ID: "go@1.26", Version: "go1.26.8 crypto/tls"}, {ID: "openssl@trixie", Version: "OpenSSL 3.5.4 30 Sep 2025", Image: "sha256:3f6a"}, {ID: "mine@1", Rules: &lab.Rules{}}, {ID: "nginx@mine", Rules: &lab.Rules{}, Config: &lab.ConfigInfo{File: "my nginx.conf", Taken: []string{"3: ssl_protocols TLSv1.3;"}}}},
		Links: []lab.LinkInfo{{Name: "mine", About: "A path of my own.", Own: true, Entry: "links:\n  - name: \"mine\"\n    both:\n      delay: 5ms\n"}},
		Boxes: []lab.BoxInfo{
			{Name: "proxysg-rst", About: "Resets the client.", Origin: "Broadcom (Symantec) ProxySG before 7.3.22.1", Entry: "boxes:\n  - name: \"proxysg-rst\"\n    do: \"RST(client)\"\n"},
			{Name: "my-box", Own: true, Entry: "boxes:\n  - name: \"my-box\"\n    do: \"drop\"\n"},
			{Name: "squid@trixie", Version: "Squid Cache: Version 6.13", Image: "sha256:77aa", About: "Ends TLS and begins it anew."},
		},
	}
	return f
}

func TestAccount(t *testing.T) {
	files := accounted(t, reset())
	if len(files) != 10 {
		t.Errorf("%d files, want 10", len(files))
	}
	for file, got := range files {
		got = strings.ReplaceAll(hashes.ReplaceAllString(got, "-src HASH"), summaryCSS, "")
		golden(t, "finding-"+strings.ReplaceAll(file, "/", "-"), got)
	}
}

// By blame and trigger the stock tools are told other things.
func TestStock(t *testing.T) {
	for name, c := range map[string]struct {
		change     func(*evidence.Finding)
		want, lack string
	}{
		"a box":          {func(*evidence.Finding) {}, "( head -c 500 hello.bin; sleep 0.1; tail -c +501 hello.bin | head -c 920; sleep 0.1; tail -c +1421 hello.bin ) | nc -w 5 HOST 443", "ping"},
		"groups":         {func(*evidence.Finding) {}, "-groups 'X25519MLKEM768:X25519' </dev/null", "s_server"},
		"shares":         {func(f *evidence.Finding) { f.Verdict.Offer = lab.MustOffer("~x25519mlkem768+*x25519") }, "-groups 'X25519MLKEM768:*X25519'", ""},
		"defaults":       {func(f *evidence.Finding) { f.Verdict.Offer = lab.Offer{} }, "-tls1_3 </dev/null", "-groups 'X"},
		"no name for it": {func(f *evidence.Finding) { f.Verdict.Offer = lab.MustOffer("x25519kyber768draft00") }, "-groups X25519 </dev/null", "-tls1_3"},
		"no hello":       {func(f *evidence.Finding) { f.Hello = lab.SentHello{} }, "s_client", "hello.bin"},
		"in one segment": {func(f *evidence.Finding) { f.Hello.Cuts = nil }, "cat hello.bin", "head -c 500"},
		"in many":        {func(f *evidence.Finding) { f.Hello.Cuts = make([]int, 99) }, "cat hello.bin", "tail"},
		"a black hole":   {func(f *evidence.Finding) { f.Verdict.Trigger, f.Verdict.Threshold = lab.TriggerMTU, 1281 }, "ping -c 3 -M do -s 1253 HOST", ""},
		"its control":    {func(f *evidence.Finding) { f.Verdict.Trigger, f.Verdict.Threshold = lab.TriggerMTU, 1281 }, "ping -c 3 -M do -s 1252 HOST", ""},
		"a client":       {func(f *evidence.Finding) { f.Verdict.Blame = "client" }, "openssl s_server -accept 4433", "HOST"},
		"a client's list": {func(f *evidence.Finding) {
			f.Verdict.Blame, f.Verdict.Accept = "client", lab.MustOffer("x25519mlkem768")
		}, "-trace -groups 'X25519MLKEM768'", "HOST"},
	} {
		f := reset()
		c.change(f)
		var all []string
		for _, cmd := range stock(f) {
			all = append(all, cmd.Line)
		}
		if got := strings.Join(all, "\n"); !strings.Contains(got, c.want) || c.lack != "" && strings.Contains(got, c.lack) {
			t.Errorf("%s: want %q and not %q in\n%s", name, c.want, c.lack, got)
		}
	}
}

// What a downgrade falls short of is not what its rules predict.
func TestExpected(t *testing.T) {
	v := lab.Verdict{Predicted: []string{"classical x25519"}, Outcome: lab.Downgrade}
	if got := expected(v); !strings.Contains(got, "protected against quantum computers") {
		t.Errorf("of a downgrade: %s", got)
	}
	if v.Outcome = lab.Failure; !strings.Contains(expected(v), "a complete classical handshake with x25519") && !strings.Contains(expected(v), "A complete classical handshake with x25519") {
		t.Errorf("of a failure: %s", expected(v))
	}
	if v.Predicted = nil; expected(v) != "A complete handshake." {
		t.Errorf("where nothing is predicted: %s", expected(v))
	}
}

// What shows in the stock tools is said by outcome.
func TestWhatToExpect(t *testing.T) {
	for want, change := range map[string]func(*lab.Verdict){
		"No output":           func(*lab.Verdict) {},
		"finding is x25519":   func(v *lab.Verdict) { v.Outcome, v.Group = lab.Downgrade, "x25519" },
		"another server's":    func(v *lab.Verdict) { v.Outcome = lab.Misroute },
		"is another group in": func(v *lab.Verdict) { v.Cause = lab.CauseUnexpectedGroup },
	} {
		f := reset()
		change(&f.Verdict)
		if got := accounted(t, f)[reproduceFile]; !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
}

// spoken is a finding in which every text is one of what next gives.
func spoken(next func() string) *evidence.Finding {
	f := reset()
	s := next
	end := func() lab.End {
		return lab.End{Exit: 1, Group: s(), Version: s(), Reached: "CN=" + s() + ", SAN=DNS:" + s(), Error: s()}
	}
	setup := func() *lab.Setup {
		return &lab.Setup{Argv: []string{s(), s()}, Env: []string{"X=" + s()}, Files: map[string]string{s(): s() + "\n" + s()}, Stdin: s()}
	}
	v := spiked(s(), lab.Failure)
	v.Client, v.Server, v.Link, v.Boxes = lab.PeerID(s()), lab.PeerID(s()), s(), []string{s(), s()}
	v.Why, v.Traced, v.Remedy, v.Blame, v.Cause = s(), s(), s(), s(), lab.Cause(s())
	v.Predicted, v.Evidence, v.Cell, v.TriageRuns = []string{s(), s()}, []int{1}, s(), 2
	v.Control = []lab.ControlTaken{{Kind: s(), Cell: s(), Outcome: lab.Outcome(s())}}
	v.Triage = []lab.Trial{{Changed: s(), Cell: s(), Outcome: lab.Outcome(s()), Cause: lab.Cause(s())}, {Changed: s(), Cell: s(), Outcome: lab.Size, Cause: "alert-" + lab.Cause(s())}}
	f.Verdict = v
	f.Seen = lab.Observation{Client: end(), Server: end(), Path: lab.Path{Boxes: []lab.Deed{{Box: s(), Action: s()}}, Ends: []lab.BoxEnd{{Box: s(), Said: s(), Setup: setup()}}}, ClientSetup: setup(), ServerSetup: setup()}
	for i := range f.Capture.Packets {
		f.Capture.Packets[i].Note, f.Capture.Packets[i].Drop = s(), s()
	}
	f.Controls[0].Kind, f.Controls[0].Cell, f.Controls[0].Outcome, f.Controls[0].Verdict = s(), s(), lab.Outcome(s()), spiked(s(), lab.Outcome(s()))
	f.Report.Run, f.Report.Fabric, f.Report.Tool, f.Report.Kernel = s(), s(), s(), s()
	f.Report.Peers = []lab.PeerInfo{{ID: v.Client, Version: s(), Image: s(), Rules: &lab.Rules{}, Config: &lab.ConfigInfo{File: s(), Taken: []string{s(), s()}}}, {ID: v.Server, Version: s(), Image: s()}}
	f.Report.Links = []lab.LinkInfo{{Name: v.Link, About: s(), Entry: s() + "\n  " + s(), Own: true}}
	f.Report.Boxes = []lab.BoxInfo{{Name: v.Boxes[0], About: s(), Origin: s(), Fix: s(), Entry: "boxes:\n" + s()}, {Name: v.Boxes[1], Own: true, Entry: s()}}
	return f
}

// skeleton is the elements and the names of their attributes.
func skeleton(t *testing.T, page string) string {
	t.Helper()
	var b strings.Builder
	for _, n := range nodes(t, page) {
		b.WriteString(n.Data)
		for _, a := range n.Attr {
			b.WriteString(" " + a.Key)
			if a.Key != "content" && a.Key != "class" {
				b.WriteString("=" + a.Val)
			}
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// Each of the 500 strings in every field makes the page that harmless text
// makes, element by element; no file has another name, and no character that
// does not print is in any of them.
func TestCorpusInAccount(t *testing.T) {
	same := func(s string) func() string { return func() string { return s } }
	plain := accounted(t, spoken(same("harmless")))
	want, wantNone := skeleton(t, plain[summaryFile]), skeleton(t, accounted(t, spoken(same("\x1b[m")))[summaryFile])
	for _, s := range corpus {
		files, err := Account(spoken(same(s)))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := evidence.Pack(files, ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))); err != nil {
			t.Errorf("%.60q: %v", s, err)
		}
		for _, f := range files {
			if _, ok := plain[f.Name]; !ok && f.Name != clientFile {
				t.Errorf("%.60q made a file %q", s, f.Name)
			}
			printed(t, f.Name, string(f.Data))
			if len(f.Data) > 200<<10 {
				t.Errorf("%.60q made %s %d bytes long", s, f.Name, len(f.Data))
			}
			if f.Name == summaryFile {
				if got := skeleton(t, string(f.Data)); got != want && (got != wantNone || text(s) != "") {
					t.Errorf("%.60q changes the page:\n%s", s, got)
				}
			}
		}
	}
}

func TestSummaryPolicy(t *testing.T) {
	page := accounted(t, reset())[summaryFile]
	var policy string
	for _, n := range nodes(t, page) {
		if n.Type == html.ElementNode && attr(n, "http-equiv") == "Content-Security-Policy" {
			policy = attr(n, "content")
		}
		if n.Data == "script" || n.Data == "link" || n.Data == "img" || attr(n, "src") != "" || attr(n, "href") != "" {
			t.Errorf("the page has a %s", n.Data)
		}
	}
	if want := "default-src 'none'; style-src " + source(summaryCSS) + "; base-uri 'none'; form-action 'none'"; policy != want {
		t.Errorf("policy %q, want %q", policy, want)
	}
}

// What verify and pick print of names in a hostile file does not reach the
// terminal.
func TestCorpusInTerminal(t *testing.T) {
	for _, s := range corpus {
		var b strings.Builder
		err := Checks(&b, []evidence.Check{{What: s, Note: s, Passed: true}, {What: s, Note: s}, {What: s, Err: errors.New(s)}})
		if err != nil || strings.Count(b.String(), "\n") != 3 {
			t.Errorf("%.60q: %v, %q", s, err, b.String())
		}
		printed(t, "checks", b.String())
		v := spiked(s, lab.Failure)
		v.Cell = "x" + s
		for _, what := range []string{s, "y", "x"} {
			if _, err := Pick(lab.Report{}, Slice([]lab.Verdict{v, {Cell: "x1", Outcome: lab.Size}, {Cell: "x2", Outcome: lab.Size}}), what); err != nil {
				printed(t, "pick", err.Error())
			}
		}
	}
}

func TestPick(t *testing.T) {
	vs := Slice([]lab.Verdict{
		{Cell: "a/b/clean/2", Outcome: lab.Size, Cause: "x"}, {Cell: "a/b/clean/1", Outcome: lab.Size, Cause: "x"}, {Cell: "a/b/lossy/1", Outcome: lab.Failure},
		{Cell: "a/c", Outcome: lab.Hybrid}, {Cell: "12", Outcome: lab.Size, Cause: "y"}, {Cell: "known", Outcome: lab.Size, Known: "bug"},
	})
	for what, want := range map[string]string{
		"1": "a/b/lossy/1", "2": "a/b/clean/1", "3": "12", "12": "12", "a/b/l": "a/b/lossy/1", "a/b/clean/2": "a/b/clean/2", "kn": "known",
		"a/c": "!that cell is no finding", "a": "!3 findings begin so:\n  1 a/b/", "": "!there is none", "0": "!there is none", "4": "!  2 a/b/clean/1", "nobody": "!want a number",
	} {
		got, err := Pick(lab.Report{}, vs, what)
		if problem, bad := strings.CutPrefix(want, "!"); bad && (err == nil || !strings.Contains(err.Error(), problem)) || !bad && (got != want || err != nil) {
			t.Errorf("%q: got %q, %v; want %q", what, got, err, want)
		}
	}
	if _, err := Pick(lab.Report{}, Slice(nil), "1"); err == nil || !strings.Contains(err.Error(), "no findings") {
		t.Error(err)
	}
	if _, err := Pick(lab.Report{}, torn, "1"); !errors.Is(err, errTorn) {
		t.Error(err)
	}
}
