package lab

import "hybridlab/lab/wire"

// Capability is what one role of a peer can do.
type Capability struct {
	Declared []wire.Group `json:"declared"`         // by the peer's row
	Probed   []wire.Group `json:"probed,omitempty"` // seen on the wire
}
