package box

import (
	"reflect"
	"strings"
	"testing"

	"hybridlab/lab/capture"
)

const mine = `
probes:
  - {name: hybrid, cell: crafted/crafted/x25519mlkem768/clean}
boxes:
  - name: mine
    id: A01
    about: Anything.
    origin: me
    evidence: [here]
    confidence: inferred
    fix: none
    params: bytes=1024, chance=5%
    when: ch>$bytes && ks_offered{0x11ec}
    do: probabilistic($chance) + RST(both)
    otherwise: delay(5ms)
    expect:
      - {probe: hybrid, with: bytes=512, outcome: failure, cause: rst-after-hello, trigger: size, threshold: 518}
left_out:
  - {id: B02, name: other, reason: none of ours}
`

func TestLoad(t *testing.T) {
	c, err := Load(strings.NewReader(mine), "mine.yaml", nil)
	if err != nil {
		t.Fatal(err)
	}
	b := c.Boxes[0]
	want := Expect{Probe: "hybrid", With: "bytes=512", Outcome: "failure", Cause: "rst-after-hello", Trigger: "size", Threshold: 518}
	if b.Layer != Packet || b.Confidence != Inferred || !reflect.DeepEqual(b.Expect, []Expect{want}) || len(c.Probes) != 1 || c.LeftOut[0].ID != "B02" {
		t.Errorf("%+v", c)
	}
	p, err := b.Program("mine{bytes=300,chance=0.5}", []Param{{"bytes", "300"}, {"chance", "0.5"}})
	if err != nil || p.When[0].N != 300 || p.Do[0].P != 0.5 || p.Name != "mine{bytes=300,chance=0.5}" || p.Validate() != nil {
		t.Errorf("%+v, %v", p, err)
	}
}

// What Text writes of a box is the box, with other defaults.
func TestText(t *testing.T) {
	c, err := Load(strings.NewReader(mine), "mine.yaml", nil)
	if err != nil {
		t.Fatal(err)
	}
	text, err := c.Boxes[0].Text([]Param{{"bytes", "300"}})
	if err != nil {
		t.Fatal(err)
	}
	got, err := Load(strings.NewReader(text), "text.yaml", nil)
	want := c.Boxes[0]
	want.Params, want.Expect = "bytes=300,chance=5%", nil
	if err != nil || len(got.Boxes) != 1 || !reflect.DeepEqual(got.Boxes[0], want) {
		t.Errorf("%v: written as\n%s", err, text)
	}
	if _, err := c.Boxes[0].Text([]Param{{"byte", "300"}}); err == nil {
		t.Error("a parameter that it does not have")
	}
}

