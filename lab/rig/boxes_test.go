package rig

import (
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"hybridlab/fixtures"
	"hybridlab/lab"
	"hybridlab/lab/capture"
	"hybridlab/lab/wire"
	"hybridlab/netem"
	"hybridlab/netem/box"
)

func catalogue(t testing.TB) Boxes {
	t.Helper()
	bs, err := NewBoxes(nil, "")
	if err != nil {
		t.Fatal(err)
	}
	return bs
}

// known are the breakages known from the field that concern TLS, by number:
// each is a box, or the catalogue says why it is none.
var known = strings.Fields(`
	A01 A02 A03 A04 A05 A06 A07 A08 A09 A10 A11 A12 A13 A14 A17 A19 A20 A21 A22 A23 A24 A25
	B01 B03 B04 B05 B07 B08 B09 B10
	C01 C02 C03 C04 C05 C06 C07 C08 C09 C10
	D01 D02 D03 D04 D06 D07 D08 D09 D10 D11 D12 D13 D14 D15
	E01 E02 E03 E04 E05 E06 E07 E08 E09 E11 E12
	F01 F02 F03 F04 F05 F06 F08
	G01 G02 G03 G04 G05
	I01 I02 I03 I05 I06 I07`)

// TestCatalogueIsWhole: every known breakage is there once, as boxes or as
// left out, and every entry says all there is to say.
func TestCatalogueIsWhole(t *testing.T) {
	c, err := box.Load(strings.NewReader(fixtures.Boxes), "fixtures/boxes.yaml", nil)
	if err != nil {
		t.Fatal(err)
	}
	boxed, out := map[string]bool{}, map[string]bool{}
	for _, b := range c.Boxes {
		boxed[b.ID] = true
		if !slices.Contains(known, b.ID) {
			t.Errorf("%s: nobody knows breakage %q", b.Name, b.ID)
		}
		if b.Origin == "" || b.Fix == "" || b.Confidence == "" || len(b.Evidence) == 0 || !strings.HasSuffix(b.About, ".") {
			t.Errorf("%s: half an entry", b.Name)
		}
		for _, link := range b.Evidence {
			if u, err := url.Parse(link); err != nil || u.Scheme != "https" || u.Host == "" {
				t.Errorf("%s: evidence %q is no link", b.Name, link)
			}
		}
		proves(t, b)
	}
	for _, l := range c.LeftOut {
		if out[l.ID] || boxed[l.ID] || l.Reason == "" || !slices.Contains(known, l.ID) {
			t.Errorf("left out %s: twice, or a box as well, or for no reason", l.ID)
		}
		out[l.ID] = true
	}
	for _, id := range known {
		if !boxed[id] && !out[id] {
			t.Errorf("breakage %s is neither a box nor left out", id)
		}
	}
	used := map[string]bool{}
	for _, b := range c.Boxes {
		for _, e := range b.Expect {
			used[e.Probe] = true
		}
	}
	for _, p := range c.Probes {
		if !used[p.Name] {
			t.Errorf("no box is probed with %s", p.Name)
		}
	}
}

// proves: an entry's expectations have one in which the box shows itself, and
// one in which it does not, unless it does something to everybody.
func proves(t *testing.T, b box.Box) {
	t.Helper()
	shows, hides := false, false
	for _, e := range b.Expect {
		pass := slices.Contains([]string{"hybrid", "classical"}, e.Outcome)
		shows = shows || !pass || e.Deed != ""
		hides = hides || pass && e.Deed == ""
	}
	if !shows || !hides && b.Otherwise == "" {
		t.Errorf("%s: shows itself in a probe: %t, does not in another: %t", b.Name, shows, hides)
	}
}

// TestCatalogue runs it: every box is caught, blamed and nobody else, and the
// same cells without it are no findings.
func TestCatalogue(t *testing.T) {
	t.Parallel()
	bs := catalogue(t)
	catches, err := CheckBoxes(t.Context(), bs, bs.Names(), 1, false)
	if err != nil {
		t.Fatal(err)
	}
	if len(catches) < 2*len(bs.Names()) {
		t.Errorf("%d probes of %d boxes", len(catches), len(bs.Names()))
	}
	for _, c := range catches {
		if c.Problem != "" {
			t.Errorf("%s: %s", c.Cell, c.Problem)
		}
	}
}

