package reports

import (
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/html"

	"hybridlab/lab"
)

// kept is a Source made up of the same ladder and the same ends for every
// capture of some verdicts.
type kept struct {
	verdicts Verdicts
	ladder   lab.Ladder
	client   lab.End
	server   lab.End
	boxes    []lab.Deed
	err      error // of reading any ladder
	torn     error // ends the observations
}

func (k kept) Ladder(string) (lab.Ladder, error) { return k.ladder, k.err }

func (k kept) Observations() iter.Seq2[lab.Observation, error] {
	return func(yield func(lab.Observation, error) bool) {
		for v := range k.verdicts {
			o := lab.Observation{Attempt: 1, Capture: v.Capture, Client: k.client, Server: k.server, Path: lab.Path{Boxes: k.boxes}}
			if !yield(o, nil) {
				return
			}
		}
		if k.torn != nil {
			yield(lab.Observation{}, k.torn)
		}
	}
}

// blackhole is the account of a hybrid hello that a path swallows.
func blackhole() lab.Ladder {
	sight := func(packet int, us int64, bytes int) lab.Sight {
		return lab.Sight{Packet: packet, US: us, Bytes: bytes}
	}
	up := func(packet int, us int64, bytes int, r lab.Rung) lab.Rung {
		r.Dir, r.Sent, r.Conn = "to server", sight(packet, us, bytes), 1
		if r.Drop == "" {
			r.Arrived = []lab.Sight{sight(packet+1, us+40, bytes)}
		}
		return r
	}
	first := lab.Piece{What: "ClientHello", From: 1, To: 1420, Of: 1718}
	rest := lab.Piece{What: "ClientHello", From: 1421, To: 1718, Of: 1718}
	eaten := lab.Rung{Drop: "mtu-icmp-eaten", Notes: []string{"1472 bytes, MTU 1280"}, Payload: 1420, TLS: []lab.Piece{first}}
	again := eaten
	again.Resent = true
	return lab.Ladder{
		Rungs: []lab.Rung{
			up(1, 20, 60, lab.Rung{Flags: "SYN", MSS: 1460}),
			{Dir: "to client", Sent: sight(3, 130, 60), Arrived: []lab.Sight{sight(4, 170, 60)}, Conn: 1, Flags: "SYN ACK", MSS: 1460},
			up(5, 210, 52, lab.Rung{}),
			up(7, 580, 1472, eaten),
			up(8, 610, 350, lab.Rung{Seq: 1420, Payload: 298, TLS: []lab.Piece{rest}}),
			up(10, 203580, 1472, again),
			{Dir: "to client", Sent: sight(11, 203600, 576), Arrived: []lab.Sight{sight(11, 203600, 576)}, Made: true, Proto: "ICMP", Notes: []string{"made by the path: too big, MTU 1280"}},
		},
		Left: 3,
		Hellos: []lab.HelloPair{{Arrived: true, Lines: []lab.HelloLine{
			{Name: "size", Sent: "1718 bytes", Received: "1718 bytes"}, {Name: "supported_groups", Sent: "X25519MLKEM768, x25519", Received: "x25519"},
			{Name: "padding", Received: "12 bytes: 0000000000000000…"},
		}}},
	}
}

// evidenced is the small run with what it kept.
func evidenced() kept {
	return kept{verdicts: small.verdicts, ladder: blackhole(), client: lab.End{Exit: 1, Error: "i/o timeout"}, server: lab.End{TimedOut: true, Group: "x25519"},
		boxes: []lab.Deed{{Box: "proxysg-rst", Action: "RST(client)", Times: 2}}}
}

// readDetails reads the second data block back as ladder.js does.
func readDetails(t *testing.T, page string) (cells [][]any, words []string) {
	t.Helper()
	doc, err := html.Parse(strings.NewReader(page))
	if err != nil {
		t.Fatal(err)
	}
	for n := range doc.Descendants() {
		if attr(n, "id") != "details" {
			continue
		}
		var data struct {
			Cells   [][]any
			Strings []string
		}
		if err := json.Unmarshal([]byte(n.FirstChild.Data), &data); err != nil {
			t.Fatal(err)
		}
		return data.Cells, data.Strings
	}
	t.Fatal("no details in the page")
	return nil, nil
}

