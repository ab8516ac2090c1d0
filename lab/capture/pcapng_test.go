package capture_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"hybridlab/lab/capture"
	"hybridlab/lab/capture/capturetest"
)

var start = time.Date(2026, 3, 1, 12, 0, 0, 123456789, time.UTC)

// sample is a capture with a drop, a change and both at once.
func sample() []capture.Packet {
	p := capturetest.New(true)
	p.Open()
	p.Put(capturetest.Segment{Flags: capture.ACK, Payload: text(33), Drop: "loss-nth"})
	p.Put(capturetest.Segment{Flags: capture.ACK, Payload: text(34), Corrupt: 3})
	last := &p.Packets[len(p.Packets)-1]
	last.At, last.Note, last.Drop = 1234567891, "corrupted byte 3, \"quoted\" und grüß", "queue-full"
	p.Packets[0].ID = 0
	return p.Packets
}

func written(t testing.TB, meta capture.Meta, packets []capture.Packet, keylog []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := capture.WritePcapng(&b, meta, packets, keylog); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestPcapngRoundTrip(t *testing.T) {
	keylog := []byte("CLIENT_RANDOM 00 11\n")
	for _, meta := range []capture.Meta{{}, {Start: start, Comment: "cell go/go/x25519/clean"}, {Start: start, Comment: "two\nstart: lines"}} {
		for _, packets := range [][]capture.Packet{nil, sample()} {
			got, log, err := capture.ReadPcapng(bytes.NewReader(written(t, meta, packets, keylog)))
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(got, packets) {
				t.Errorf("%+v: packets\n%+v\nwant\n%+v", meta, got, packets)
			}
			if !bytes.Equal(log, keylog) {
				t.Errorf("key log %q, want %q", log, keylog)
			}
		}
	}
}

func TestPcapngSaysWhatItIs(t *testing.T) {
	file := string(written(t, capture.Meta{Start: start, Comment: "cell a/b/c"}, sample(), []byte("LOG")))
	for _, want := range []string{"cell a/b/c\nstart: 2026-03-01T12:00:00.123456789Z", "client side", "server side", "dropped: loss-nth", "corrupted byte 3", "LOG"} {
		if !strings.Contains(file, want) {
			t.Errorf("file does not contain %q", want)
		}
	}
	if strings.Index(file, "LOG") > strings.Index(file, "dropped") {
		t.Error("the key log must come before the packets it decrypts")
	}
}

// Words from outside (a box's note) are cut to what the format can hold.
func TestPcapngComments(t *testing.T) {
	p := sample()[:1]
	p[0].Note = strings.Repeat("ä", 100000) + "\xff"
	got, _, err := capture.ReadPcapng(bytes.NewReader(written(t, capture.Meta{}, p, nil)))
	if err != nil || len(got) != 1 || !strings.HasPrefix(p[0].Note, got[0].Note) || len(got[0].Note) != 1024 {
		t.Fatalf("%d packets, error %v", len(got), err)
	}
	p[0].Note = "a" + p[0].Note
	got, _, err = capture.ReadPcapng(bytes.NewReader(written(t, capture.Meta{}, p, nil)))
	if err != nil || !strings.HasPrefix(p[0].Note, got[0].Note) || len(got[0].Note) != 1023 {
		t.Errorf("a character cut in two: %d bytes, error %v", len(got[0].Note), err)
	}
}

func TestWritePcapngRefuses(t *testing.T) {
	for _, c := range []struct {
		name   string
		p      capture.Packet
		keylog []byte
		want   string
	}{
		{"no such side", capture.Packet{Side: 2}, nil, "packet 1: side 2"},
		{"no such direction", capture.Packet{Dir: 9}, nil, "direction 9"},
		{"giant packet", capture.Packet{Data: make([]byte, 1<<18)}, nil, "no IP packet is that long"},
		{"giant key log", capture.Packet{}, make([]byte, 1<<20), "key log of 1048576 bytes: want at most 524288"},
	} {
		err := capture.WritePcapng(io.Discard, capture.Meta{}, []capture.Packet{c.p}, c.keylog)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want %q", c.name, err, c.want)
		}
	}
	if err := capture.WritePcapng(full{}, capture.Meta{}, sample(), nil); !errors.Is(err, errFull) {
		t.Errorf("full disk: %v", err)
	}
}

