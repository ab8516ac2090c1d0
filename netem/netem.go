// Package netem is the path between the client and the server of a cell: one
// program through which every packet of the lab goes.
//
// # The address is the cell
//
// A cell is opened with a slot, which is a pair of virtual addresses: the
// client dials TargetAddr(slot), the server sees ApparentAddr(slot) as its
// client. The Engine finds the cell by the address alone, whatever feeds it
// packets (a TUN device, stacks in this process), so peers stay up across
// cells and any number of cells run at once over different networks.
//
//	client --> TargetAddr -->  [engine: receive, chain, translate]  --> server
//	                                                  sees ApparentAddr
//
// # What happens to a packet
//
// It is recorded, passes the stages of its direction one after the other (see
// stage.go: each is a few lines, and a link that does nothing has none), is
// translated, recorded again and handed over. A stage may drop it, which
// takes a reason; hold it until a time; or put others in its place. The books
// are kept by those who handle packets, not by those who decide about them,
// and Trace.Uncounted is what is left when they do not add up.
//
// # Why packets are dropped
//
// The reason stands in the record of the packet's arrival (capture.Packet.Drop):
//
//	loss, loss-burst, loss-nth   the link's losses: by chance, in a burst, by number
//	queue-full                   the queue before the link's rate was full
//	mtu-icmp-sent                larger than the MTU, and the sender was told
//	mtu-icmp-eaten               larger than the MTU, and nobody was told
//	fragment-dropped             an IP fragment, or to be made one, where none pass
//	box                          by a box, which the note names
//	cell-closed                  still on its way when the cell was closed
//	wrong-source                 sent to the cell by neither of its ends, nor by a middlebox of it
//	capture-full                 the cell has filled its share of memory; only the first is on record
//
// What belongs to no open cell is counted by Engine.Strays.
//
// # Real middleboxes
//
// A box of the path may be a program on a host of its own: a proxy between two
// legs of the path (outside.go), or a router that packets go through and come
// back from (routed.go). The cell stays one, with one clock and one trace.
//
// # Chance
//
// Nothing here draws from a random stream. Every decision is a keyed hash of
// what the packet is (see identity.go and fate.go): the same seed, cell and
// packet give the same fate whatever the slot, ports, initial sequence
// numbers, scheduling, and whatever else was sent in between.
//
// # Time
//
// A link without delay, jitter, rate or reordering forwards in the caller's
// goroutine. For the others one locked thread serves all cells (timer.go), and
// what it delivers late is reported as Trace.MaxLate: a cell whose engine was
// late makes no timing claim.
package netem
