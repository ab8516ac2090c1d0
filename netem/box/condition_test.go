package box

import (
	"slices"
	"strings"
	"testing"
	"time"

	"hybridlab/fixtures"
	"hybridlab/lab/capture"
)

// with is plain, changed.
func with(change func(*shape)) shape {
	s := plain
	change(&s)
	return s
}

// TestConditions plays conversations past one condition each: those in which
// it holds, and beside them those in which it does not.
func TestConditions(t *testing.T) {
	hello := plain.stream()
	whole := func(s shape) func(*talk) { return func(c *talk) { c.up(s.stream()) } }
	cut := func(s shape, cuts ...int) func(*talk) { return func(c *talk) { c.cutUp(s.stream(), cuts...) } }
	answered := func(parts ...[]byte) func(*talk) {
		return func(c *talk) {
			c.up(hello)
			for _, p := range parts {
				if p[0] == handshake && p[5] == clientHello {
					c.up(append([]byte{changeCipherSpec, 3, 3, 0, 1, 1}, p...))
				} else {
					c.down(p)
				}
			}
		}
	}
	retry, sh := answer(true, 23, 0), answer(false, 29, 0)
	late := func(after time.Duration) func(*talk) {
		return func(c *talk) {
			c.up(hello[:20])
			c.now += after
			c.up(hello[20:])
		}
	}
	for _, tt := range []struct {
		when string
		in   func(*talk)
		want bool
	}{
		{"seg1_incomplete_record", cut(plain, 100), true},
		{"seg1_incomplete_record", cut(plain, 3), true},
		{"seg1_incomplete_record", whole(plain), false},
		{"seg1_incomplete_record", cut(with(func(s *shape) { s.records = []int{50} }), 55), false}, // the first record is there
		{"seg1_incomplete_record", func(c *talk) { c.up([]byte("GET / HTTP/1.0\r\n\r\n")) }, false},
		{"seg1_no_sni", cut(plain, 60), true},
		{"seg1_no_sni", cut(plain, 100), false},
		{"seg1_no_sni", whole(with(func(s *shape) { s.name = "" })), true},
		{"seg1_lacks{versions,ciphers}", cut(plain, 100), true},
		{"seg1_lacks{ciphers}", cut(plain, 100), false},
		{"seg1_lacks{groups}", cut(plain, 60), true},
		{"rec>400", whole(with(func(s *shape) { s.pad = 400 })), true},
		{"rec>400", whole(plain), false},
		{"rec>100", cut(with(func(s *shape) { s.records = []int{101} }), 5), true},
		{"ch>1024", whole(with(func(s *shape) { s.pad = 1024 })), true},
		{"ch>1024", whole(plain), false},
		{"ch<1024", whole(plain), true},
		{"records>1", whole(with(func(s *shape) { s.records = []int{4} })), true},
		{"records>1", whole(plain), false},
		{"records>2", whole(with(func(s *shape) { s.records = []int{4} })), false},
		{"records>2", whole(with(func(s *shape) { s.records = []int{4, 4} })), true},
		{"frag1<4", whole(with(func(s *shape) { s.records = []int{3} })), true},
		{"frag1<4", whole(with(func(s *shape) { s.records = []int{4} })), false},
		{"gap>20ms", late(21 * time.Millisecond), true},
		{"gap>20ms", late(20 * time.Millisecond), false},
		{"grp_offered{0x11ec}", whole(plain), true},
		{"grp_offered{0x6399,24}", whole(plain), false},
		{"grp_offered{grease}", whole(with(func(s *shape) { s.groups = []uint16{0x5a5a, 29} })), true},
		{"grp_offered{grease}", whole(with(func(s *shape) { s.groups = []uint16{0x5a1a, 29} })), false},
		{"grp_only{0x11ec,29,23}", whole(plain), true},
		{"grp_only{0x11ec,29}", whole(plain), false},
		{"grp_only{0x11ec}", whole(with(func(s *shape) { s.groups = []uint16{0xfafa, 0x11ec} })), true},
		{"ks_offered{0x11ec}", whole(plain), true},
		{"ks_offered{23}", whole(plain), false},
		{"ks_lacks{23}", whole(plain), true},
		{"ks_lacks{23,29}", whole(plain), false},
		{"sigalg{0x0904}", whole(with(func(s *shape) { s.schemes = []uint16{0x0403, 0x0904} })), true},
		{"sigalg{0x0904}", whole(with(func(s *shape) { s.certSchemes = []uint16{0x0904} })), false},
		{"sigalg_cert{0x0904}", whole(with(func(s *shape) { s.certSchemes = []uint16{0x0904} })), true},
		{"sigalg_cert{0x0904}", whole(plain), false},
		{"sigalg_count>2", whole(with(func(s *shape) { s.schemes = []uint16{1, 2, 3} })), true},
		{"sigalg_count>2", whole(plain), false},
		{"version{0x0304}", whole(plain), true},
		{"version_only{0x0303}", whole(plain), false},
		{"version_only{0x0304}", whole(plain), true},
		{"port{443}", whole(plain), true},
		{"port{3307,8443}", whole(plain), false},
		{"hrr_seen", answered(retry), true},
		{"hrr_seen", answered(sh), false},
		{"ch2", answered(retry, hello), true},
		{"ch2", answered(retry), false},
		{"ch2", answered(sh), false},
		{"ch2_other_sni", answered(retry, with(func(s *shape) { s.name = "other.test" }).stream()), true},
		{"ch2_other_sni", answered(retry, hello), false},
		{"grp_selected{29}", answered(sh), true},
		{"grp_selected{29}", answered(retry), false},
		{"grp_selected{29}", answered(retry, hello, sh), true},
		{"grp_selected{0x11ec}", answered(sh), false},
		{"sh>1460", answered(answer(false, 0x11ed, 1600)), true},
		{"sh>1460", answered(sh), false},
		{"srv_seg1_incomplete_record", answered(sh[:60], sh[60:]), true},
		{"srv_seg1_incomplete_record", answered(sh), false},
		{"server_first", func(c *talk) { c.down([]byte("220 mail")) }, true},
		{"server_first", whole(plain), false},
		{"pkt>1380", whole(with(func(s *shape) { s.pad = 1400 })), true},
		{"pkt>1380", whole(plain), false},
		{"ip_frag", func(c *talk) { c.see(Seen{Fragment: true, Size: 1280}) }, true},
		{"ip_frag", whole(plain), false},
		{"seg1_incomplete_record && gap>20ms", late(time.Second), true},
		{"seg1_incomplete_record && gap>20ms", cut(plain, 20), false},
		{"ks_offered{0x11ec} && port{80}", whole(plain), false},
	} {
		c := connect(machine(t, tt.when, "leak(1)"))
		tt.in(c)
		got := slices.ContainsFunc(c.rulings, func(r Ruling) bool { return len(r.Deeds) > 0 })
		if got != tt.want {
			t.Errorf("%s: %t, want %t; hello %+v", tt.when, got, tt.want, c.hello)
		}
	}
}

