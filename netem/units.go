package netem

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// String is the chance in percent: "0.5%".
func (p Chance) String() string {
	return strconv.FormatFloat(math.Round(float64(p)*1e12)/1e10, 'f', -1, 64) + "%"
}

// MarshalText is the form UnmarshalText reads.
func (p Chance) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// UnmarshalText reads percent. The sign is required: "1" could mean 1% and
// could mean always.
func (p *Chance) UnmarshalText(text []byte) error {
	s, ok := strings.CutSuffix(string(text), "%")
	v, err := strconv.ParseFloat(s, 64)
	if !ok || err != nil {
		return fmt.Errorf("%q is not a percentage such as 1%% or 0.5%%", text)
	}
	if !(v >= 0 && v <= 100) {
		return fmt.Errorf("%q is outside 0%% to 100%%", text)
	}
	*p = Chance(v / 100)
	return nil
}

// bitUnits from the largest; one unit must divide what String prints.
var bitUnits = []struct {
	name string
	bits Bitrate
}{{"gbit", 1e9}, {"mbit", 1e6}, {"kbit", 1e3}, {"bit", 1}}

// String is the rate in the largest unit that gives a whole number: "256kbit".
func (r Bitrate) String() string {
	for _, u := range bitUnits {
		if r != 0 && r%u.bits == 0 {
			return fmt.Sprintf("%d%s", r/u.bits, u.name)
		}
	}
	return "0bit"
}

// MarshalText is the form UnmarshalText reads.
func (r Bitrate) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// UnmarshalText reads bits per second with a unit: 256kbit, 1.5mbit, 1gbit.
func (r *Bitrate) UnmarshalText(text []byte) error {
	if string(text) == "0bit" {
		*r = 0
		return nil
	}
	for _, u := range bitUnits {
		s, ok := strings.CutSuffix(string(text), u.name)
		if !ok {
			continue
		}
		v, err := strconv.ParseFloat(s, 64)
		if err != nil || !(v > 0 && v*float64(u.bits) <= 1e12) {
			break
		}
		*r = Bitrate(math.Round(v * float64(u.bits)))
		return nil
	}
	return fmt.Errorf("%q is not a rate in bits per second such as 256kbit, 10mbit or 1gbit", text)
}
