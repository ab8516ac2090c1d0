package fidelity

import (
	"encoding/binary"
	"net/netip"
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

const (
	ipHeader  = 20
	udpHeader = 8
	stamps    = ipHeader + udpHeader // offset of stream, number and time
)

// packet is a UDP datagram of IPv4 (RFC 791, RFC 768) without UDP checksum.
// Its payload begins with the number of its stream and room for its own number
// and a time.
func packet(src, dst netip.Addr, size, lane int) []byte {
	b := make([]byte, size)
	b[0], b[6], b[8], b[9] = 0x45, 0x40, 64, unix.IPPROTO_UDP // version and length, don't fragment, TTL
	binary.BigEndian.PutUint16(b[2:], uint16(size))
	copy(b[12:], src.AsSlice())
	copy(b[16:], dst.AsSlice())
	var sum uint32
	for i := 0; i < ipHeader; i += 2 {
		sum += uint32(binary.BigEndian.Uint16(b[i:]))
	}
	sum = sum>>16 + sum&0xffff
	binary.BigEndian.PutUint16(b[10:], ^uint16(sum>>16+sum))
	binary.BigEndian.PutUint16(b[ipHeader:], 9000)
	binary.BigEndian.PutUint16(b[ipHeader+2:], 9000)
	binary.BigEndian.PutUint16(b[ipHeader+4:], uint16(size-ipHeader))
	binary.BigEndian.PutUint16(b[stamps:], uint16(lane))
	return b
}

// stamp writes into a packet which it is and when it is sent.
func stamp(pkt []byte, seq uint32, at time.Duration) {
	binary.BigEndian.PutUint32(pkt[stamps+2:], seq)
	binary.BigEndian.PutUint64(pkt[stamps+6:], uint64(at))
}

// stamped reads what arrived, and of which stream.
func stamped(pkt []byte, at time.Duration) (lane int, a arrival) {
	s := pkt[stamps:]
	return int(binary.BigEndian.Uint16(s)), arrival{binary.BigEndian.Uint32(s[2:]), time.Duration(binary.BigEndian.Uint64(s[6:])), at}
}

// pace calls send for every packet of every stream at its time, or at once
// when that is over, and returns how long it took.
func pace(c Case, send func(lane int, seq uint32) error) (time.Duration, error) {
	began := time.Now()
	for seq := range uint32(c.Packets) {
		if c.Gap > 0 {
			wait(time.Duration(seq)*c.Gap - time.Since(began))
		}
		for lane := range c.Lanes {
			if err := send(lane, seq); err != nil {
				return 0, err
			}
		}
	}
	return time.Since(began), nil
}

// wait sleeps on the kernel's timer, not on Go's, which is late by a
// millisecond.
func wait(d time.Duration) {
	if d > 0 {
		t := unix.NsecToTimespec(int64(d))
		_ = unix.Nanosleep(&t, nil) // a signal ends it early, and the next is in time again
	}
}

// allowed is how late either side may be with a packet, and with the share of
// them, Stats.Stalled, that is due while the machine is later.
const allowed = 5 * ms

// watch looks how late the machine is until the returned function is called,
// which says for what share of the time it was later than allowed.
func watch() func() float64 {
	const nap = ms
	stop, share := make(chan struct{}), make(chan float64)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		began, stalled := time.Now(), time.Duration(0)
		for {
			before := time.Now()
			wait(nap)
			now := time.Now()
			stalled += max(0, now.Sub(before)-nap-allowed)
			select {
			case <-stop:
				share <- float64(stalled) / float64(now.Sub(began))
				return
			default:
			}
		}
	}()
	return func() float64 {
		close(stop)
		return <-share
	}
}
