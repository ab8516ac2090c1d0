package browser

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"hybridlab/lab"
)

// fakeBrowser is the other end of a devtools connection.
type fakeBrowser struct {
	orders *bufio.Reader
	out    io.WriteCloser
}

type sent struct {
	ID        int            `json:"id"`
	SessionID string         `json:"sessionId"`
	Method    string         `json:"method"`
	Params    map[string]any `json:"params"`
}

func newFake(t *testing.T) (*devtools, *fakeBrowser) {
	t.Helper()
	orders, to := io.Pipe()
	from, out := io.Pipe()
	d := newDevtools(to, from)
	t.Cleanup(func() { out.Close(); d.close() })
	return d, &fakeBrowser{bufio.NewReader(orders), out}
}

func (f *fakeBrowser) next(t *testing.T) (s sent) {
	t.Helper()
	text, err := f.orders.ReadBytes(0)
	if err != nil {
		t.Error(err)
		return s
	}
	if err := json.Unmarshal(text[:len(text)-1], &s); err != nil {
		t.Error(err)
	}
	return s
}

func (f *fakeBrowser) say(format string, args ...any) { fmt.Fprintf(f.out, format+"\x00", args...) }

func TestCallsSideBySide(t *testing.T) {
	d, f := newFake(t)
	type outcome struct {
		name string
		err  error
	}
	done := make(chan outcome)
	for _, method := range []string{"A", "B"} {
		go func() {
			var out struct{ Name string }
			err := d.call(context.Background(), "session-"+method, method, params{"x": method}, &out)
			done <- outcome{out.Name, err}
		}()
	}
	a, b := f.next(t), f.next(t)
	if a.SessionID != "session-"+a.Method || a.Params["x"] != a.Method || a.ID == b.ID {
		t.Errorf("sent %+v and %+v", a, b)
	}
	f.say(`{"id":%d,"error":{"message":"no such thing"}}`, b.ID) // the other way round
	if got := <-done; got.err == nil || got.err.Error() != b.Method+": no such thing" {
		t.Errorf("refused: %+v", got)
	}
	f.say(`{"id":%d,"result":{"name":"one"}}`, a.ID)
	if got := <-done; got.err != nil || got.name != "one" {
		t.Errorf("answered: %+v", got)
	}
}

func TestBrowserEnds(t *testing.T) {
	for name, last := range map[string]string{"at once": "", "with garbage": "}{\x00", "in a message": `{"id":1`, "with a flood": strings.Repeat("x", maxMessage+1)} {
		d, f := newFake(t)
		events := d.listen("s")
		done := make(chan error)
		go func() { done <- d.call(context.Background(), "", "A", nil, nil) }()
		f.next(t)
		go func() { io.WriteString(f.out, last); f.out.Close() }()
		if err := <-done; !errors.Is(err, errNoBrowser) {
			t.Errorf("%s: %v", name, err)
		}
		if _, open := <-events; open {
			t.Errorf("%s: its sessions go on", name)
		}
		if err := d.call(context.Background(), "", "B", nil, nil); !errors.Is(err, errNoBrowser) {
			t.Errorf("%s, afterwards: %v", name, err)
		}
		if _, open := <-d.listen("late"); open {
			t.Errorf("%s: a late session waits for ever", name)
		}
	}
}

func TestNobodyWaitsForEvents(t *testing.T) {
	d, f := newFake(t)
	flooded, other := d.listen("flooded"), d.listen("other")
	for range mostEvents + 10 {
		f.say(`{"method":"Network.dataReceived","sessionId":"flooded"}`)
	}
	f.say(`{"method":"E","sessionId":"nobody"}`)
	f.say(`{"method":"E","sessionId":"other","params":{"a":1}}`)
	if e := <-other; e.Method != "E" || string(e.Params) != `{"a":1}` {
		t.Errorf("%+v", e)
	}
	n := 0
	for range flooded {
		n++
	}
	if n != mostEvents {
		t.Errorf("%d events of a flood were kept", n)
	}
}

// What Chromium says about a document, shortened.
const (
	received = `{"method":"Network.responseReceived","sessionId":"s","params":{"type":"Document","requestId":"r","response":{"securityDetails":{"protocol":"TLS 1.3","keyExchangeGroup":"X25519MLKEM768","subjectName":"server-1"}}}}`
	finished = `{"method":"Network.loadingFinished","sessionId":"s","params":{"requestId":"r"}}`
	another  = `{"method":"Network.loadingFinished","sessionId":"s","params":{"requestId":"icon"}}`
	reset    = `{"method":"Network.loadingFailed","sessionId":"s","params":{"type":"Document","requestId":"r","errorText":"net::ERR_CONNECTION_RESET"}}`
)

func TestPageLoads(t *testing.T) {
	good := lab.End{Done: true, Data: true, Version: "TLS 1.3", Group: "X25519MLKEM768", Reached: "server-1"}
	torn := good
	torn.Error = "net::ERR_CONNECTION_RESET"
	for _, tt := range []struct {
		name   string
		events []string
		want   lab.End
	}{
		{"it comes", []string{received, another, finished}, good},
		{"it is refused", []string{reset}, lab.End{Error: "net::ERR_CONNECTION_RESET"}},
		{"the server closes without a word", []string{received, reset}, torn},
		{"an event makes no sense", []string{`{"method":"Network.loadingFailed","sessionId":"s","params":[]}`}, lab.End{Error: "the browser stopped talking"}},
	} {
		d, f := newFake(t)
		p := &page{wire: d, session: "s", events: d.listen("s")}
		done := make(chan lab.End)
		go func() { done <- p.load(context.Background(), "https://hybridlab.test:2001/x") }()
		if s := f.next(t); s.Method != "Page.navigate" || s.SessionID != "s" || s.Params["url"] != "https://hybridlab.test:2001/x" {
			t.Errorf("%s: sent %+v", tt.name, s)
		}
		for _, e := range tt.events {
			f.say("%s", e)
		}
		if got := <-done; got != tt.want {
			t.Errorf("%s: %+v, want %+v", tt.name, got, tt.want)
		}
	}
}

func FuzzDevtools(f *testing.F) {
	f.Add([]byte(received + "\x00" + finished + "\x00"))
	f.Add([]byte(`{"id":1,"result":{}}` + "\x00" + reset))
	f.Fuzz(func(t *testing.T, said []byte) {
		d := &devtools{from: io.NopCloser(bytes.NewReader(said)), calls: map[int]chan message{1: make(chan message, 1)}, sessions: map[string]chan event{}}
		answer, events := d.calls[1], d.listen("s")
		d.read()
		<-answer // an answer, or the end: nobody is left waiting
		n := 0
		for range events {
			n++
		}
		if n > mostEvents {
			t.Errorf("%d events are kept", n)
		}
	})
}
