package rig

import (
	"strings"
	"testing"
	"time"

	"hybridlab/lab"
)

func sampleInputs(t *testing.T) Inputs {
	t.Helper()
	links, err := NewLinks(nil, "")
	if err != nil {
		t.Fatal(err)
	}
	boxes, err := NewBoxes(nil, "")
	if err != nil {
		t.Fatal(err)
	}
	return Inputs{Tool: "0123456789ab", Fabric: Containers, Kernel: "Linux 6.12", Seed: 1, Attempts: 2, Repeat: 1, Links: links, Boxes: boxes, Peers: []lab.PeerInfo{
		{ID: "go@1.26", Version: "go1.26.3", Image: "sha256:aa"}, {ID: "openssl@trixie", Version: "OpenSSL 3.5.4", Image: "sha256:bb"}, {ID: "nginx@trixie", Version: "nginx/1.26", Image: "sha256:cc"},
		{ID: "lost@1", Version: "1", Image: "sha256:dd", Unavailable: "no image"},
	}}
}

// TestInputsOfRealMiddleboxes: another image is another input, and one that is
// not known has none.
func TestInputsOfRealMiddleboxes(t *testing.T) {
	c := mustCell(t, "go@1.26/openssl@trixie/x25519mlkem768/clean/proxysg-rst+haproxy-sni@trixie")
	in := sampleInputs(t)
	if got := in.Of(c, nil); got != "" {
		t.Errorf("without an image: %q", got)
	}
	seen := map[string]bool{}
	for _, b := range []lab.BoxInfo{{Version: "3.0", Image: "sha256:aa"}, {Version: "3.0", Image: "sha256:bb"}, {Version: "3.1", Image: "sha256:bb"}} {
		b.Name = "haproxy-sni@trixie"
		in.Real = []lab.BoxInfo{b}
		seen[in.Of(c, nil)] = true
	}
	if len(seen) != 3 || seen[""] {
		t.Errorf("%d fingerprints: %v", len(seen), seen)
	}
}

