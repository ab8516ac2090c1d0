package control

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"
)

// echo is a service with one method that answers and one that does not.
type echo struct{ hold chan struct{} }

func (e *echo) Say(in string, out *string) error {
	if in == "" {
		return errors.New("say what?")
	}
	*out = in
	return nil
}

func (e *echo) Hang(struct{}, *struct{}) error { <-e.hold; return nil }

// serve starts a server; the channel has Serve's return value.
func serve(t *testing.T, s Server) (addr string, e *echo, ended chan error) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	e = &echo{hold: make(chan struct{})}
	t.Cleanup(func() { ln.Close(); close(e.hold) })
	ended = make(chan error, 1)
	go func() { ended <- s.Serve(ln, "Echo", e) }()
	return ln.Addr().String(), e, ended
}

func dialed(t *testing.T, addr, token string) *Client {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	c, err := Dial(ctx, addr, token)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func TestCall(t *testing.T) {
	addr, _, _ := serve(t, Server{Token: "sesame"})
	c := dialed(t, addr, "sesame")
	var got string
	if err := c.Call(t.Context(), "Echo.Say", "hello", &got); err != nil || got != "hello" {
		t.Errorf("Say: %q, %v", got, err)
	}
	if err := c.Call(t.Context(), "Echo.Say", "", &got); err == nil || err.Error() != "say what?" || errors.Is(err, ErrGone) {
		t.Errorf("the service's own error became %v", err)
	}
	if err := c.Call(t.Context(), "Echo.Nothing", "", &got); err == nil {
		t.Error("an unknown method is no error")
	}
}

func TestWrongTokenIsRefusedAtOnce(t *testing.T) {
	addr, _, _ := serve(t, Server{Token: "sesame"})
	for _, token := range []string{"", "sesam", "sesame2", strings.Repeat("x", 2*maxLine)} {
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		if _, err := Dial(ctx, addr, token); err == nil {
			t.Errorf("token %q was accepted", token)
		}
		cancel()
	}
	dialed(t, addr, "sesame") // the control: strangers did not use up the place
}

func TestSilentStrangerDoesNotKeepTheControllerOut(t *testing.T) {
	addr, _, _ := serve(t, Server{Token: "sesame"})
	stranger, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer stranger.Close()
	dialed(t, addr, "sesame")
}

func TestSecondControllerIsRefused(t *testing.T) {
	addr, _, _ := serve(t, Server{Token: "sesame"})
	dialed(t, addr, "sesame")
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if _, err := Dial(ctx, addr, "sesame"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("second controller: %v", err)
	}
}

func TestServeEndsWithTheConnectionThoughACallIsRunning(t *testing.T) {
	addr, _, ended := serve(t, Server{Token: "sesame"})
	c := dialed(t, addr, "sesame")
	ctx, cancel := context.WithCancel(t.Context())
	hung := make(chan error, 1)
	go func() { hung <- c.Call(ctx, "Echo.Hang", struct{}{}, &struct{}{}) }()
	cancel()
	if err := <-hung; !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled call: %v", err)
	}
	c.Close()
	if err := <-ended; err != nil {
		t.Errorf("Serve: %v", err)
	}
	<-c.Gone()
	if err := c.Call(t.Context(), "Echo.Say", "x", new(string)); !errors.Is(err, ErrGone) {
		t.Errorf("call after the end: %v, want ErrGone", err)
	}
}

func TestNobodyComes(t *testing.T) {
	_, _, ended := serve(t, Server{Token: "sesame", Patience: time.Millisecond})
	if err := <-ended; err == nil || !strings.Contains(err.Error(), "nobody came within 1ms") {
		t.Errorf("Serve: %v", err)
	}
	_, _, ended = serve(t, Server{})
	if err := <-ended; err == nil || !strings.Contains(err.Error(), TokenEnv) {
		t.Errorf("Serve without a token: %v", err)
	}
}

func TestDialTellsTheLastAnswer(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ln.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := Dial(ctx, ln.Addr().String(), "x"); !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "refused") {
		t.Errorf("Dial: %v", err)
	}
}

func TestReadLineTakesNoByteTooMany(t *testing.T) {
	for _, tc := range []struct{ in, line, rest string }{
		{"ok\n", "ok", ""},
		{"\nrest", "", "rest"},
		{"a b\nrpc bytes\n", "a b", "rpc bytes\n"},
	} {
		r := strings.NewReader(tc.in)
		line, err := readLine(r)
		rest, _ := io.ReadAll(r)
		if err != nil || line != tc.line || string(rest) != tc.rest {
			t.Errorf("readLine(%q) = %q, %v, leaving %q", tc.in, line, err, rest)
		}
	}
}

func FuzzReadLine(f *testing.F) {
	f.Add([]byte("ok\nrest"))
	f.Add([]byte(strings.Repeat("x", maxLine)))
	f.Fuzz(func(t *testing.T, in []byte) {
		r := bytes.NewReader(in)
		line, err := readLine(r)
		if err != nil {
			return
		}
		rest, _ := io.ReadAll(r)
		if again := append([]byte(line+"\n"), rest...); !bytes.Equal(again, in) {
			t.Errorf("line %q and rest %q do not make up %q", line, rest, in)
		}
	})
}