// TestLoadErrors: each names file, line and key, and what would be right.
func TestLoadErrors(t *testing.T) {
	rule := func(when, do string) string {
		return "boxes:\n  - name: a\n    when: " + when + "\n    do: " + do + "\n"
	}
	for _, tt := range []struct{ text, want string }{
		{"boxes: []", `m.yaml:1: no boxes`},
		{"boxes:\n  - {name: a}", `m.yaml:2: box "a": it lacks the key "when"`},
		{"boxes:\n  - {name: a, when: ch2}", `m.yaml:2: box "a": it lacks the key "do"`},
		{"boxes:\n  - name: A\n", `m.yaml:2: box "A": a name is 1 to 64 lower-case letters`},
		{"boxes:\n  - name: a\n    wen: x", `m.yaml:3: unknown key "wen" in boxes (did you mean "when"?); valid keys: name, id,`},
		{rule("seg1_incomplet_record", "hang"), `m.yaml:3: box "a": unknown condition "seg1_incomplet_record" (did you mean "seg1_incomplete_record"?); valid conditions: seg1_incomplete_record, seg1_no_sni, seg1_lacks{WORD,...}, read1_short, rec>N`},
		{rule("ch2", "rst(client)"), `m.yaml:4: box "a": unknown action "rst"`},
		{rule("ch2", "drpo(flow)"), `m.yaml:4: box "a": unknown action "drpo" (did you mean "drop"?); valid actions: RST(client|server|both), FIN(`},
		{rule("ch2", "RST"), `m.yaml:4: box "a": action "RST": want RST(client|server|both)`},
		{rule("ch2", "RST(me)"), `m.yaml:4: box "a": action "RST(me)": "me" is neither client, server nor both`},
		{rule("ch2", "hang(1)"), `m.yaml:4: box "a": action "hang(1)": want hang`},
		{rule("ch2", "alert(3,1) + FIN(client)"), `m.yaml:4: box "a": action "alert(3,1)": a level is 1 (warning) or 2 (fatal)`},
		{rule("ch2", "alert(2,40)"), `m.yaml:4: box "a": action "alert(2,40)" needs FIN or RST after it`},
		{rule("ch2", "delay(5)"), `m.yaml:4: box "a": action "delay(5)": "5" is not a time`},
		{rule("ch2", "drop(seg0)"), `m.yaml:4: box "a": action "drop(seg0)": "seg0" is no segment such as seg2 or seg2+`},
		{rule("ch2", "drop(packet)"), `m.yaml:4: box "a": action "drop(packet)" needs a condition on packets`},
		{rule("ch2", "cooldown(1s)"), `m.yaml:4: box "a": action "cooldown(1s)" needs one that ends the connection`},
		{rule("ch2", "hang + delay(1s)"), `m.yaml:4: box "a": action "delay(1s)" has no effect: "hang" ends the connection`},
		{rule("ch2", "hang + RST(client)"), `m.yaml:4: box "a": actions "hang" and "RST(client)" exclude each other`},
		{rule("ch2", "RST(client) + FIN(both)"), `m.yaml:4: box "a": actions "RST(client)" and "FIN(both)" exclude each other`},
		{rule("ch2", "hang + hang"), `m.yaml:4: box "a": action "hang" is given twice`},
		{rule("ch2", "hang + probabilistic(5%)"), `m.yaml:4: box "a": action "probabilistic(5%)" comes first`},
		{rule("ch2", "probabilistic(50) + hang"), `m.yaml:4: box "a": action "probabilistic(50)": "50" is not a chance`},
		{rule("ch>1000 && ch<1000", "hang"), `m.yaml:3: box "a": conditions "ch>1000" and "ch<1000" can never hold together`},
		{rule("rec>10 && frag1<5", "hang"), `m.yaml:3: box "a": conditions "rec>10" and "frag1<5" can never hold together`},
		{rule("grp_only{29} && grp_offered{0x11ec}", "hang"), `m.yaml:3: box "a": conditions "grp_only{29}" and "grp_offered{0x11ec}" can never hold together`},
		{rule("ks_offered{29} && ks_lacks{29,23}", "hang"), `m.yaml:3: box "a": conditions "ks_offered{29}" and "ks_lacks{29,23}" can never hold together`},
		{rule("ch2 && ch2", "hang"), `m.yaml:3: box "a": condition "ch2" is given twice`},
		{rule("server_first && ch>5", "hang"), `m.yaml:3: box "a": conditions "server_first" and "ch>5" can never hold together`},
		{rule("rec>16640", "hang"), `m.yaml:3: box "a": condition "rec>16640": it can never hold: rec is 0 to 16640`},
		{rule("frag1>4", "hang"), `m.yaml:3: box "a": condition "frag1>4": want frag1<N`},
		{rule("ch>$bytes", "hang"), `m.yaml:3: box "a": $bytes is no parameter of the box`},
		{rule("ch2", "hang") + "    params: n=5", `m.yaml:5: box "a": parameter "n" is used nowhere`},
		{rule("ch2", "hang") + "    params: n", `m.yaml:5: box "a": parameter "n" is not written name=value`},
		{rule("ch2", "hang") + "    layer: wire", `m.yaml:5: box "a": layer "wire" is none of packet, stream, tls`},
		{rule("ch2", "hang") + "    confidence: sure", `m.yaml:5: box "a": confidence "sure" is none of confirmed, reported, inferred`},
		{rule("ch2", "hang") + "    expect:\n      - {probe: nothing}", `m.yaml:6: box "a": unknown probe "nothing"`},
		{rule("read1_short", "hang"), `m.yaml:3: box "a": condition "read1_short": a box of layer packet cannot see it`},
		{rule("grp_offered{x25519}", "hang"), `m.yaml:3: box "a": condition "grp_offered{x25519}": "x25519" is not a code point`},
		{rule("seg1_lacks{name}", "hang"), `m.yaml:3: box "a": condition "seg1_lacks{name}": "name" is none of ciphers, versions, groups, sni`},
		{rule("port{0}", "hang"), `m.yaml:3: box "a": condition "port{0}": "0" is not a port`},
		{rule("ch2", "hang") + "  - {name: a, when: ch2, do: hang}", `m.yaml:5: box "a": it is defined twice`},
	} {
		_, err := Load(strings.NewReader(tt.text), "m.yaml", nil)
		if err == nil || !strings.HasPrefix(err.Error(), tt.want) {
			t.Errorf("%s\n got %v\nwant %s", tt.text, err, tt.want)
		}
	}
	b := Box{Name: "a", Layer: Packet, Params: "bytes=1", When: "ch>$bytes", Do: "hang"}
	if _, err := b.Program("a", []Param{{"byte", "5"}}); err == nil || !strings.Contains(err.Error(), `no parameter "byte"; it has: bytes=1`) {
		t.Error(err)
	}
}