var errFull = errors.New("disk full")

type full struct{}

func (full) Write([]byte) (int, error) { return 0, errFull }

// A file cut anywhere gives the packets before the cut, and the error says
// the file ended, except where it happens to end between two blocks.
func TestEveryPrefixOfAFile(t *testing.T) {
	packets, keylog := sample(), []byte("CLIENT_RANDOM 00 11\n")
	file := written(t, capture.Meta{Start: start}, packets, keylog)
	clean := 0
	for n := range file {
		got, _, err := capture.ReadPcapng(bytes.NewReader(file[:n]))
		if len(got) > 0 && !reflect.DeepEqual(got, packets[:len(got)]) {
			t.Fatalf("%d bytes: %d packets differ from those written", n, len(got))
		}
		if err == nil {
			clean++
		} else if !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Fatalf("%d bytes: %v", n, err)
		}
	}
	// Between blocks: after the first interface, the second, the key log, and
	// each packet but the last.
	if want := 3 + len(packets) - 1; clean != want {
		t.Errorf("%d prefixes read without an error, want %d", clean, want)
	}
}

// blocksOf cuts a file into its blocks.
func blocksOf(file []byte) [][]byte {
	var out [][]byte
	for len(file) > 0 {
		n := binary.LittleEndian.Uint32(file[4:])
		out, file = append(out, file[:n:n]), file[n:]
	}
	return out
}

func TestReadPcapngRefuses(t *testing.T) {
	whole := written(t, capture.Meta{Start: start}, sample()[:2], []byte("LOG!"))
	const section, client, server, secrets, packet = 0, 1, 2, 3, 4
	put := func(block, at int, v uint32) func([][]byte) [][]byte {
		return func(b [][]byte) [][]byte {
			binary.LittleEndian.PutUint32(b[block][at:], v)
			return b
		}
	}
	drop := func(block int) func([][]byte) [][]byte {
		return func(b [][]byte) [][]byte { return slices.Delete(b, block, block+1) }
	}
	again := func(block int) func([][]byte) [][]byte {
		return func(b [][]byte) [][]byte { return append(b, bytes.Clone(b[block])) }
	}
	for _, c := range []struct {
		name string
		edit func([][]byte) [][]byte
		want string
	}{
		{"text", func([][]byte) [][]byte { return [][]byte{[]byte("client hello, world")} }, "not a pcapng file"},
		{"empty", func([][]byte) [][]byte { return nil }, "block at offset 0: unexpected EOF"},
		{"gzip", func([][]byte) [][]byte { return [][]byte{{0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0, 0, 0}} }, "not a pcapng file"},
		{"classic pcap", put(section, 0, 0xa1b2c3d4), "not a pcapng file"},
		{"big-endian", put(section, 8, 0x4d3c2b1a), "big-endian"},
		{"byte order", put(section, 8, 7), "byte order mark 0x7"},
		{"version", put(section, 12, 2), "ersion"},
		{"second section", again(section), "a second section"},
		{"third interface", again(client), "a third interface"},
		{"no interface", func(b [][]byte) [][]byte { return b[:1] }, "no interface"},
		{"packet before interface", func(b [][]byte) [][]byte { return [][]byte{b[section], b[packet]} }, "interface before a packet"},
		{"unknown interface", put(packet, 8, 5), "Interface id 5 not present"},
		{"interface renamed", func(b [][]byte) [][]byte {
			return [][]byte{b[section], bytes.Replace(b[client], []byte("client side"), []byte("eth0 or lan"), 1), b[packet]}
		}, `interface "eth0 or lan": want "client side" or "server side"`},
		{"Ethernet", put(client, 8, 1), "link type Ethernet"},
		{"mixed link types", put(server, 8, 1), "Link type"},
		{"block of 4 GiB", put(packet, 4, 0xfffffffc), "length 4294967292"},
		{"block of nothing", put(packet, 4, 0), "length 0: want a multiple of 4"},
		{"odd block", put(packet, 4, 33), "length 33"},
		{"two lengths", put(packet, 4, 64), "length is 64 at its start and"},
		{"packet over its block", put(packet, 20, 0xffffffff), "4294967295 bytes of data in a block of"},
		{"secrets over their block", put(secrets, 12, 99), "99 bytes of data in a block of 24"},
		{"option over its block", put(packet, 28+64, 0x00ff_0002), "option 2 runs past"},
		{"no direction", put(packet, 28+64+4, 0), "without a direction"},
		{"end of options early", put(packet, 28+64, 0), "options go on"},
		{"resolution", put(client, 16+4+12+4, 0x7f), "resolution"},
	} {
		file := bytes.Join(c.edit(blocksOf(bytes.Clone(whole))), nil)
		_, _, err := capture.ReadPcapng(bytes.NewReader(file))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want %q", c.name, err, c.want)
		}
	}
	for name, edit := range map[string]func([][]byte) [][]byte{
		"untouched": func(b [][]byte) [][]byte { return b }, "no key log": drop(secrets), "key log twice": again(secrets),
		"other secrets": put(secrets, 8, 1), "other block": put(secrets, 0, 5),
	} {
		if got, _, err := capture.ReadPcapng(bytes.NewReader(bytes.Join(edit(blocksOf(bytes.Clone(whole))), nil))); err != nil || len(got) != 2 {
			t.Errorf("%s: %d packets, error %v", name, len(got), err)
		}
	}
}