// TestEveryConditionIsTested: a row of the table without a case above would
// be one that nobody has seen hold.
func TestEveryConditionIsTested(t *testing.T) {
	for _, k := range conditions {
		if !k.packet {
			continue
		}
		c := Condition{Name: k.name}
		if k.holds == nil || k.about == "" || strings.HasSuffix(k.about, ".") {
			t.Errorf("%s: half a row", k.name)
		}
		if got := k.holds(machine(t, "ip_frag", "drop(packet)").NewFlow(1, nil), &Seen{}, c); got == yes {
			t.Errorf("%s holds of nothing", k.name)
		}
	}
}

// TestKnowledgeGrows: whatever the client's stream, and wherever it is cut,
// what was known to hold or not to hold stays so as more comes.
func TestKnowledgeGrows(t *testing.T) {
	var all []Condition
	for _, text := range []string{"seg1_incomplete_record", "seg1_no_sni", "rec>400", "ch>400", "ch<400", "records>1", "frag1<4", "gap>1ms",
		"grp_offered{0x11ec}", "grp_only{29}", "ks_offered{29}", "ks_lacks{29}", "sigalg{0x0403}", "sigalg_cert{0x0403}", "sigalg_count>8",
		"version{0x0304}", "version_only{0x0303}", "hrr_seen", "ch2", "ch2_other_sni", "grp_selected{29}", "sh>200", "srv_seg1_incomplete_record"} {
		c, err := parseCondition(text, Packet)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, c)
	}
	for _, flow := range fixtures.Flows() {
		for _, step := range []int{1, 7, 100, 1448} {
			c := connect(machine(t, "port{1}", "leak(1)"))
			known := map[string]truth{}
			hear := func(dir capture.Direction, data []byte) {
				for len(data) > 0 {
					n := min(step, len(data))
					c.put(Seen{Dir: dir, Flags: capture.ACK, Payload: data[:n]})
					data = data[n:]
					for _, cond := range all {
						k, _ := lookupCondition(cond.Name)
						is := k.holds(c.Flow, &Seen{}, cond)
						if was := known[cond.Text]; was != unknown && is != was {
							t.Fatalf("%s in steps of %d: %s was %d and is %d", flow.Name, step, cond.Text, was, is)
						}
						known[cond.Text] = is
					}
				}
			}
			hear(capture.ToServer, flow.Client[:min(len(flow.Client), 2000)])
			hear(capture.ToClient, flow.Server[:min(len(flow.Server), 3000)])
		}
	}
}

// TestSniffsRealHellos: what real stacks sent is read to its end.
func TestSniffsRealHellos(t *testing.T) {
	for _, f := range fixtures.Flows() {
		h := sniff(f.Client, 0)
		if !h.tls || !h.whole || h.name != "hybridlab.test" && h.name != "example.com" && h.name != "localhost" || !h.ciphers || !h.groups.seen || !h.schemes.seen {
			t.Errorf("%s: client %+v", f.Name, h)
		}
		if strings.Contains(f.Name, "refused") {
			continue
		}
		s := sniff(f.Server, 0)
		if !s.whole || s.retry != strings.HasSuffix(f.Name, "hrr") || (s.group == 0) != strings.HasSuffix(f.Name, "tls12") {
			t.Errorf("%s: server %+v", f.Name, s)
		}
		if s.retry {
			again := sniff(f.Client, h.end)
			if !again.whole || !slices.Contains(again.shares.values, s.group) {
				t.Errorf("%s: asked for %#x, second hello %+v", f.Name, s.group, again)
			}
		}
	}
}

// TestOffsets: the place of each code point is where it is in the stream,
// also when records lie between.
func TestOffsets(t *testing.T) {
	s := with(func(s *shape) { s.records = []int{90, 7, 7, 7} })
	stream := s.stream()
	h := sniff(stream, 0)
	for _, l := range []list{h.groups, h.shares, h.schemes, h.versions} {
		if !l.seen || len(l.values) == 0 {
			t.Fatalf("%+v", h)
		}
		for i, at := range l.at {
			if stream[at] != byte(l.values[i]>>8) {
				t.Errorf("offset %d holds %#x, not the beginning of %#x", at, stream[at], l.values[i])
			}
		}
	}
}
