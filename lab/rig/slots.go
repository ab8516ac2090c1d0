package rig

import (
	"fmt"
	"sync"

	"hybridlab/netem"
)

// slots hands out virtual address pairs in turn. An address is used again
// only after every other one, so nothing a kernel remembers about it (path
// MTU, TCP metrics, TIME-WAIT) reaches another cell of the run.
type slots struct {
	mu          sync.Mutex
	plain, wide turn // cells of Ethernet's MTU, and jumbo cells
	used        map[uint16]bool
}

// turn goes round a range of slots.
type turn struct{ first, last, next uint16 }

func newSlots() *slots {
	return &slots{
		plain: turn{netem.FirstSlot, netem.FirstJumbo - 1, netem.FirstSlot},
		wide:  turn{netem.FirstJumbo, netem.LastSlot, netem.FirstJumbo},
		used:  map[uint16]bool{},
	}
}

func (s *slots) take(jumbo bool) (uint16, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := &s.plain
	if jumbo {
		t = &s.wide
	}
	for range int(t.last) - int(t.first) + 1 {
		slot := t.next
		if t.next++; t.next > t.last {
			t.next = t.first
		}
		if !s.used[slot] {
			s.used[slot] = true
			return slot, nil
		}
	}
	return 0, fmt.Errorf("take an address for the cell: all of %d to %d are in use", t.first, t.last)
}

// takeSome takes several, and returns what gives them back.
func (s *slots) takeSome(n int, jumbo bool) (some []uint16, give func(), err error) {
	give = func() {
		for _, slot := range some {
			s.give(slot)
		}
	}
	for range n {
		slot, err := s.take(jumbo)
		if err != nil {
			give()
			return nil, nil, err
		}
		some = append(some, slot)
	}
	return some, give, nil
}

func (s *slots) give(slot uint16) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.used, slot)
}
