package scenarios

import (
	"slices"
	"strings"
	"testing"

	"hybridlab/lab"
)

func TestParseContender(t *testing.T) {
	for _, tt := range []struct{ text, id, own, groups string }{
		{"nginx@trixie", "nginx@trixie", "", ""},
		{"nginx@mine=my/nginx:1.30", "nginx@mine", "nginx@mine=my/nginx:1.30", ""},
		{"openssl@trixie/x25519mlkem768>x25519", "openssl@trixie", "", "x25519mlkem768>x25519"},
		{"nginx@mine/x25519=localhost:5000/nginx", "nginx@mine", "nginx@mine=localhost:5000/nginx", "x25519"},
		{"crafted{pad=1449,cut=100}/x25519", "crafted{pad=1449,cut=100}", "", "x25519"},
		{"openssl@trixie/default", "openssl@trixie", "", "default"},
		{"nginx@trixie:etc/my nginx.conf", "nginx@trixie-my-nginx.conf", "nginx@trixie-my-nginx.conf=nginx@trixie:etc/my nginx.conf", "default"},
		{"nginx@new=nginx@trixie:a/b=c.conf", "nginx@new", "nginx@new=nginx@trixie:a/b=c.conf", "default"},
	} {
		c, err := ParseContender(tt.text)
		groups := ""
		if c.Groups != nil {
			groups = c.Groups.String()
		}
		if err != nil || c.Name != tt.text || string(c.ID) != tt.id || strings.Join(c.Own, " ") != tt.own || groups != tt.groups {
			t.Errorf("%s: %+v, %q, %v", tt.text, c, groups, err)
		}
	}
	for _, bad := range []string{"", "=image", "nginx@mine=", "nginx@trixie/kyber", "/x25519", "nginx@trixie/"} {
		if c, err := ParseContender(bad); err == nil || !strings.Contains(err.Error(), "\"") {
			t.Errorf("%q: %+v, %v", bad, c, err)
		}
	}
}

func swap(t *testing.T, a Axes, before, after string, only lab.Role) *Swap {
	t.Helper()
	b, err := ParseContender(before)
	if err != nil {
		t.Fatal(err)
	}
	c, err := ParseContender(after)
	if err != nil {
		t.Fatal(err)
	}
	s, err := a.Swap(t.Context(), b, c, only)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestSwap: each cell of a contender has one partner, which differs in the
// contender alone, and chance treats both alike.
func TestSwap(t *testing.T) {
	axes := Axes{Fabric: "embedded", Level: "smoke", Links: []string{"clean", "loss5"}}
	for _, tt := range []struct {
		before, after string
		role          lab.Role
	}{
		{"go@1.26", "go@1.26", ""},
		{"go@1.26", "crafted", ""},
		{"go@1.26", "crafted", lab.ClientRole},
		{"go@1.26", "go@1.26/x25519", lab.ServerRole},
		{"go@1.26/x25519mlkem768+x25519", "go@1.26/x25519", ""},
	} {
		s := swap(t, axes, tt.before, tt.after, tt.role)
		partners := map[string][]lab.Cell{}
		for _, stand := range []Stand{s.Before, s.After} {
			seen := map[string]bool{}
			for _, c := range stand.Plan.Cells {
				key, rank := stand.Key(c.ID)
				if key != c.Fates || rank != 0 || seen[key] {
					t.Errorf("%s: key %q, fates %q, rank %d, seen %t", c.ID, key, c.Fates, rank, seen[key])
				}
				seen[key] = true
				partners[key] = append(partners[key], c)
				if c.Client != stand.ID && c.Server != stand.ID {
					t.Errorf("%s: %s is not in it", c.ID, stand.ID)
				}
			}
		}
		both := 0
		for key, cells := range partners {
			if !strings.Contains(key, "*") {
				t.Errorf("key %q has no place for the contender", key)
			}
			if len(cells) == 2 {
				both++
				if a, b := cells[0], cells[1]; a.Link != b.Link || (a.Client != b.Client) == (a.Server != b.Server) && tt.before[:3] != tt.after[:3] {
					t.Errorf("%s and %s are compared", a.ID, b.ID)
				}
			}
		}
		if both < 10 || both*3 < len(partners) {
			t.Errorf("%+v: %d of %d cells have a partner", tt, both, len(partners))
		}
		if pairs := s.pairs(); len(pairs) != len(partners) || !pairs[1].afterFirst || pairs[0].afterFirst {
			t.Errorf("%d pairs of %d cells", len(pairs), len(partners))
		}
	}
}

// TestSwapRoles: only roles that both have, and an error that says what is
// missing where there is none.
func TestSwapRoles(t *testing.T) {
	axes := Axes{Fabric: "embedded", Level: "smoke"}
	profile := swap(t, axes, "crafted", "crafted@grease", "")
	if slices.ContainsFunc(profile.Before.Plan.Cells, func(c lab.Cell) bool { return c.Client != "crafted" }) {
		t.Error("crafted@grease is a client only, and crafted is tried as a server against it")
	}
	for _, tt := range []struct {
		before, after, want string
		role                lab.Role
		axes                Axes
	}{
		{"crafted", "crafted@grease", "crafted@grease as server", lab.ServerRole, axes},
		{"crafted@hrr", "crafted@grease", "no role is left", "", axes},
		{"go@1.26", "openssl@trixie", "containers only", "", axes},
		{"nginx@nowhere", "go@1.26", "nginx@nowhere", "", axes},
		{"go@1.26", "go@1.26/mlkem1024", "nothing is left to run", lab.ServerRole, axes},
		{"go@1.26", "crafted", "shards", "", Axes{Fabric: "embedded", Level: "smoke", Shard: "1/2"}},
	} {
		b, _ := ParseContender(tt.before)
		c, _ := ParseContender(tt.after)
		if _, err := tt.axes.Swap(t.Context(), b, c, tt.role); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s, %s: %v, want %q in it", tt.before, tt.after, err, tt.want)
		}
	}
}
