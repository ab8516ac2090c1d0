package browser

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"
)

// devtools speaks the Chrome DevTools Protocol over a pair of pipes: JSON
// messages, each ended by a NUL byte. Calls may be made side by side.
type devtools struct {
	to   io.WriteCloser
	from io.ReadCloser

	mu       sync.Mutex
	last     int
	calls    map[int]chan message // waiting for their answer
	sessions map[string]chan event
	gone     bool
}

// message is anything that comes from the browser.
type message struct {
	ID        int             `json:"id"`
	SessionID string          `json:"sessionId"`
	Result    json.RawMessage `json:"result"`
	Error     *struct {
		Message string `json:"message"`
	} `json:"error"`
	event
}

type event struct {
	Method string          `json:"method"`
	Params json.RawMessage `json:"params"`
}

type params map[string]any

func newDevtools(to io.WriteCloser, from io.ReadCloser) *devtools {
	d := &devtools{to: to, from: from, calls: map[int]chan message{}, sessions: map[string]chan event{}}
	go d.read()
	return d
}

func (d *devtools) close() {
	d.to.Close()
	d.from.Close()
}

var errNoBrowser = errors.New("the browser has ended")

// call sends a command, to the browser itself or to the session of a tab, and
// reads the result into out, where there is one.
func (d *devtools) call(ctx context.Context, session, method string, p params, out any) error {
	answer := make(chan message, 1)
	if p == nil {
		p = params{}
	}
	if err := d.send(session, method, p, answer); err != nil {
		return err
	}
	select {
	case <-ctx.Done():
		return fmt.Errorf("%s: %w", method, ctx.Err())
	case m, ok := <-answer:
		switch {
		case !ok:
			return errNoBrowser
		case m.Error != nil:
			return fmt.Errorf("%s: %s", method, m.Error.Message)
		case out == nil:
			return nil
		}
		return json.Unmarshal(m.Result, out)
	}
}

func (d *devtools) send(session, method string, p params, answer chan message) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.gone {
		return errNoBrowser
	}
	d.last++
	text, err := json.Marshal(struct {
		ID        int    `json:"id"`
		SessionID string `json:"sessionId,omitempty"`
		Method    string `json:"method"`
		Params    params `json:"params"`
	}{d.last, session, method, p})
	if err != nil {
		return err
	}
	d.calls[d.last] = answer
	_, err = d.to.Write(append(text, 0))
	return err
}

// mostEvents is how many events of a tab may wait to be looked at; a page of
// the lab makes a dozen.
const mostEvents = 256

// listen has the events of a session from now on. The channel is closed when
// the browser ends or says more than anybody could want.
func (d *devtools) listen(session string) chan event {
	d.mu.Lock()
	defer d.mu.Unlock()
	c := make(chan event, mostEvents)
	if d.gone {
		close(c)
		return c
	}
	d.sessions[session] = c
	return c
}

func (d *devtools) unlisten(session string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.sessions, session)
}

// maxMessage bounds a message, bytes.
const maxMessage = 1 << 20

// read hands out what comes until the browser ends or makes no sense.
func (d *devtools) read() {
	texts := bufio.NewScanner(d.from)
	texts.Buffer(nil, maxMessage)
	texts.Split(splitNUL)
	for texts.Scan() {
		var m message
		if json.Unmarshal(texts.Bytes(), &m) != nil {
			break
		}
		d.deliver(m)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.gone = true
	for _, answer := range d.calls {
		close(answer)
	}
	for _, events := range d.sessions {
		close(events)
	}
	d.calls, d.sessions = nil, nil
}

// deliver waits for nobody: one answer fits, and events that do not are the
// end of their session.
func (d *devtools) deliver(m message) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if m.ID != 0 {
		if answer, ok := d.calls[m.ID]; ok {
			delete(d.calls, m.ID)
			answer <- m
		}
		return
	}
	events, ok := d.sessions[m.SessionID]
	if !ok {
		return
	}
	select {
	case events <- m.event:
	default:
		close(events)
		delete(d.sessions, m.SessionID)
	}
}

// splitNUL is a bufio.SplitFunc for texts that end in a NUL byte.
func splitNUL(data []byte, atEOF bool) (advance int, token []byte, err error) {
	for i, b := range data {
		if b == 0 {
			return i + 1, data[:i], nil
		}
	}
	return 0, nil, nil
}
