package netem

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"hybridlab/lab/yaml"
)

// TestLibrary: what the design promises by name is there, and everything in
// the library can be told from its neighbours.
func TestLibrary(t *testing.T) {
	for _, name := range []string{
		"clean", "clean-v6", "mtu1280", "mtu1280-icmp-eaten", "mtu1280-v6", "mtu1280-v6-icmp-eaten", "wireguard1420",
		"pppoe1492", "mss536", "mss-clamp1280", "frag-drop", "frag-pass", "loss1", "loss5", "loss-burst",
		"lose-hello-2nd-segment", "dup2", "reorder5", "corrupt1", "jitter20", "rtt100", "mobile", "slow256k", "satellite",
	} {
		if l, err := LookupLink(name); err != nil || l.Name != name {
			t.Errorf("%q: %v", name, err)
		}
	}
	for i, l := range Links() {
		if !strings.HasSuffix(l.About, ".") || strings.Contains(l.About, "\n") {
			t.Errorf("%s: about %q is not one sentence", l.Name, l.About)
		}
		if strings.Contains(l.Name, "v6") != l.V6() {
			t.Errorf("%s is %s", l.Name, l.family())
		}
		for _, m := range Links()[:i] {
			if l.Family == m.Family && reflect.DeepEqual(l.Up, m.Up) && reflect.DeepEqual(l.Down, m.Down) {
				t.Errorf("%s is the same as %s", l.Name, m.Name)
			}
		}
	}
}

// What Text writes of a link is the link.
func TestLinkText(t *testing.T) {
	for _, want := range Links() {
		got, err := LoadLinks(strings.NewReader(want.Text()), want.Name)
		if err != nil || len(got) != 1 || !reflect.DeepEqual(got[0], want) {
			t.Errorf("%v: %+v was written as\n%s", err, want, want.Text())
		}
	}
}

func TestLookupLinkError(t *testing.T) {
	_, err := LookupLink("los5")
	if err == nil || !strings.HasPrefix(err.Error(), `unknown link "los5" (did you mean "loss5"?); valid links: clean, clean-v6, `) {
		t.Errorf("got %v", err)
	}
	if _, err := LookupLink("transatlantic"); err == nil || strings.Contains(err.Error(), "did you mean") {
		t.Errorf("got %v", err)
	}
}