// TestEveryPrefixOfAFile gives an error with its place, or boxes that can run.
func TestEveryPrefixOfAFile(t *testing.T) {
	for n := range mine {
		usable(t, mine[:n])
	}
}

func FuzzLoad(f *testing.F) {
	f.Add(mine)
	f.Add("boxes:\n  - {name: a, when: ip_frag && pkt>9, do: drop(packet)}\n")
	f.Add("boxes: &a [*a]")
	f.Fuzz(usable)
}

func usable(t *testing.T, text string) {
	c, err := Load(strings.NewReader(text), "fuzz.yaml", nil)
	if err != nil {
		if !strings.HasPrefix(err.Error(), "fuzz.yaml:") {
			t.Errorf("error without a place: %v", err)
		}
		return
	}
	for _, b := range c.Boxes {
		p, err := b.Program(b.Name, nil)
		if err == nil {
			err = p.Validate()
		}
		if err != nil {
			t.Errorf("loaded, and cannot run: %v", err)
		}
	}
}

// FuzzFlow: whatever packets come and whatever the rule, a box neither fails
// nor grows without end, and what it rules can be obeyed.
func FuzzFlow(f *testing.F) {
	hello := plain.stream()
	f.Add("seg1_incomplete_record && gap>0s", "RST(both) + cooldown(1s)", append([]byte{100}, hello...))
	f.Add("grp_offered{grease}", "rewrite(groups,29,23) + delay(seg2+,1ms)", append([]byte{7}, hello...))
	f.Add("ch2", "alert(2,50) + FIN(both)", append([]byte{255}, answer(true, 23, 0)...))
	f.Fuzz(func(t *testing.T, when, do string, data []byte) {
		p, err := Box{Name: "fuzz", Layer: Packet, When: when, Do: do, Otherwise: do}.Program("fuzz", nil)
		if err != nil {
			return
		}
		c := connect(NewMachine(p))
		for len(data) > 1 {
			n := min(int(data[0]), len(data)-1)
			s := Seen{TCP: data[0]&3 != 3, Dir: capture.Direction(data[0] >> 7), Flags: capture.Flags(data[0]), Payload: data[1 : 1+n]}
			was := string(s.Payload)
			var r Ruling
			if data[0]&4 != 0 {
				r = c.put(s)
			} else {
				s.Seq, s.Fragment = uint32(data[1])<<24|uint32(n), !s.TCP
				r = c.see(s)
			}
			data = data[1+n:]
			if string(s.Payload) != was || r.Payload != nil && len(r.Payload) != len(was) || len(r.Send) > 4 || r.Hold < 0 {
				t.Fatalf("%+v of %+v", r, s)
			}
		}
		for _, h := range &c.halves {
			if len(h.data) > maxSniffed || len(h.parked) > maxParked || len(h.spans) > maxSegments {
				t.Fatal("a connection grows without end")
			}
		}
	})
}
