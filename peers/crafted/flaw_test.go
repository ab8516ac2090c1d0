package crafted

import (
	"bytes"
	"errors"
	"net"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"hybridlab/lab/wire"
)

// TestFlaws looks at what each flaw makes of a sound share, and holds it
// against our own server's checks: the sound share beside it is accepted.
func TestFlaws(t *testing.T) {
	const x, p, q = wire.X25519MLKEM768, wire.SecP256r1MLKEM768, wire.SecP384r1MLKEM1024
	for _, r := range []struct {
		flaw  Flaw
		group wire.Group
		size  int // of the flawed share
		sign  func(sound, flawed []byte) bool
	}{
		{FlawTruncated, x, 1215, func(s, f []byte) bool { return bytes.HasPrefix(s, f) }},
		{FlawTruncated, q, 1664, func(s, f []byte) bool { return bytes.HasPrefix(s, f) }},
		{FlawPadded, x, 1217, func(s, f []byte) bool { return bytes.HasPrefix(f, s) }},
		{FlawEmpty, p, 0, func(_, f []byte) bool { return len(f) == 0 }},
		{FlawNonCanonical, x, 1216, func(s, f []byte) bool { return f[0] == 0xff && f[1]&15 == 15 && bytes.Equal(s[2:], f[2:]) }},
		{FlawNonCanonical, p, 1249, func(s, f []byte) bool { return f[65] == 0xff && f[66]&15 == 15 && bytes.Equal(s[67:], f[67:]) }},
		{FlawSwapped, x, 1216, func(s, f []byte) bool { return bytes.Equal(s[:1184], f[32:]) && bytes.Equal(s[1184:], f[:32]) }},
		{FlawSwapped, p, 1249, func(s, f []byte) bool { return bytes.Equal(s[:65], f[1184:]) }},
		{FlawZeroX25519, x, 1216, func(s, f []byte) bool {
			return bytes.Equal(s[:1184], f[:1184]) && !bytes.ContainsFunc(f[1184:], notZero)
		}},
		{FlawPointHybrid, p, 1249, func(s, f []byte) bool { return f[0] == 6|s[64]&1 && bytes.Equal(s[1:], f[1:]) }},
		{FlawPointHybrid, q, 1665, func(s, f []byte) bool { return f[0] == 6|s[96]&1 }},
		{FlawTruncated, wire.X25519, 31, func(s, f []byte) bool { return bytes.HasPrefix(s, f) }},
		{FlawZeroX25519, wire.X25519, 32, func(_, f []byte) bool { return !bytes.ContainsFunc(f, notZero) }},
		{FlawPointHybrid, wire.SecP256r1, 65, func(s, f []byte) bool { return f[0] == 6|s[64]&1 && bytes.Equal(s[1:], f[1:]) }},
		{FlawPointShort, wire.SecP384r1, 49, func(s, f []byte) bool { return bytes.Equal(s[1:49], f[1:]) }},
		{FlawPointShort, p, 1217, func(s, f []byte) bool { return f[0] == 2|s[64]&1 && bytes.Equal(s[1:33], f[1:33]) }},
	} {
		sound, _, err := exchanges[r.group].generate()
		if err != nil {
			t.Fatal(err)
		}
		kept := bytes.Clone(sound)
		other := wire.X25519
		if !r.group.PostQuantum() {
			other = x
		}
		flawed, err := r.flaw.spoil([]keyShare{{other, []byte{1}}, {r.group, sound}}, nil, other == x)
		if err != nil || len(flawed) != 2 || !bytes.Equal(flawed[0].data, []byte{1}) || !bytes.Equal(sound, kept) {
			t.Fatalf("%s %v: %d shares, %v; or it touched what it must not", r.flaw, r.group, len(flawed), err)
		}
		if f := flawed[1].data; len(f) != r.size || !r.sign(sound, f) {
			t.Errorf("%s %v: %d bytes % x..., of % x...", r.flaw, r.group, len(f), f[:min(8, len(f))], sound[:8])
		}
		if _, _, err := exchanges[r.group].seal(flawed[1].data); err == nil {
			t.Errorf("%s %v: our own server takes it", r.flaw, r.group)
		}
		if _, _, err := exchanges[r.group].seal(sound); err != nil {
			t.Errorf("%v: the sound share: %v", r.group, err)
		}
	}
}

func TestUnknownFlaw(t *testing.T) {
	if _, err := testHello(t).marshal(Shape{Flaw: "dull"}); err == nil || !strings.Contains(err.Error(), string(FlawNonCanonical)) {
		t.Errorf("%v does not name the known flaws", err)
	}
}

func notZero(r rune) bool { return r != 0 }

