package agent

import (
	"testing"
	"time"
)

func TestParseThrottled(t *testing.T) {
	for _, tt := range []struct {
		text, key string
		unit      time.Duration
		want      time.Duration
		bad       bool
	}{
		{"usage_usec 5\nnr_throttled 2\nthrottled_usec 1500\n", "throttled_usec", time.Microsecond, 1500 * time.Microsecond, false},
		{"nr_periods 1\nnr_throttled 0\nthrottled_time 7", "throttled_time", time.Nanosecond, 7, false},
		{"usage_usec 5\n", "throttled_usec", time.Microsecond, 0, false},
		{"", "throttled_usec", time.Microsecond, 0, false},
		{"throttled_usec x", "throttled_usec", time.Microsecond, 0, true},
		{"throttled_usec -1", "throttled_usec", time.Microsecond, 0, true},
		{"throttled_usec 9223372036854775807", "throttled_usec", time.Microsecond, 0, true},
	} {
		got, err := parseThrottled([]byte(tt.text), tt.key, tt.unit)
		if got != tt.want || (err != nil) != tt.bad {
			t.Errorf("%q: %v, %v; want %v", tt.text, got, err, tt.want)
		}
	}
}

func FuzzParseThrottled(f *testing.F) {
	f.Add([]byte("throttled_usec 15\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		if d, err := parseThrottled(text, "throttled_usec", time.Microsecond); d < 0 || err != nil && d != 0 {
			t.Errorf("%q: %v, %v", text, d, err)
		}
	})
}

// TestThrottled: the agent answers on this machine too, whatever it keeps.
func TestThrottled(t *testing.T) {
	c, _ := start(t)
	if d, err := c.Throttled(t.Context()); err != nil || d < 0 {
		t.Errorf("%v, %v", d, err)
	}
}
