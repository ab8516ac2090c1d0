package rig

import (
	"errors"
	"sync"

	"hybridlab/netem"
)

// slots hands out virtual address pairs in turn. An address is used again
// only after every other one, so nothing a kernel remembers about it (path
// MTU, TCP metrics, TIME-WAIT) reaches another cell of the run.
type slots struct {
	mu   sync.Mutex
	next uint16
	used map[uint16]bool
}

func newSlots() *slots { return &slots{next: netem.FirstSlot, used: map[uint16]bool{}} }

func (s *slots) take() (uint16, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for range int(netem.LastSlot) - int(netem.FirstSlot) + 1 {
		slot := s.next
		if s.next++; s.next > netem.LastSlot {
			s.next = netem.FirstSlot
		}
		if !s.used[slot] {
			s.used[slot] = true
			return slot, nil
		}
	}
	return 0, errors.New("take an address for the cell: all 65,534 are in use")
}

func (s *slots) give(slot uint16) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.used, slot)
}
