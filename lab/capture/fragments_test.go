package capture

import (
	"bytes"
	"testing"
)

func TestFragments(t *testing.T) {
	whole := []byte("abcdefghABCDEFGH01234567tail")
	f := func(at, end int) fragment { return fragment{at, whole[at:end]} }
	last := len(whole)
	for _, c := range []struct {
		name  string
		parts []fragment
		want  bool
	}{
		{"in order", []fragment{f(0, 8), f(8, 16), f(16, last)}, true},
		{"backwards", []fragment{f(16, last), f(8, 16), f(0, 8)}, true},
		{"one twice", []fragment{f(0, 8), f(0, 8), f(16, last), f(8, 16)}, true},
		{"one missing", []fragment{f(0, 8), f(16, last)}, false},
		{"last missing", []fragment{f(0, 8), f(8, 16)}, false},
		{"overlap with the one before", []fragment{f(0, 16), f(8, 24), f(24, last)}, false},
		{"overlap with the one after", []fragment{f(8, 16), f(0, 16), f(16, last)}, false},
		{"overlap that makes up for a hole", []fragment{f(0, 16), f(8, 16), f(24, last)}, false},
		{"same start, other length", []fragment{f(0, 8), f(0, 16), f(16, last)}, false},
		{"two ends", []fragment{f(16, last), {8, whole[8:last]}, f(0, 8)}, false},
		{"end before what is there", []fragment{f(16, 24), {8, []byte("end")}}, false},
		{"beyond the end", []fragment{{8, []byte("short")}, f(16, last), f(0, 8)}, false},
		{"empty", []fragment{f(0, 8), {8, nil}, f(8, 16), f(16, last)}, false},
		{"longer than IP allows", []fragment{{65528, whole}, f(0, 8), f(8, 16), f(16, last)}, true},
	} {
		all := fragments{}
		var got []byte
		for _, part := range c.parts {
			end := part.at + len(part.data)
			if b := all.add(datagramID{id: 7}, part.at, end%8 == 0, part.data); b != nil {
				got = b
			}
		}
		if c.want != bytes.Equal(got, whole) || !c.want && got != nil {
			t.Errorf("%s: got %q, want whole: %t", c.name, got, c.want)
		}
	}
}

func TestFragmentsOfManyDatagrams(t *testing.T) {
	all := fragments{}
	all.add(datagramID{id: 1}, 0, true, make([]byte, 8))
	if all.add(datagramID{id: 2}, 8, false, []byte("x")) != nil {
		t.Error("joined fragments of two datagrams")
	}
	if got := all.add(datagramID{id: 1}, 8, false, []byte("x")); len(got) != 9 {
		t.Errorf("joined %d bytes, want 9", len(got))
	}
	for i := range uint32(10 * maxDatagrams) {
		all.add(datagramID{id: i}, 0, true, make([]byte, 8))
	}
	if len(all) > maxDatagrams {
		t.Errorf("%d datagrams wait, want at most %d", len(all), maxDatagrams)
	}
}

func TestSpans(t *testing.T) {
	var s spans
	for _, c := range []struct {
		start, end int64
		fresh      int
		runs       int
		total      int64
	}{
		{10, 20, 10, 1, 10},
		{10, 20, 0, 1, 10},
		{30, 40, 10, 2, 20},
		{20, 25, 5, 2, 25},
		{0, 5, 5, 3, 30},
		{12, 18, 0, 3, 30},
		{4, 35, 10, 1, 40},
		{50, 50, 0, 1, 40},
		{0, 100, 60, 1, 100},
	} {
		if got := s.add(c.start, c.end); got != c.fresh || len(s) != c.runs || s.below(1000) != c.total {
			t.Errorf("add %d to %d: %d fresh, %d runs, %d in all; want %d, %d, %d", c.start, c.end, got, len(s), s.below(1000), c.fresh, c.runs, c.total)
		}
	}
	if got := s.below(30); got != 30 {
		t.Errorf("%d bytes below 30", got)
	}
}

func TestFlagsString(t *testing.T) {
	for f, want := range map[Flags]string{0: "", SYN: "S", SYN | ACK: "S.", PSH | ACK | FIN: "FP.", RST: "R"} {
		if f.String() != want {
			t.Errorf("%#x is %q, want %q", uint8(f), f, want)
		}
	}
}
