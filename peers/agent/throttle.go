package agent

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"strconv"
	"time"
)

// cpuStats are where a container finds the account of its own CPU: cgroup v2
// has it in microseconds, v1 in nanoseconds.
var cpuStats = []struct {
	file, key string
	unit      time.Duration
}{
	{"/sys/fs/cgroup/cpu.stat", "throttled_usec", time.Microsecond},
	{"/sys/fs/cgroup/cpu/cpu.stat", "throttled_time", time.Nanosecond},
}

// Throttled is for how long, in all, the container's tasks were kept from
// running by its CPU limit; 0 where the kernel keeps no such account.
func (v *service) Throttled(_ none, d *time.Duration) error {
	for _, s := range cpuStats {
		if text, err := os.ReadFile(s.file); err == nil {
			*d, err = parseThrottled(text, s.key, s.unit)
			return err
		}
	}
	return nil
}

// parseThrottled finds a number in a file of lines "key number".
func parseThrottled(text []byte, key string, unit time.Duration) (time.Duration, error) {
	for line := range bytes.Lines(text) {
		k, value, _ := bytes.Cut(bytes.TrimSpace(line), []byte(" "))
		if string(k) != key {
			continue
		}
		n, err := strconv.ParseInt(string(value), 10, 64)
		if err != nil || n < 0 || n > int64(1<<62/unit) {
			return 0, fmt.Errorf("read the container's CPU account: %s is %q", key, value)
		}
		return time.Duration(n) * unit, nil
	}
	return 0, nil // no limit was ever set
}

// Throttled asks for how long, in all, the container's CPU limit has kept its
// tasks from running.
func (c *Client) Throttled(ctx context.Context) (time.Duration, error) {
	d := new(time.Duration)
	if err := c.c.Call(ctx, rpcName+".Throttled", none{}, d); err != nil {
		return 0, err
	}
	return *d, nil
}
