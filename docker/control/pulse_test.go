package control

import (
	"errors"
	"net"
	"strings"
	"testing"
	"time"
)

// TestSilence: calls to a process that keeps its connection and says nothing
// end, and say why; calls to one that answers its pulse wait on.
func TestSilence(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	paused := make(chan net.Conn, 1)
	go func() {
		conn, err := Server{Token: "t"}.accept(ln)
		if err == nil {
			paused <- conn // greeted, and never read again
		}
	}()
	silent := dialed(t, ln.Addr().String(), "t")
	defer func() { (<-paused).Close() }()
	addr, _, _ := serve(t, Server{Token: "t"})
	answers := dialed(t, addr, "t")

	const every, most = time.Millisecond, 100 * time.Millisecond
	go silent.keepAsking(every, most)
	go answers.keepAsking(every, most)
	held := make(chan error, 1)
	go func() { held <- answers.Call(t.Context(), "Echo.Hang", struct{}{}, new(struct{})) }()
	err = silent.Call(t.Context(), "Echo.Hang", struct{}{}, new(struct{}))
	if !errors.Is(err, ErrGone) || !strings.Contains(err.Error(), "no answer for 100ms: is its container paused?") {
		t.Errorf("the silent one: %v", err)
	}
	select {
	case err := <-held:
		t.Errorf("the one that answers: %v", err)
	default:
	}
	<-silent.Gone()
}
