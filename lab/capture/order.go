package capture

import (
	"encoding/binary"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"github.com/google/gopacket/reassembly"
)

const (
	maxPages  = 1 << 13 // pages of 1.9 kB that wait for a gap to be filled, all streams together: 16 MiB
	maxStream = 1 << 31 // bytes of one stream that are ordered
)

// orderer puts the payloads of streams in order.
//
// gopacket's reassembly does the work, on terms that keep its edges out of
// the evidence. Every stream is a connection of its own whose numbers start at
// 0, because its arithmetic is off by one where 32 bits wrap. It gets no FIN
// and no RST, because it stops listening at either, and a forged RST does not
// stop the client. It never learns the time, so it gives up on a gap only at
// the end.
type orderer struct {
	asm  *reassembly.Assembler
	tcp  layers.TCP
	made uint64 // streams so far
	next *half  // the half whose sink New is to make
}

func newOrderer() *orderer {
	o := &orderer{}
	o.asm = reassembly.NewAssembler(reassembly.NewStreamPool(o))
	o.asm.MaxBufferedPagesTotal = maxPages
	return o
}

// sink receives the ordered bytes of one half. gopacket keeps pointers to its
// streams in free lists, so a sink lets go of its half when it is done.
type sink struct {
	half *half
	id   gopacket.Flow
	gap  bool
}

var (
	_ reassembly.StreamFactory    = (*orderer)(nil)
	_ reassembly.AssemblerContext = (*orderer)(nil)
	_ reassembly.Stream           = (*sink)(nil)
)

// add takes payload, which belongs at byte offset at of h.
func (o *orderer) add(h *half, at int64, payload []byte) {
	if at+int64(len(payload)) > maxStream {
		return
	}
	if h.sink == nil {
		o.made++
		var id [8]byte
		binary.BigEndian.PutUint64(id[:], o.made)
		h.sink = &sink{half: h, id: gopacket.NewFlow(gopacket.EndpointInvalid, id[:], nil)}
		o.assemble(h, layers.TCP{SYN: true})
	}
	o.assemble(h, layers.TCP{Seq: uint32(at) + 1, BaseLayer: layers.BaseLayer{Payload: payload}})
}

func (o *orderer) assemble(h *half, t layers.TCP) {
	o.next, o.tcp = h, t
	o.asm.AssembleWithContext(h.sink.id, &o.tcp, o)
}

// flush hands out what still waits behind gaps and forgets all streams.
func (o *orderer) flush() {
	o.asm.FlushAll()
	o.next, o.tcp = nil, layers.TCP{}
}

func (o *orderer) GetCaptureInfo() (ci gopacket.CaptureInfo) { return ci }

func (o *orderer) New(_, _ gopacket.Flow, _ *layers.TCP, _ reassembly.AssemblerContext) reassembly.Stream {
	return o.next.sink
}

func (s *sink) Accept(*layers.TCP, gopacket.CaptureInfo, reassembly.TCPFlowDirection, reassembly.Sequence, *bool, reassembly.AssemblerContext) bool {
	return true
}

func (s *sink) ReassembledSG(sg reassembly.ScatterGather, _ reassembly.AssemblerContext) {
	_, _, _, skipped := sg.Info()
	s.gap = s.gap || skipped > 0
	if n, _ := sg.Lengths(); n > 0 && !s.gap {
		s.half.Data = append(s.half.Data, sg.Fetch(n)...)
	}
}

func (s *sink) ReassemblyComplete(reassembly.AssemblerContext) bool {
	s.half = nil
	return true
}
