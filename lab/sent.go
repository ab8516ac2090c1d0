package lab

import (
	"bytes"
	"slices"

	"hybridlab/lab/capture"
	"hybridlab/lab/wire"
)

// SentHello is the first ClientHello of the connection a verdict is about, as
// it left the client, for sending it once more.
type SentHello struct {
	Bytes []byte // record headers included
	Cuts  []int  // offsets at which another TCP segment began
}

// FirstHello finds it; ok is false where there is none, or not all of it.
func FirstHello(packets []capture.Packet) (h SentHello, ok bool) {
	var w Wire
	client := chosen(w.talks(packets, capture.ClientSide))
	if client == nil {
		return h, false
	}
	e := &client.ends[capture.ToServer]
	i := slices.IndexFunc(e.msgs, isClientHello)
	if i < 0 {
		return h, false
	}
	end := e.msgs[i].End
	h.Bytes = bytes.Clone(e.stream.Data[:end])
	for _, s := range e.stream.Carried(0, uint64(end)) {
		if at := int(s.Seq); at > 0 && !slices.Contains(h.Cuts, at) {
			h.Cuts = append(h.Cuts, at)
		}
	}
	slices.Sort(h.Cuts)
	return h, true
}

// HelloRandoms are the randoms of all ClientHellos in a capture, on either side
// of the path: a key log names a connection by them.
func HelloRandoms(packets []capture.Packet) map[[32]byte]bool {
	var w Wire
	out := map[[32]byte]bool{}
	for _, side := range []capture.Side{capture.ClientSide, capture.ServerSide} {
		for _, t := range w.talks(packets, side) {
			for _, m := range t.ends[capture.ToServer].allHellos() {
				if ch, _ := wire.ParseClientHello(m.Body); len(m.Body) >= 34 {
					out[ch.Random] = true
				}
			}
		}
	}
	return out
}