// TestCheckCanFail: a box that is not what its entry says is not caught.
func TestCheckCanFail(t *testing.T) {
	const wrong = `
boxes:
  - name: harmless
    when: ch>60000
    do: RST(client)
    expect: [{probe: hybrid, outcome: failure}]
  - name: other-cause
    when: ch>1000
    do: FIN(client)
    expect: [{probe: hybrid, outcome: failure, cause: rst-after-hello}]
  - name: other-deed
    when: ch>1000
    do: leak(1)
    expect: [{probe: hybrid, outcome: hybrid, deed: pass-uninspected}]
  - name: right
    when: ch>1000
    do: FIN(client)
    expect: [{probe: hybrid, outcome: failure, cause: fin-after-hello}, {probe: classical, outcome: classical}]
`
	bs, err := NewBoxes(strings.NewReader(wrong), "wrong.yaml")
	if err != nil {
		t.Fatal(err)
	}
	catches, err := CheckBoxes(t.Context(), bs, []string{"harmless", "other-cause", "other-deed", "right"}, 1, false)
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{"outcome hybrid, want failure", "cause fin-after-hello, want rst-after-hello", "the box did not pass-uninspected", "", ""} {
		if got := catches[i].Problem; !strings.HasPrefix(got, want) || want == "" && got != "" {
			t.Errorf("%s: %q, want %q", catches[i].Cell, got, want)
		}
	}
}

func TestBoxLookup(t *testing.T) {
	bs := catalogue(t)
	for _, tt := range []struct{ ref, want string }{
		{"proxysg-rts", `look up box "proxysg-rts" (did you mean "proxysg-rst"?): want one of `},
		{"proxysg-rst{bytes=5}", `look up box "proxysg-rst{bytes=5}": box "proxysg-rst" has no parameter "bytes"; it has: none`},
		{"caddy-l4-8k{bytes=x}", `look up box "caddy-l4-8k{bytes=x}": condition "ch>x": "x" is not a number`},
		{"caddy-l4-8k{bytes", `look up box: `},
		{"haproxy-snu@trixie", `look up box "haproxy-snu@trixie" (did you mean "haproxy-sni@trixie"?): want one of ats-blind`},
		{"haproxy-sni@trixie{bytes=5}", `look up box "haproxy-sni@trixie{bytes=5}": a real middlebox takes no parameters`},
	} {
		if _, err := bs.Lookup(tt.ref); err == nil || !strings.HasPrefix(err.Error(), tt.want) {
			t.Errorf("%s: %v", tt.ref, err)
		}
	}
	p, err := bs.Lookup("caddy-l4-8k{bytes=300}")
	if err != nil || p.Name != "caddy-l4-8k{bytes=300}" || p.When[0].N != 300 {
		t.Errorf("%+v, %v", p, err)
	}
	if _, err := NewBoxes(strings.NewReader("boxes: [{name: proxysg-rst, when: ch2, do: hang}]"), "mine.yaml"); err == nil || !strings.Contains(err.Error(), "choose another") {
		t.Errorf("a box of the catalogue was replaced: %v", err)
	}
	for kind, want := range map[Kind]string{Containers: "", Embedded: "it needs --fabric containers"} {
		err := bs.CheckChain(kind, []string{"proxysg-rst", "haproxy-sni@trixie"})
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("a real middlebox in the fabric %s: %v", kind, err)
		}
	}
	if err := bs.CheckChain(Embedded, slices.Repeat([]string{"proxysg-rst"}, 9)); err == nil || !strings.Contains(err.Error(), "at most 8") {
		t.Error(err)
	}
}