// TestFlawedLists: the flaws that lie in the list of shares.
func TestFlawedLists(t *testing.T) {
	listed := []wire.Group{wire.X25519MLKEM768, wire.X25519}
	for flaw, want := range map[Flaw][]wire.Group{
		"":            {wire.X25519MLKEM768, wire.X25519},
		FlawDuplicate: {wire.X25519MLKEM768, wire.X25519MLKEM768, wire.X25519},
		FlawUnlisted:  {wire.X25519MLKEM768, wire.X25519, wire.SecP256r1MLKEM768},
		FlawReversed:  {wire.X25519, wire.X25519MLKEM768},
	} {
		h := testHello(t)
		h.groups = listed
		if _, err := h.offer(listed); err != nil {
			t.Fatal(err)
		}
		for range 2 { // the second must not build on the first
			m, err := h.marshal(Shape{Flaw: flaw})
			if err != nil {
				t.Fatal(err)
			}
			got, err := parseClientHello(m)
			if err != nil {
				t.Fatal(err)
			}
			var groups []wire.Group
			for _, s := range got.shares {
				groups = append(groups, s.group)
			}
			if !slices.Equal(groups, want) || !slices.Equal(got.groups, listed) {
				t.Errorf("%q: shares %v of groups %v, want shares %v", flaw, groups, got.groups, want)
			}
		}
	}
}

// TestFlawedHandshakes: our own server's alert, and none for what it may
// overlook.
func TestFlawedHandshakes(t *testing.T) {
	for flaw, want := range map[Flaw]uint8{
		"": 0, FlawDuplicate: 0, FlawUnlisted: 0, FlawReversed: 0,
		FlawTruncated: alertIllegalParameter, FlawPadded: alertIllegalParameter, FlawNonCanonical: alertIllegalParameter,
		FlawSwapped: alertIllegalParameter, FlawZeroX25519: alertIllegalParameter, FlawEmpty: alertDecodeError,
	} {
		for name, shares := range map[string][]wire.Group{"first hello": {wire.X25519MLKEM768}, "second hello": {}} {
			cfg := clientConfig([]wire.Group{wire.X25519MLKEM768}, shares)
			cfg.Shape.Flaw = flaw
			_, _, err, _ := both(t, cfg, serverConfig(wire.X25519MLKEM768))
			var alert RemoteAlert
			errors.As(err, &alert)
			want := want
			if len(shares) == 0 && (flaw == FlawDuplicate || flaw == FlawUnlisted) {
				want = alertIllegalParameter // RFC 8446 section 4.1.2: the one share asked for
			}
			if alert.Code != want || (err == nil) != (want == 0) {
				t.Errorf("%q in the %s: %v, want alert %d", flaw, name, err, want)
			}
		}
	}
}

func TestLateName(t *testing.T) {
	for _, late := range []bool{false, true} {
		h := testHello(t)
		m, err := h.marshal(Shape{LateName: late})
		if err != nil {
			t.Fatal(err)
		}
		name, share := bytes.Index(m, []byte("hybridlab.test")), bytes.Index(m, h.shares[0].data)
		if (name > share) != late || late && !bytes.HasSuffix(m, []byte("hybridlab.test")) {
			t.Errorf("late %t: the name is at %d of %d, the share at %d", late, name, len(m), share)
		}
		if _, err := parseClientHello(m); err != nil {
			t.Error(err)
		}
	}
}

func TestDeath(t *testing.T) {
	for death, as := range map[Death]func(error) bool{
		DeathReset:  func(err error) bool { return errors.Is(err, syscall.ECONNRESET) },
		DeathSilent: func(err error) bool { var e net.Error; return errors.As(err, &e) && e.Timeout() },
		DeathAlert:  func(err error) bool { var e RemoteAlert; return errors.As(err, &e) && e.Code == alertIllegalParameter },
		"":          func(err error) bool { return err == nil },
	} {
		a, b := pair(t)
		a.SetDeadline(time.Now().Add(300 * time.Millisecond))
		cfg := serverConfig(wire.X25519MLKEM768)
		cfg.Shape = Shape{Retry: true, Death: death}
		var wg sync.WaitGroup
		wg.Go(func() {
			defer b.Close()
			if _, err := Server(b, cfg); errors.Is(err, errOnPurpose) != (death == DeathReset || death == DeathSilent) {
				t.Errorf("%q: server: %v", death, err)
			}
		})
		c, err := Client(a, clientConfig([]wire.Group{wire.X25519MLKEM768}, nil))
		if !as(err) || !c.State.Retry {
			t.Errorf("%q: client: %v", death, err)
		}
		a.Close()
		wg.Wait()
	}
	a, b := pair(t)
	go Client(a, clientConfig([]wire.Group{wire.X25519}, nil))
	cfg := serverConfig(wire.X25519)
	cfg.Shape = Shape{Retry: true, Death: "old age"}
	if _, err := Server(b, cfg); err == nil {
		t.Error("an unknown death is no error")
	}
}