func mustCell(t *testing.T, id string) lab.Cell {
	t.Helper()
	c, err := lab.ParseCell(id)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestInputs: whatever a verdict is made from changes its fingerprint, and
// nothing else does.
func TestInputs(t *testing.T) {
	c := mustCell(t, "go@1.26/openssl@trixie/x25519mlkem768/mtu1280-icmp-eaten/proxysg-rst")
	controls := []lab.ControlTaken{{Kind: lab.ControlClean, Cell: "go@1.26/openssl@trixie/x25519mlkem768/clean/proxysg-rst", Outcome: lab.Failure}}
	want := sampleInputs(t).Of(c, controls)
	if len(want) != 64 || strings.Trim(want, "0123456789abcdef") != "" || sampleInputs(t).Of(c, controls) != want {
		t.Fatalf("fingerprint %q is no SHA-256, or another each time", want)
	}
	relink := func(in *Inputs, name string, delay time.Duration, about string) {
		l := in.Links[name]
		l.Up.Delay += delay
		l.About += about
		in.Links[name] = l
	}
	rebox := func(in *Inputs, name, do string) {
		for i, b := range in.Boxes.all {
			if b.Name == name {
				in.Boxes.all[i].Do = do
			}
		}
	}
	for _, tt := range []struct {
		what   string
		change func(*Inputs)
		same   bool
	}{
		{"nothing", func(*Inputs) {}, true},
		{"hybridlab", func(in *Inputs) { in.Tool = "fedcba987654" }, false},
		{"the fabric", func(in *Inputs) { in.Fabric = Embedded }, false},
		{"the kernel", func(in *Inputs) { in.Kernel = "Linux 6.13" }, false},
		{"the seed", func(in *Inputs) { in.Seed++ }, false},
		{"the attempts", func(in *Inputs) { in.Attempts++ }, false},
		{"the repeats", func(in *Inputs) { in.Repeat++ }, false},
		{"the client's image", func(in *Inputs) { in.Peers[0].Image = "sha256:ab" }, false},
		{"the server's version", func(in *Inputs) { in.Peers[1].Version = "OpenSSL 3.5.5" }, false},
		{"another peer's image", func(in *Inputs) { in.Peers[2].Image = "sha256:cd" }, true},
		{"the link", func(in *Inputs) { relink(in, "mtu1280-icmp-eaten", time.Microsecond, "") }, false},
		{"what is said of the link", func(in *Inputs) { relink(in, "mtu1280-icmp-eaten", 0, " More or less.") }, true},
		{"the control's link", func(in *Inputs) { relink(in, "clean", time.Microsecond, "") }, false},
		{"another link", func(in *Inputs) { relink(in, "mtu1280", time.Microsecond, "") }, true},
		{"the box", func(in *Inputs) { rebox(in, "proxysg-rst", "RST(server)") }, false},
		{"another box", func(in *Inputs) { rebox(in, "zscaler-2023", "RST(server)") }, true},
	} {
		in := sampleInputs(t)
		tt.change(&in)
		if got := in.Of(c, controls); (got == want) != tt.same {
			t.Errorf("%s changed, the fingerprint is the same: %t, want %t", tt.what, got == want, tt.same)
		}
	}
	fated := c
	fated.Fates = "another"
	for what, got := range map[string]string{
		"without controls":   sampleInputs(t).Of(c, nil),
		"other fates":        sampleInputs(t).Of(fated, controls),
		"another cell":       sampleInputs(t).Of(mustCell(t, "go@1.26/openssl@trixie/x25519/mtu1280-icmp-eaten/proxysg-rst"), controls),
		"another parameter":  sampleInputs(t).Of(mustCell(t, "go@1.26/openssl@trixie/x25519mlkem768/mtu1280-icmp-eaten{mtu=1300}/proxysg-rst"), controls),
		"another cert":       sampleInputs(t).Of(c.WithCert("rsa4096-chain"), controls),
		"peers changed over": sampleInputs(t).Of(mustCell(t, "openssl@trixie/go@1.26/x25519mlkem768/mtu1280-icmp-eaten/proxysg-rst"), controls),
	} {
		if got == want || got == "" {
			t.Errorf("%s: fingerprint %q", what, got)
		}
	}
}

// TestInputsWithoutAName: what has no name that changes with it is never
// reused.
func TestInputsWithoutAName(t *testing.T) {
	c := mustCell(t, "go@1.26/openssl@trixie/x25519/clean")
	control := func(id string) []lab.ControlTaken { return []lab.ControlTaken{{Cell: id}} }
	dirtyTool, unknown, imageless, embedded := sampleInputs(t), sampleInputs(t), sampleInputs(t), sampleInputs(t)
	dirtyTool.Tool, unknown.Tool = "0123456789ab-dirty", unknownTool
	imageless.Peers[0].Image = ""
	embedded.Peers[0].Image, embedded.Fabric = "", Embedded
	for what, got := range map[string]string{
		"changed files":              dirtyTool.Of(c, nil),
		"no commit":                  unknown.Of(c, nil),
		"a container without image":  imageless.Of(c, nil),
		"a peer that is not there":   sampleInputs(t).Of(mustCell(t, "go@1.26/curl@1/x25519/clean"), nil),
		"a peer that cannot be used": sampleInputs(t).Of(mustCell(t, "go@1.26/lost@1/x25519/clean"), nil),
		"a link that is not there":   sampleInputs(t).Of(mustCell(t, "go@1.26/go@1.26/x25519/nowhere"), nil),
		"a box that is not there":    sampleInputs(t).Of(mustCell(t, "go@1.26/go@1.26/x25519/clean/nobox"), nil),
		"a control that is no cell":  sampleInputs(t).Of(c, control("nonsense")),
		"a control of other peers":   sampleInputs(t).Of(c, control("curl@1/go@1.26/x25519/clean")),
	} {
		if got != "" {
			t.Errorf("%s: fingerprint %q", what, got)
		}
	}
	if embedded.Of(c, nil) == "" {
		t.Error("a peer in this process needs no image, and has no fingerprint without")
	}
}

// TestBuildTellsTheToolchain: the peers of the embedded fabric are this binary.
func TestBuildTellsTheToolchain(t *testing.T) {
	if b := madeOf(); !strings.Contains(b, "go1.") {
		t.Errorf("build %q", b)
	}
}