func TestDetails(t *testing.T) {
	src := evidenced()
	page := sourced(t, small.report(), small.verdicts, src)
	cells, words := readDetails(t, page)
	str := func(v any) string { return words[int(v.(float64))] }
	want := 0
	for v := range small.verdicts {
		if v.Capture != "" {
			want++
		}
	}
	if len(cells) != want || want == 0 {
		t.Fatalf("%d cells with details, want the %d with a capture", len(cells), want)
	}
	d := cells[0]
	if got := str(d[0]); got != "go@1.26/openssl@trixie/x25519+~x25519mlkem768:x25519mlkem768+x25519/clean" {
		t.Errorf("the first is %s", got)
	}
	if rungs := d[2].([]any); len(rungs) != len(src.ladder.Rungs) {
		t.Errorf("%d rungs", len(rungs))
	} else {
		r := rungs[3].([]any)
		got := fmt.Sprintln(r[0], r[1], r[2], r[3], str(r[4]), str(r[5].([]any)[0]), r[6], str(r[8]), r[9], r[10], r[11], r[12])
		if want := "0 [7 580 1472] 0 [] mtu-icmp-eaten 1472 bytes, MTU 1280 1  0 0 1420 0\n"; got != want {
			t.Errorf("rung 4 is %s, want %s", got, want)
		}
		if p := r[13].([]any)[0].([]any); str(p[0]) != "ClientHello" || fmt.Sprint(p[1:]) != "[1 1420 1718 0 0]" {
			t.Errorf("its piece is %v", p)
		}
	}
	if fmt.Sprint(d[3]) != "3" || str(d[5].([]any)[6]) != "i/o timeout" || fmt.Sprint(d[6].([]any)[1]) != "1" || str(d[7].([]any)[0].([]any)[1]) != "RST(client)" {
		t.Errorf("ends and boxes: %v", d[3:])
	}
}

// What cannot be read is said where it is missed; the page is made all the same.
func TestDetailsUnread(t *testing.T) {
	src := evidenced()
	src.ladder, src.err = lab.Ladder{}, errors.New("read capture: it is gone")
	cells, words := readDetails(t, sourced(t, small.report(), small.verdicts, src))
	if len(cells) == 0 || words[int(cells[0][8].(float64))] != "read capture: it is gone" {
		t.Errorf("%d cells, %v", len(cells), cells)
	}
	src.torn = errTorn
	if err := HTML(&strings.Builder{}, small.report(), small.verdicts, src); !errors.Is(err, errTorn) {
		t.Errorf("torn observations: error %v", err)
	}
}

// Every group has its first cells in the page before any has its second, in
// whatever order they came.
func TestShelf(t *testing.T) {
	var vs []lab.Verdict
	for v := range large.verdicts {
		if v.Capture != "" {
			vs = append(vs, v)
		}
	}
	deal := func(vs []lab.Verdict) (cells []string) {
		s := shelf{}
		for _, v := range vs {
			s.add(v)
		}
		for d := range s.inTurn {
			cells = append(cells, d.cell)
		}
		return cells
	}
	cells := deal(vs)
	byCell := map[string]lab.Verdict{}
	most := map[groupKey]int{}
	for _, v := range vs {
		byCell[v.Cell] = v
		most[groupKey{v.Outcome, v.Cause, v.Blame, v.Known}]++
	}
	for i := range most {
		most[i] = min(most[i], mostDetailed)
	}
	seen := map[groupKey]int{}
	for _, c := range cells {
		v := byCell[c]
		k := groupKey{v.Outcome, v.Cause, v.Blame, v.Known}
		for other, n := range most {
			if seen[other] < min(seen[k], n) {
				t.Fatalf("%v has its cell number %d before %v its %d", k, seen[k]+1, other, seen[other]+1)
			}
		}
		seen[k]++
	}
	for k, n := range most {
		if seen[k] != n {
			t.Errorf("%v: %d cells, want %d", k, seen[k], n)
		}
	}
	slices.Reverse(vs)
	if !slices.Equal(deal(vs), cells) {
		t.Error("the order of verdicts shows")
	}
	if s := (shelf{}); true {
		s.add(lab.Verdict{Outcome: lab.Failure, Capture: "../x"})
		if len(s) != 0 {
			t.Error("a file name that is no capture's was taken")
		}
	}
}

// However much there is, the page has room for no more.
func TestDetailsAreBounded(t *testing.T) {
	l := blackhole()
	for i := range 200 {
		l.Rungs = append(l.Rungs, lab.Rung{Notes: []string{fmt.Sprint(i, strings.Repeat("x", 100))}})
	}
	n := 0
	src := ladders(func(capture string) lab.Ladder {
		n++
		l.Rungs[0].Notes = []string{capture + strings.Repeat("y", 1500)}
		return l
	})
	page := sourced(t, large.report(), large.verdicts, src)
	if len(page) > mostDetails+4<<20 || n < 300 {
		t.Errorf("a page of %d bytes with %d ladders", len(page), n)
	}
}

// ladders is a Source of ladders alone.
type ladders func(string) lab.Ladder

func (l ladders) Ladder(capture string) (lab.Ladder, error) { return l(capture), nil }

func (l ladders) Observations() iter.Seq2[lab.Observation, error] {
	return func(func(lab.Observation, error) bool) {}
}

// TestEnding: the last words of a real middlebox are bounded, and how it ended
// is said.
func TestEnding(t *testing.T) {
	for want, e := range map[string]lab.BoxEnd{
		`at its end it had said nothing`:                          {Exit: 143, Said: " \n"},
		`at its end it said "bye"`:                                {Exit: 143, Said: "bye\n"},
		`ended by itself with exit code 139 it said "no\nmemory"`: {Died: true, Exit: 139, Said: "no\nmemory"},
		`at its end it said "` + strings.Repeat("x", 300) + `"`:   {Said: strings.Repeat("x", 1000)},
	} {
		if got := ending(e); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
