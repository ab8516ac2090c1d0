package netem

import (
	"fmt"
	"regexp"
	"time"
)

// fieldError is a value that makes no sense, and where: "up.mtu".
type fieldError struct{ field, problem string }

func (e *fieldError) Error() string { return e.field + ": " + e.problem }

func wrong(field, format string, args ...any) error {
	return &fieldError{field, fmt.Sprintf(format, args...)}
}

// linkName is what can stand in a cell id, in a file name and in a list by
// commas.
var linkName = regexp.MustCompile(`^[a-z0-9]([a-z0-9.-]{0,62}[a-z0-9])?$`)

// Limits that keep a typo from looking like a dead network.
const (
	maxDelay = 30 * time.Second
	maxQueue = 100_000
	minMTU4  = 68    // RFC 791: every router forwards that much
	minMTU6  = 1280  // RFC 8200 section 5
	maxMTU   = 65535 //
	minMSS   = 88    // below it Linux goes by its own idea (tcp_min_snd_mss is 48, and 40 bytes of options)
)

// Validate says what is wrong with a link, naming the field.
func (l Link) Validate() error {
	switch {
	case !linkName.MatchString(l.Name):
		return wrong("name", "%q must be 1 to 64 lower-case letters, digits, dots and dashes", l.Name)
	case l.Family != "" && l.Family != IPv4 && l.Family != IPv6:
		return wrong("family", "%q is neither %q nor %q", l.Family, IPv4, IPv6)
	}
	for _, d := range []struct {
		name  string
		shape *Shape
	}{{"up", &l.Up}, {"down", &l.Down}} {
		if err := d.shape.validate(d.name+".", l.V6()); err != nil {
			return err
		}
	}
	return nil
}

// family is the family with its default.
func (l Link) family() Family {
	if l.V6() {
		return IPv6
	}
	return IPv4
}

func (s *Shape) validate(at string, v6 bool) error {
	for _, check := range []func(string) error{s.validateTime, s.validateChances, s.validateRate, s.Loss.validate, s.Corrupt.validate} {
		if err := check(at); err != nil {
			return err
		}
	}
	return s.validateMTU(at, v6)
}

func (s *Shape) validateTime(at string) error {
	for _, d := range []struct {
		name  string
		value time.Duration
	}{{"delay", s.Delay}, {"jitter", s.Jitter}, {"reorder.by", s.Reorder.By}} {
		if d.value < 0 || d.value > maxDelay {
			return wrong(at+d.name, "%s is outside 0s to %s", d.value, maxDelay)
		}
	}
	if s.Reorder.By > 0 && s.Reorder.Rate == 0 {
		return wrong(at+"reorder.by", "needs reorder.rate")
	}
	return nil
}

func (s *Shape) validateChances(at string) error {
	b := &s.Loss.Burst
	for _, p := range []struct {
		name  string
		value Chance
	}{
		{"loss.rate", s.Loss.Rate}, {"loss.burst.enter", b.Enter}, {"loss.burst.leave", b.Leave},
		{"loss.burst.bad", b.Bad}, {"loss.burst.good", b.Good}, {"duplicate", s.Duplicate},
		{"reorder.rate", s.Reorder.Rate}, {"corrupt.rate", s.Corrupt.Rate},
	} {
		if !(p.value >= 0 && p.value <= 1) { // and not NaN
			return wrong(at+p.name, "%s is outside 0%% to 100%%", p.value)
		}
	}
	return nil
}

func (s *Shape) validateRate(at string) error {
	switch {
	case s.Rate < 0 || (s.Rate > 0 && s.Rate < 1000):
		return wrong(at+"rate", "%s is below 1kbit", s.Rate)
	case s.Queue < 0 || s.Queue > maxQueue:
		return wrong(at+"queue", "%d is outside 1 to %d packets", s.Queue, maxQueue)
	case s.Queue > 0 && s.Rate == 0:
		return wrong(at+"queue", "needs a rate: an unlimited link has no queue")
	}
	return nil
}

func (l *Loss) validate(at string) error {
	b := &l.Burst
	switch {
	case b.Enter > 0 && b.Leave == 0:
		return wrong(at+"loss.burst.leave", "must be given: the bad state would last for ever")
	case b.Enter == 0 && (b.Leave > 0 || b.Bad > 0):
		return wrong(at+"loss.burst.enter", "must be given: the bad state would never be entered")
	}
	return numbers(at+"loss.", l.Nth, l.NthData)
}

func (k *Corrupt) on() bool { return k.Rate > 0 || len(k.Nth)+len(k.NthData) > 0 }

func (k *Corrupt) validate(at string) error {
	switch k.Checksum {
	case "", WrongChecksum, FixedChecksum:
	default:
		return wrong(at+"corrupt.checksum", "%q is neither %q nor %q", k.Checksum, WrongChecksum, FixedChecksum)
	}
	if k.Checksum != "" && !k.on() {
		return wrong(at+"corrupt.checksum", "needs corrupt.rate, corrupt.nth or corrupt.nth_data")
	}
	return numbers(at+"corrupt.", k.Nth, k.NthData)
}

func numbers(at string, nth, nthData []int) error {
	for _, n := range nth {
		if n < 1 {
			return wrong(at+"nth", "%d: packets are counted from 1", n)
		}
	}
	for _, n := range nthData {
		if n < 1 {
			return wrong(at+"nth_data", "%d: segments are counted from 1", n)
		}
	}
	return nil
}

func (s *Shape) validateMTU(at string, v6 bool) error {
	least := minMTU4
	if v6 {
		least = minMTU6
	}
	switch s.TooBig {
	case "", SendICMP, EatICMP, Fragment:
	default:
		return wrong(at+"too_big", "%q is none of %q, %q, %q", s.TooBig, SendICMP, EatICMP, Fragment)
	}
	switch s.Fragments {
	case "", PassFragments, DropFragments:
	default:
		return wrong(at+"fragments", "%q is neither %q nor %q", s.Fragments, PassFragments, DropFragments)
	}
	switch {
	case s.MSS != 0 && (s.MSS < minMSS || s.MSS > maxMTU):
		return wrong(at+"mss", "%d is outside %d to %d bytes", s.MSS, minMSS, maxMTU)
	case s.MTU != 0 && (s.MTU < least || s.MTU > maxMTU):
		return wrong(at+"mtu", "%d is outside %d to %d bytes", s.MTU, least, maxMTU)
	case s.MTU == 0 && s.TooBig != "":
		return wrong(at+"too_big", "needs an mtu")
	case s.MTU == 0 && s.ClampMSS:
		return wrong(at+"clamp_mss", "needs an mtu")
	}
	return nil
}
