package docker

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
)

func prefixes(list ...string) (ps []netip.Prefix) {
	for _, s := range list {
		ps = append(ps, netip.MustParsePrefix(s))
	}
	return ps
}

func TestFreeSubnet(t *testing.T) {
	for _, tc := range []struct {
		name   string
		taken  []netip.Prefix
		random int
		want   string
	}{
		{"the random choice", nil, 5, "172.16.5.0/24"},
		{"the last of the pool", nil, 4095, "172.31.255.0/24"},
		{"the next one", prefixes("172.16.5.0/24", "172.16.6.128/25"), 5, "172.16.7.0/24"},
		{"round the end of the pool", prefixes("172.31.255.0/24"), 4095, "172.16.0.0/24"},
		{"the next pool", prefixes("172.16.0.0/12"), 0, "10.0.0.0/24"},
		{"the last pool", prefixes("172.0.0.0/8", "10.0.0.0/8"), 0, "192.168.0.0/24"},
		{"an address is taken with its network", prefixes("172.16.0.1/16"), 0, "172.17.0.0/24"},
		{"IPv6 and nonsense do not matter", append(prefixes("fd00::/8"), netip.Prefix{}), 0, "172.16.0.0/24"},
	} {
		got, err := freeSubnet(tc.taken, func(n int) int { return min(tc.random, n-1) })
		if err != nil || got != netip.MustParsePrefix(tc.want) {
			t.Errorf("%s: %v, %v; want %s", tc.name, got, err, tc.want)
		}
	}
	_, err := freeSubnet(prefixes("0.0.0.0/0"), func(int) int { return 0 })
	if err == nil || !strings.Contains(err.Error(), "docker network prune") {
		t.Errorf("nothing free: %v", err)
	}
}

func TestRandomULA(t *testing.T) {
	a, b := randomULA(), randomULA()
	if a == b || a.Bits() != 64 || a != a.Masked() || !netip.MustParsePrefix("fd00::/8").Overlaps(a) {
		t.Errorf("%v and %v", a, b)
	}
}

func TestReadRoutes(t *testing.T) {
	const table = `Iface	Destination	Gateway 	Flags	RefCnt	Use	Metric	Mask		MTU	Window	IRTT
eth0	00000000	0102A8C0	0003	0	0	0	00000000	0	0	0
eth0	0002A8C0	00000000	0001	0	0	0	00FFFFFF	0	0	0
tun0	0000000A	00000000	0001	0	0	0	000000FF	0	0	0
bad	zz	00000000	0001	0	0	0	000000FF	0	0	0
short	0000000A	00000000
`
	got := readRoutes(strings.NewReader(table))
	if want := prefixes("192.168.2.0/24", "10.0.0.0/8"); !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func FuzzReadRoutes(f *testing.F) {
	f.Add("h\neth0 0002A8C0 0 1 0 0 0 00FFFFFF\n")
	f.Fuzz(func(t *testing.T, table string) {
		for _, p := range readRoutes(strings.NewReader(table)) {
			if !p.IsValid() || p.Bits() == 0 {
				t.Errorf("%q: %v", table, p)
			}
		}
	})
}
