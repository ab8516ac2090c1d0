package lab

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"hybridlab/lab/capture"
	"hybridlab/lab/capture/capturetest"
	"hybridlab/lab/wire"
)

// line is what the pair says under a name, before and after.
func (p HelloPair) line(name string) [2]string {
	i := slices.IndexFunc(p.Lines, func(l HelloLine) bool { return l.Name == name })
	if i < 0 {
		return [2]string{}
	}
	return [2]string{p.Lines[i].Sent, p.Lines[i].Received}
}

func TestHelloPair(t *testing.T) {
	hybrid := offering(tls.X25519MLKEM768)
	flights := talked(t, hybrid, hybrid)
	n := len(flights[0].Data)

	same := NewLadder(played(false, flights).Packets).Hellos
	if len(same) != 1 || !same[0].Same || !same[0].Arrived {
		t.Fatalf("unchanged: %+v", same)
	}
	for name, want := range map[string]string{
		"size": fmt.Sprintf("%d bytes", n), "TCP segments": fmt.Sprintf("1400 + %d bytes", n-1400), "TLS records": fmt.Sprintf("%d bytes", n),
		"server_name": "hybridlab.test", "supported_groups": "X25519MLKEM768", "key_share": "X25519MLKEM768 (1216 bytes)",
		"supported_versions": "TLS 1.3, TLS 1.2", "legacy_version": "TLS 1.2",
	} {
		if got := same[0].line(name); got != [2]string{want, want} {
			t.Errorf("%s: %q, want %q twice", name, got, want)
		}
	}

	p := opened(false)
	for _, s := range p.Cut(capture.ToServer, flights[0].Data, 1000) {
		s.Drop = "box"
		p.Put(s)
		s.Payload = bytes.ReplaceAll(s.Payload, []byte{0x11, 0xec}, []byte{0x11, 0xeb})
		p.Packets = append(p.Packets, capture.Packet{At: p.Now, Side: capture.ServerSide, Data: p.Packet(capture.ServerSide, s)})
	}
	changed := NewLadder(p.Packets).Hellos
	if len(changed) != 1 || changed[0].Same || changed[0].line("supported_groups") != [2]string{"X25519MLKEM768", "SecP256r1MLKEM768"} {
		t.Errorf("changed: %+v", changed)
	}

	p = opened(false)
	for i, s := range p.Cut(capture.ToServer, flights[0].Data, 1000) {
		s.Drop = map[int]string{1: "loss"}[i]
		p.Put(s)
	}
	half := NewLadder(p.Packets).Hellos
	if len(half) != 1 || half[0].Same || half[0].line("size") != [2]string{fmt.Sprintf("%d bytes", n), "1000 bytes, cut off"} {
		t.Errorf("half arrived: %+v", half)
	}

	p = opened(false)
	for _, s := range p.Cut(capture.ToServer, flights[0].Data, 1000) {
		s.Drop = "loss"
		p.Put(s)
	}
	if lost := NewLadder(p.Packets).Hellos; len(lost) != 1 || lost[0].Arrived || lost[0].line("size")[1] != "" {
		t.Errorf("lost: %+v", lost)
	}
}

// Whatever the hello says, its lines are few and short.
func TestHelloPairIsBounded(t *testing.T) {
	h := wire.ClientHello{Version: 0x0303, Compression: []byte{0}, ServerName: strings.Repeat("s", 3000)}
	h.Extensions = []wire.Extension{{Type: wire.ExtServerName}}
	for i := range uint16(500) {
		h.Extensions = append(h.Extensions, wire.Extension{Type: 1000 + i, Data: []byte{1}})
	}
	p := capturetest.New(false)
	p.Open()
	p.Send(capture.ToServer, wire.AppendRecord(nil, wire.RecordHandshake, 0x0301, wire.MarshalMessage(wire.HandshakeClientHello, h.Marshal())))
	pairs := NewLadder(p.Packets).Hellos
	if len(pairs) != 1 || len(pairs[0].Lines) != mostHelloLines {
		t.Fatalf("%d pairs, %+v", len(pairs), pairs)
	}
	for _, l := range pairs[0].Lines {
		if len(l.Sent) > mostHelloText {
			t.Errorf("%s has %d characters", l.Name, len(l.Sent))
		}
	}
	if got := pairs[0].line("extensions")[0]; !strings.HasSuffix(got, "extension 1038, and 461 more") {
		t.Errorf("extensions: %q", got)
	}
}

func TestRunDirLadder(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, CapturesDir), 0o755); err != nil {
		t.Fatal(err)
	}
	p := played(false, talked(t, offering(tls.X25519), offering(tls.X25519)))
	var b bytes.Buffer
	if err := capture.WritePcapng(&b, capture.Meta{}, p.Packets, nil); err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string][]byte{"a0-1": b.Bytes(), "a0-2": b.Bytes()[:b.Len()-100], "a0-3": []byte("no capture")} {
		if err := os.WriteFile(filepath.Join(dir, CapturesDir, name+".pcapng"), data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	d := &RunDir{Dir: dir}
	whole := NewLadder(p.Packets)
	if l, err := d.Ladder("captures/a0-1.pcapng"); err != nil || !slices.Equal(told(l), told(whole)) || len(l.Hellos) != 1 {
		t.Errorf("%v: %q", err, told(l))
	}
	if l, err := d.Ladder("captures/a0-2.pcapng"); err == nil || len(l.Rungs) == 0 || len(l.Rungs) > len(whole.Rungs) {
		t.Errorf("cut off: error %v, %d rungs of %d", err, len(l.Rungs), len(whole.Rungs))
	}
	for _, name := range []string{"captures/a0-3.pcapng", "captures/a0-4.pcapng", "", "captures/../captures/a0-1.pcapng", "/etc/passwd", "captures/A.pcapng"} {
		if l, err := d.Ladder(name); err == nil || len(l.Rungs) > 0 {
			t.Errorf("%q: %d rungs and no error", name, len(l.Rungs))
		}
	}
}