// TestLoadLinks reads every key there is.
func TestLoadLinks(t *testing.T) {
	got, err := LoadLinks(strings.NewReader(`
# mine
links:
  - name: all.of-it
    about: |
      Everything at once.
    family: ipv6
    up:
      delay: 20ms
      jitter: 1.5ms
      loss:
        rate: 0.5%
        burst: {enter: 1%, leave: 25%, bad: 90%, good: 0.1%}
        nth: [1, 3]
        nth_data: [2]
      duplicate: 2%
      reorder: {rate: 5%, by: 3ms}
      corrupt: {rate: 1%, nth: [4], nth_data: [5], checksum: fixed}
      rate: 1.5mbit
      queue: 7
      mtu: 1400
      too_big: fragment
      clamp_mss: true
      fragments: drop
  - name: alike
    both: {delay: 1ms}
  - {name: nothing}
`), "mine.yaml")
	if err != nil {
		t.Fatal(err)
	}
	ms := Shape{Delay: time.Millisecond}
	want := []Link{
		{Name: "all.of-it", About: "Everything at once.", Family: IPv6, Up: Shape{
			Delay: 20 * time.Millisecond, Jitter: 1500 * time.Microsecond,
			Loss:      Loss{Rate: 0.005, Burst: Burst{0.01, 0.25, 0.9, 0.001}, Nth: []int{1, 3}, NthData: []int{2}},
			Duplicate: 0.02, Reorder: Reorder{0.05, 3 * time.Millisecond},
			Corrupt: Corrupt{0.01, []int{4}, []int{5}, FixedChecksum},
			Rate:    1_500_000, Queue: 7, MTU: 1400, TooBig: Fragment, ClampMSS: true, Fragments: DropFragments,
		}},
		{Name: "alike", Up: ms, Down: ms},
		{Name: "nothing"},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

// TestLoadLinksErrors: each mistake is named with its line and what would be right.
func TestLoadLinksErrors(t *testing.T) {
	const head = "links:\n  - name: x\n    up:\n" // the mistake is in line 4
	for _, c := range []struct{ yaml, want string }{
		{head + "      dely: 20ms", `my.yaml:4: unknown key "dely" in up (did you mean "delay"?); valid keys: ` +
			`delay, jitter, loss, duplicate, reorder, corrupt, rate, queue, mtu, too_big, clamp_mss, mss, fragments`},
		{head + "      loss: {rat: 1%}", `my.yaml:4: unknown key "rat" in loss (did you mean "rate"?); valid keys: rate, burst, nth, nth_data`},
		{head + "      delay: 20", `my.yaml:4: delay: "20" is not a time such as 20ms or 1.5s`},
		{head + "      delay: -1ms", `my.yaml:4: link "x": up.delay: -1ms is outside 0s to 30s`},
		{head + "      delay: [1ms]", `my.yaml:4: delay must be a single value`},
		{head + "      duplicate: 2", `my.yaml:4: duplicate: "2" is not a percentage such as 1% or 0.5%`},
		{head + "      duplicate: 101%", `my.yaml:4: duplicate: "101%" is outside 0% to 100%`},
		{head + "      rate: 5", `my.yaml:4: rate: "5" is not a rate in bits per second such as 256kbit, 10mbit or 1gbit`},
		{head + "      rate: 5bit", `my.yaml:4: link "x": up.rate: 5bit is below 1kbit`},
		{head + "      queue: 5", `my.yaml:4: link "x": up.queue: needs a rate: an unlimited link has no queue`},
		{head + "      mtu: big", `my.yaml:4: mtu must be a whole number`},
		{head + "      mtu: 1280.5", `my.yaml:4: mtu must be a whole number`},
		{head + "      mtu: 99999999999999999999", `my.yaml:4: mtu must be a whole number`},
		{head + "      mtu: 50", `my.yaml:4: link "x": up.mtu: 50 is outside 68 to 65535 bytes`},
		{head + "      clamp_mss: true", `my.yaml:4: link "x": up.clamp_mss: needs an mtu`},
		{head + "      clamp_mss: \"yes\"", `my.yaml:4: clamp_mss must be true or false`},
		{head + "      too_big: eat", `my.yaml:4: link "x": up.too_big: needs an mtu`},
		{head + "      mtu: 1280\n      too_big: maybe", `my.yaml:5: link "x": up.too_big: "maybe" is none of "icmp", "eat", "fragment"`},
		{head + "      fragments: some", `my.yaml:4: link "x": up.fragments: "some" is neither "pass" nor "drop"`},
		{head + "      loss: {burst: {enter: 1%}}", `my.yaml:4: link "x": up.loss.burst.leave: must be given: the bad state would last for ever`},
		{head + "      loss: {burst: {leave: 1%}}", `my.yaml:4: link "x": up.loss.burst.enter: must be given: the bad state would never be entered`},
		{head + "      loss: {nth: [0]}", `my.yaml:4: link "x": up.loss.nth: 0: packets are counted from 1`},
		{head + "      loss: {nth: 1}", `my.yaml:4: nth must be a list`},
		{head + "      loss: {nth: [a]}", `my.yaml:4: nth must be a whole number`},
		{head + "      corrupt: {checksum: fixed}", `my.yaml:4: link "x": up.corrupt.checksum: needs corrupt.rate, corrupt.nth or corrupt.nth_data`},
		{head + "      reorder: {by: 1ms}", `my.yaml:4: link "x": up.reorder.by: needs reorder.rate`},
		{head + "      mtu: 1280\n      mtu: 1281", `my.yaml:5: `},
		{"links:\n  - name: x\n    both:\n      mtu: 20", `my.yaml:4: link "x": both.mtu: 20 is outside 68 to 65535 bytes`},
		{"links:\n  - name: x\n    both: {}\n    up: {}", `my.yaml:3: link "x": both excludes up and down`},
		{"links:\n  - name: x\n    family: ipv5", `my.yaml:3: link "x": family: "ipv5" is neither "ipv4" nor "ipv6"`},
		{"links:\n  - name: x\n    family: ipv6\n    up: {mtu: 1000}", `my.yaml:4: link "x": up.mtu: 1000 is outside 1280 to 65535 bytes`},
		{"links:\n  - name: a/b", `my.yaml:2: link "a/b": name: "a/b" must be 1 to 64 lower-case letters, digits, dots and dashes`},
		{"links:\n  - name: 12", `my.yaml:2: name must be text; put it in quotes`},
		{"links:\n  - about: nameless", `my.yaml:2: link "": name: "" must be 1 to 64`},
		{"links:\n  - name: x\n  - name: x", `my.yaml:3: link "x" is defined twice`},
		{"links:\n  - &a {name: x}", `my.yaml:2: links must be a mapping of keys to values`},
		{"links: []", `my.yaml:1: no links: want a list under the key "links"`},
		{"links: {name: x}", `my.yaml:1: links must be a list`},
		{"boxes: []", `my.yaml:1: unknown key "boxes" in the file; valid keys: links`},
		{"- 1", `my.yaml:1: the file must be a mapping of keys to values`},
		{"", `my.yaml: holds 0 YAML documents, want 1`},
		{"links: []\n---\nlinks: []", `my.yaml: holds 2 YAML documents, want 1`},
		{"links: [", `my.yaml:1: `},
		{"links:\n\t- x", `my.yaml:2: `},
	} {
		_, err := LoadLinks(strings.NewReader(c.yaml), "my.yaml")
		if err == nil || !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("%q:\n got %v\nwant %s", c.yaml, err, c.want)
		}
	}
	if _, err := LoadLinks(strings.NewReader(strings.Repeat("#\n", yaml.MaxFile)), "big.yaml"); err == nil {
		t.Error("read a file without end")
	}
}

func TestUnits(t *testing.T) {
	for _, c := range []struct {
		text string
		want Chance
	}{{"1%", 0.01}, {"0.5%", 0.005}, {"100%", 1}, {"0%", 0}, {"12.345%", 0.12345}} {
		var p Chance
		if err := p.UnmarshalText([]byte(c.text)); err != nil || p != c.want || p.String() != c.text {
			t.Errorf("%s: %v, %v, written as %s", c.text, float64(p), err, p)
		}
	}
	for _, c := range []struct {
		text, back string
		want       Bitrate
	}{{"256kbit", "256kbit", 256_000}, {"1.5mbit", "1500kbit", 1_500_000}, {"1gbit", "1gbit", 1e9}, {"77bit", "77bit", 77}, {"0bit", "0bit", 0}} {
		var r Bitrate
		if err := r.UnmarshalText([]byte(c.text)); err != nil || r != c.want || r.String() != c.back {
			t.Errorf("%s: %d, %v, written as %s", c.text, r, err, r)
		}
	}
	for _, bad := range []string{"", "1", "%", "-1%", "NaN%", "1e9%", "5kb", "kbit", "-5kbit", "0kbit", "Infgbit", "99999gbit"} {
		if p := new(Chance); p.UnmarshalText([]byte(bad)) == nil {
			t.Errorf("%q is the chance %v", bad, *p)
		}
		if r := new(Bitrate); r.UnmarshalText([]byte(bad)) == nil {
			t.Errorf("%q is the rate %v", bad, *r)
		}
	}
}

// TestLinkJSON: reports hold links as people write them.
func TestLinkJSON(t *testing.T) {
	for _, l := range Links() {
		b, err := json.Marshal(l)
		var got Link
		if err == nil {
			err = json.Unmarshal(b, &got)
		}
		if err != nil || !reflect.DeepEqual(l, got) {
			t.Errorf("%s: %v\n%+v\n%+v", l.Name, err, l, got)
		}
	}
}

// TestEveryPrefixOfLibrary: a file cut off anywhere gives an error with its
// name, or fewer links, but neither a panic nor other links.
func TestEveryPrefixOfLibrary(t *testing.T) {
	whole := Links()
	for n := 0; n < len(linksYAML); n += 41 {
		links, err := LoadLinks(strings.NewReader(string(linksYAML[:n])), "cut.yaml")
		if err != nil && !strings.HasPrefix(err.Error(), "cut.yaml:") {
			t.Fatalf("cut at %d: %v", n, err)
		}
		if len(links) > len(whole) || (len(links) > 1 && !reflect.DeepEqual(links[:len(links)-1], whole[:len(links)-1])) {
			t.Fatalf("cut at %d: other links", n)
		}
	}
}

// FuzzLoadLinks: whatever the file, links that come out of it can be used.
func FuzzLoadLinks(f *testing.F) {
	f.Add(string(linksYAML[len(linksYAML)-600:]))
	f.Add("links:\n  - {name: a, both: {mtu: 1280, too_big: eat}}\n")
	f.Add("links: &a [*a]")
	f.Fuzz(func(t *testing.T, text string) {
		links, err := LoadLinks(strings.NewReader(text), "fuzz.yaml")
		if err != nil {
			if !strings.HasPrefix(err.Error(), "fuzz.yaml:") {
				t.Errorf("error without a place: %v", err)
			}
			return
		}
		for _, l := range links {
			if err := l.Validate(); err != nil {
				t.Error(err)
			}
		}
	})
}

// ExampleLoadLinks shows a file of one's own.
func ExampleLoadLinks() {

	text := "links:\n  - name: my-vpn\n    about: Our VPN.\n    both: {mtu: 1390, too_big: eat, delay: 15ms}\n"
	links, err := LoadLinks(strings.NewReader(text), "mine.yaml")
	fmt.Println(links[0].Name, links[0].Up.MTU, links[0].Down.Delay, err)
	// Output: my-vpn 1390 15ms <nil>
}

func TestLinkSettings(t *testing.T) {
	for _, c := range []struct {
		link, key, value string
		up, down         Shape
	}{
		{"clean", "mtu", "1300", Shape{MTU: 1300}, Shape{MTU: 1300}},
		{"clean", "mss", "536", Shape{MSS: 536}, Shape{MSS: 536}},
		{"mtu1280-icmp-eaten", "mtu", "1400", Shape{MTU: 1400, TooBig: EatICMP}, Shape{MTU: 1400, TooBig: EatICMP}},
		{"mtu1280-up", "mtu", "1400", Shape{MTU: 1400, TooBig: EatICMP}, Shape{}}, // where there is an MTU
		{"mtu1280-down", "mss", "536", Shape{MSS: 536}, Shape{MTU: 1280, TooBig: EatICMP, MSS: 536}},
	} {
		l, err := LookupLink(c.link)
		if err != nil {
			t.Fatal(err)
		}
		if l, err = l.Set(c.key, c.value); err != nil || !reflect.DeepEqual(l.Up, c.up) || !reflect.DeepEqual(l.Down, c.down) {
			t.Errorf("%s with %s %s: %+v, %v", c.link, c.key, c.value, l, err)
		}
	}
	for _, c := range [][4]string{
		{"clean", "mtu", "x", `mtu: "x" is not a whole number`},
		{"clean", "mtu", "67", "up.mtu: 67 is outside 68 to 65535 bytes"},
		{"clean-v6", "mtu", "1279", "up.mtu: 1279 is outside 1280 to 65535 bytes"},
		{"clean", "mss", "87", "up.mss: 87 is outside 88 to 65535 bytes"},
		{"clean", "rtt", "20", `unknown setting "rtt": want mtu or mss`},
	} {
		l, err := LookupLink(c[0])
		if err != nil {
			t.Fatal(err)
		}
		if _, err := l.Set(c[1], c[2]); err == nil || err.Error() != c[3] {
			t.Errorf("%s with %s %s: %v, want %s", c[0], c[1], c[2], err, c[3])
		}
	}
}