// endless is a valid capture that never ends.
type endless struct{ head, block []byte }

func (e *endless) Read(p []byte) (int, error) {
	if len(e.head) == 0 {
		e.head = e.block
	}
	n := copy(p, e.head)
	e.head = e.head[n:]
	return n, nil
}

func TestReadPcapngIsBounded(t *testing.T) {
	big := sample()[:1]
	big[0].Data = make([]byte, 65000)
	file := written(t, capture.Meta{}, big, nil)
	b := blocksOf(file)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	got, _, err := capture.ReadPcapng(&endless{file, b[len(b)-1]})
	runtime.ReadMemStats(&after)
	if err == nil || !strings.Contains(err.Error(), "larger than 64 MiB") || len(got) == 0 {
		t.Errorf("%d packets, error %v", len(got), err)
	}
	if used := (after.TotalAlloc - before.TotalAlloc) >> 20; used > 80 {
		t.Errorf("allocated %d MiB", used)
	}
}

func FuzzReadPcapng(f *testing.F) {
	f.Add(written(f, capture.Meta{Start: start, Comment: "seed"}, sample(), []byte("CLIENT_RANDOM 00 11\n")))
	f.Add(written(f, capture.Meta{}, nil, nil))
	f.Fuzz(func(t *testing.T, file []byte) {
		packets, keylog, err := capture.ReadPcapng(bytes.NewReader(file))
		if err != nil && strings.Contains(err.Error(), "panic") {
			t.Fatal(err)
		}
		n := len(keylog)
		for _, p := range packets {
			n += len(p.Data)
		}
		if n > len(file) {
			t.Fatalf("%d bytes of packets and keys from a file of %d", n, len(file))
		}
	})
}

func BenchmarkWritePcapng(b *testing.B) {
	p, keylog := handshake(b, false)
	b.ReportAllocs()
	for b.Loop() {
		if err := capture.WritePcapng(io.Discard, capture.Meta{Start: start, Comment: "bench"}, p.Packets, keylog); err != nil {
			b.Fatal(err)
		}
	}
}