// TestNeeds: a real middlebox is given another server to send people to, and
// one behind a box that may do so stands before both.
func TestNeeds(t *testing.T) {
	bs := catalogue(t)
	for _, tt := range []struct {
		chain     string
		decoy     bool
		tls       bool
		misrouted []bool // of the real ones
	}{
		{"proxysg-rst", false, false, nil},
		{"peek-buffer", true, false, nil},
		{"two-leg-illusion", false, true, nil},
		{"haproxy-sni@trixie", true, false, []bool{false}},
		{"proxysg-rst+haproxy-sni@trixie", true, false, []bool{false}},
		{"haproxy-sni@trixie+peek-buffer", true, false, []bool{false}},
		{"peek-buffer+haproxy-sni@trixie", true, false, []bool{true}},
		{"haproxy-sni@trixie+haproxy-sni@trixie", true, false, []bool{false, true}},
	} {
		boxes, err := bs.chain(lab.Cell{Boxes: strings.Split(tt.chain, "+")})
		if err != nil {
			t.Fatal(err)
		}
		n, err := needsOf(boxes)
		var misrouted []bool
		for _, l := range n.real {
			misrouted = append(misrouted, l.misrouted)
		}
		if err != nil || n.decoy != tt.decoy || n.tls != tt.tls || !slices.Equal(misrouted, tt.misrouted) {
			t.Errorf("%s: %+v, %v", tt.chain, n, err)
		}
	}
}

// TestSlotsOfLegs: those of one cell are all its own, of one kind, and come back.
func TestSlotsOfLegs(t *testing.T) {
	s := newSlots()
	some, give, err := s.takeSome(3, true)
	if err != nil || len(some) != 3 || some[0] < netem.FirstJumbo {
		t.Fatal(some, err)
	}
	slices.Sort(some)
	if len(slices.Compact(some)) != 3 || len(s.used) != 3 {
		t.Errorf("%v, %d in use", some, len(s.used))
	}
	if give(); len(s.used) != 0 {
		t.Errorf("%d are kept", len(s.used))
	}
	if _, _, err := s.takeSome(1<<13, true); err == nil || len(s.used) != 0 {
		t.Errorf("more than there are: %v, %d are kept", err, len(s.used))
	}
}

// TestBoxesReadWhatTheJudgeReads: two readers that share no code, one naive,
// make the same of the hellos of real stacks.
func TestBoxesReadWhatTheJudgeReads(t *testing.T) {
	fires := func(when string, client []byte) bool {
		p, err := box.Box{Name: "test", Layer: box.Packet, When: when, Do: "leak(1)"}.Program("test", nil)
		if err != nil {
			t.Fatal(err)
		}
		f := box.NewMachine(p).NewFlow(443, nil)
		return len(f.See(0, box.Seen{Dir: capture.ToServer, TCP: true, Payload: client}).Deeds) > 0
	}
	for _, flow := range fixtures.Flows() {
		recs, _, _ := wire.ReadRecords(flow.Client)
		msgs, _, _ := wire.ReadHandshake(recs)
		ch, err := wire.ParseClientHello(msgs[0].Body)
		if err != nil {
			t.Fatal(err)
		}
		for code := range 0x10000 {
			if code > 0x1100 && code%97 != 0 && code < 0xfd00 {
				continue // registries have gaps; so has this test
			}
			for _, l := range []struct {
				condition string
				has       bool
			}{
				{"grp_offered", slices.Contains(ch.Groups, wire.Group(code))},
				{"ks_offered", slices.ContainsFunc(ch.Shares, func(s wire.KeyShare) bool { return s.Group == wire.Group(code) })},
				{"sigalg", slices.Contains(ch.SigAlgs, uint16(code))},
				{"version", slices.Contains(ch.Versions, uint16(code))},
			} {
				if !l.has && code%13 != 0 {
					continue
				}
				if got := fires(fmt.Sprintf("%s{%d}", l.condition, code), flow.Client); got != l.has {
					t.Errorf("%s: %s{%#x} is %t for the box, %t for the judge", flow.Name, l.condition, code, got, l.has)
				}
			}
		}
		size := len(msgs[0].Raw)
		if fires(fmt.Sprintf("ch>%d", size), flow.Client) || !fires(fmt.Sprintf("ch>%d", size-1), flow.Client) || !fires(fmt.Sprintf("ch<%d", size+1), flow.Client) {
			t.Errorf("%s: the message has %d bytes, and the box thinks otherwise", flow.Name, size)
		}
	}
}

var slug = regexp.MustCompile(`^[a-z0-9.-]+$`)

func TestBoxNamesAreSlugs(t *testing.T) {
	for _, n := range catalogue(t).Names() {
		if !slug.MatchString(n) {
			t.Errorf("%q", n)
		}
	}
}
