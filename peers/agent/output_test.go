package agent

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestCappedKeepsHeadAndTail(t *testing.T) {
	for _, size := range []int{0, 1, halfOutput, 2 * halfOutput, 2*halfOutput + 1, 10*halfOutput + 7} {
		for _, step := range []int{1 << 10, 16 << 10, 3 * halfOutput} {
			in := make([]byte, size)
			for i := range in {
				in[i] = 'a' + byte(i%26)
			}
			var c capped
			for chunk := range slices.Chunk(in, step) {
				c.write(chunk)
				if held := cap(c.head) + cap(c.tail); held > 16*halfOutput {
					t.Fatalf("%d bytes in steps of %d: holds %d", size, step, held)
				}
			}
			checkCapped(t, in, c.bytes())
		}
	}
}

func checkCapped(t *testing.T, in, got []byte) {
	t.Helper()
	if len(in) <= 2*halfOutput {
		if !bytes.Equal(got, in) {
			t.Errorf("%d bytes became %d others", len(in), len(got))
		}
		return
	}
	note := fmt.Sprintf("\n[%d bytes cut here]\n", len(in)-2*halfOutput)
	want := string(in[:halfOutput]) + note + string(in[len(in)-halfOutput:])
	if string(got) != want {
		t.Errorf("%d bytes: head, note and tail are wrong (%d bytes)", len(in), len(got))
	}
}

func TestWatcherSeesTextAcrossEveryCut(t *testing.T) {
	const stream, text = "Using default temp DH parameters\nACCEPT\n", "ACCEPT\n"
	for cut := range len(stream) + 1 {
		w := newWatcher(text)
		w.write([]byte(stream[:cut]))
		if early := w.done; early != strings.Contains(stream[:cut], text) {
			t.Errorf("after %d bytes: seen is %v", cut, early)
		}
		w.write([]byte(stream[cut:]))
		select {
		case <-w.seen:
		default:
			t.Errorf("cut at %d: not seen", cut)
		}
		w.write([]byte(text)) // a second time does no harm
	}
	if newWatcher("") != nil || newWatcher("tcp:1") != nil {
		t.Error("a watcher for what is no text")
	}
}

func TestLineSplitter(t *testing.T) {
	long := strings.Repeat("x", maxLine)
	for _, tc := range []struct {
		in   string
		want []string
	}{
		{"", nil},
		{"one\ntwo\r\n\nlast", []string{"one", "two", "", "last"}},
		{long + "\nend\n", []string{long, "end"}},
		{long + "yz\n", []string{long, "yz"}},
	} {
		for _, step := range []int{1, 3, 5000, len(tc.in) + 1} {
			var s lineSplitter
			var got []string
			for chunk := range slices.Chunk([]byte(tc.in), step) {
				if step < 1000 && len(tc.in) > 1000 {
					break // byte by byte through a long line proves nothing more
				}
				got = append(got, s.cut(chunk, false)...)
			}
			if step < 1000 && len(tc.in) > 1000 {
				continue
			}
			if got = append(got, s.cut(nil, true)...); !slices.Equal(got, tc.want) {
				t.Errorf("%.20q in steps of %d: %d lines, want %d", tc.in, step, len(got), len(tc.want))
			}
		}
	}
}

func TestLineLogFind(t *testing.T) {
	l := newLineLog()
	l.add([]string{"a 198.19.0.1", "b 198.19.0.2", "c 198.19.0.1"})
	for _, tc := range []struct {
		text string
		want int
		got  []string
	}{
		{"198.19.0.1", 0, []string{"a 198.19.0.1", "c 198.19.0.1"}},
		{"198.19.0.1", 1, []string{"a 198.19.0.1"}},
		{"198.19.0.1", 2, []string{"a 198.19.0.1", "c 198.19.0.1"}},
		{"198.19.0.9", 0, nil},
		{"198.19.0.9", 1, nil}, // after the wait
	} {
		if got := l.find(tc.text, tc.want, time.Millisecond); !slices.Equal(got, tc.got) {
			t.Errorf("find(%q, %d) = %q, want %q", tc.text, tc.want, got, tc.got)
		}
	}
}

func TestLineLogWaitsForItsLine(t *testing.T) {
	l := newLineLog()
	got := make(chan []string)
	go func() { got <- l.find("mine", 2, time.Minute) }()
	for i := range 3 {
		l.add([]string{fmt.Sprint("yours ", i), fmt.Sprint("mine ", i)})
	}
	if lines := <-got; !slices.Equal(lines, []string{"mine 0", "mine 1"}) {
		t.Errorf("got %q", lines)
	}
	go func() { got <- l.find("never", 1, time.Minute) }()
	l.close()
	if lines := <-got; lines != nil {
		t.Errorf("after the end: %q", lines)
	}
}

func TestLineLogIsBounded(t *testing.T) {
	for _, line := range []string{"", strings.Repeat("x", maxLine)} {
		l := newLineLog()
		for range 3 * maxLines / cost(line) {
			l.add([]string{line})
		}
		if l.size > maxLines || len(l.lines)*cost(line) != l.size {
			t.Errorf("lines of %d bytes: %d of them cost %d, want at most %d", len(line), len(l.lines), l.size, maxLines)
		}
		l.add([]string{"latest"})
		if got := l.find("latest", 1, time.Minute); len(got) != 1 {
			t.Error("the latest line is not there")
		}
	}
}

func FuzzLines(f *testing.F) {
	f.Add([]byte("a\nb\r\nc"), uint(1))
	f.Add([]byte("\n\n\r\r\n"), uint(2))
	f.Fuzz(func(t *testing.T, in []byte, at uint) {
		cut := int(at % uint(len(in)+1))
		var one, two lineSplitter
		whole := one.cut(in, true)
		parts := append(two.cut(in[:cut], false), two.cut(in[cut:], true)...)
		if !slices.Equal(whole, parts) {
			t.Errorf("%q at once: %q, cut at %d: %q", in, whole, cut, parts)
		}
	})
}
