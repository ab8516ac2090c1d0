package peers

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"hybridlab/lab"
)

func TestParseOwn(t *testing.T) {
	id, ref, err := ParseOwn("openssl-oqs@x=registry.example:5000/my/image:tag@sha256:00")
	if err != nil || id != "openssl-oqs@x" || ref != "registry.example:5000/my/image:tag@sha256:00" {
		t.Errorf("%q, %q, %v", id, ref, err)
	}
	for _, bad := range []string{"", "vendor=image", "vendor@1", "vendor@1=", "@1=image", "vendor@=image", "a/b@1=image", "vendor@1/2=image", "vendor@..=image", "Vendor@1=image"} {
		if id, _, err := ParseOwn(bad); err == nil || !strings.Contains(err.Error(), "NAME@VERSION=IMAGE") {
			t.Errorf("%q: read as %q, %v", bad, id, err)
		}
	}
}

func vendor(change func(map[string]string)) Image {
	labels := map[string]string{
		labelRoles: "client, server", labelGroups: "X25519MLKEM768,x25519",
		labelDefault: "X25519MLKEM768,x25519", labelShares: "X25519MLKEM768",
	}
	change(labels)
	return Image{Ref: "vendor:1", Entry: []string{"/peer"}, Labels: labels}
}

func TestBringByContract(t *testing.T) {
	c := Table()
	p, err := c.Bring("vendor@1", vendor(func(map[string]string) {}))
	if err != nil {
		t.Fatal(err)
	}
	if p.Image != "vendor:1" || !p.Plays(lab.ClientRole) || !p.Plays(lab.ServerRole) || p.Exclusive() ||
		p.Rules.Default.String() != "*x25519mlkem768+~x25519" || p.Rules.Pick != lab.PickUnknown {
		t.Errorf("%+v", p)
	}
	for offer, why := range map[string]string{"default": "", "x25519mlkem768+x25519": "", "x448": "no group x448"} {
		if err := p.Supports(lab.ServerRole, lab.MustOffer(offer)); (why == "") != (err == nil) || why != "" && !isUnsupportedBecause(err, why) {
			t.Errorf("supports %s: %v", offer, err)
		}
	}
	if cmd := p.Version(); !slices.Equal(cmd.Argv, []string{"/peer"}) || cmd.Env[0] != "PEER_ROLE=version" {
		t.Errorf("version: %+v", cmd)
	}
	mine := c.With(p)
	if got, err := mine.Lookup("vendor@1"); err != nil || got.Image != "vendor:1" || len(mine) != len(c)+1 {
		t.Errorf("it is not in the catalogue: %v", err)
	}
	if _, err := c.Lookup("vendor@1"); err == nil || !strings.Contains(err.Error(), "--peer") {
		t.Errorf("it is in the catalogue of others: %v", err)
	}

	secret, err := c.Bring("vendor@2", vendor(func(l map[string]string) { delete(l, labelDefault); delete(l, labelShares) }))
	if err != nil {
		t.Fatal(err)
	}
	if err := secret.Supports(lab.ClientRole, lab.Offer{}); !isUnsupportedBecause(err, labelDefault) {
		t.Errorf("a default that is not known: %v", err)
	}
	for what, img := range map[string]Image{
		labelRoles:            vendor(func(l map[string]string) { delete(l, labelRoles) }),
		"want client":         vendor(func(l map[string]string) { l[labelRoles] = "client,judge" }),
		labelGroups:           vendor(func(l map[string]string) { delete(l, labelGroups) }),
		"X25519MLKEM769":      vendor(func(l map[string]string) { l[labelGroups] = "X25519MLKEM769" }),
		labelDefault:          vendor(func(l map[string]string) { l[labelDefault] = "P-9" }),
		"is not in":           vendor(func(l map[string]string) { l[labelShares] = "x448" }),
		"needs an ENTRYPOINT": {Ref: "empty:1"},
	} {
		if _, err := c.Bring("vendor@1", img); err == nil || !strings.Contains(err.Error(), what) || !strings.Contains(err.Error(), img.Ref) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// TestBringKnown: a name the table knows is configured as the table says.
func TestBringKnown(t *testing.T) {
	row := func(id lab.PeerID, nomatch string) Peer {
		return Peer{ID: id, Folder: "x", Suite: "y", Rules: lab.Rules{NoMatch: nomatch}}
	}
	c := Catalogue{row("a@bookworm", "1"), row("a@trixie", "2"), row("b@forky", "3"), row("b@sid", "4")}
	for id, like := range map[lab.PeerID]string{"a@mine": "2", "a@bookworm-mine": "1", "a@bookwormy": "2", "b@mine": "3", "b@sid-2": "4"} {
		p, err := c.Bring(id, Image{Ref: "img"})
		if err != nil || p.Rules.NoMatch != like || p.ID != id || p.Image != "img" || p.Folder != "" {
			t.Errorf("%s: %+v, %v; want the rules of row %s", id, p, err, like)
		}
	}
	if _, err := c.Bring("a@trixie", Image{Ref: "img"}); err == nil || !strings.Contains(err.Error(), "a@trixie-mine") {
		t.Errorf("an id that is taken: %v", err)
	}
	mine := c.With(Peer{ID: "b@a", Image: "img"})
	if p, err := mine.Bring("b@mine", Image{Ref: "img2"}); err != nil || p.Rules.NoMatch != "3" {
		t.Errorf("a peer like another that was brought: %+v, %v", p, err)
	}
}

func FuzzByContract(f *testing.F) {
	f.Add("client,server", "X25519MLKEM768,x25519", "X25519MLKEM768>x25519", "none")
	f.Add("server", "0x1234", "", "x")
	f.Fuzz(func(t *testing.T, roles, groups, def, shares string) {
		p, err := Table().Bring("vendor@1", Image{Ref: "i", Entry: []string{"/peer"}, Labels: map[string]string{labelRoles: roles, labelGroups: groups, labelDefault: def, labelShares: shares}})
		if err != nil {
			return
		}
		for _, role := range p.Roles {
			if err := p.Supports(role, lab.Offer{Listed: []lab.ListedGroup{{Group: p.Groups[0]}}}); err != nil && !errors.Is(err, ErrUnsupported) {
				t.Error(err)
			}
		}
	})
}
