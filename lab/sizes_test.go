package lab

import (
	"crypto/tls"
	"slices"
	"strings"
	"testing"

	"hybridlab/lab/capture/capturetest"
	"hybridlab/lab/wire"
)

// heavy are rules whose client's hello is known.
func heavy(h HelloSize) Rules {
	r := goRules
	r.Hello = h
	return r
}

// The sums of RFC 8446, and those measured: a Go 1.26 client with a server
// name of 11 characters has 233 bytes beside its groups and shares.
func TestPredictedSizes(t *testing.T) {
	const longest = 16384
	const goDefault = "*x25519mlkem768+secp256r1mlkem768+secp384r1mlkem1024+*x25519+secp256r1+secp384r1+secp521r1"
	goHello := HelloSize{Base: 233}
	p256 := ServerHello{Group: wire.SecP256r1}
	for _, tt := range []struct {
		name          string
		hello         HelloSize
		offer         string
		retry         ServerHello
		first, second int
	}{
		{"Go's default", goHello, goDefault, p256, 1503, 316},
		{"one group", goHello, "x25519", p256, 271, 304},
		{"hybrid alone", goHello, "x25519mlkem768", ServerHello{Group: wire.SecP384r1MLKEM1024}, 1455, 1904},
		{"a cookie", goHello, goDefault, ServerHello{Cookie: 9}, 1503, 1518},
		{"a cookie and a group", goHello, goDefault, ServerHello{Group: wire.SecP256r1, Cookie: 9}, 1503, 331},
		{"point formats", HelloSize{Base: 276, Points: 8}, "x25519mlkem768+x25519", p256, 1544, 357},
		{"no curve, no point formats", HelloSize{Base: 276, Points: 8}, "x25519mlkem768", p256, 1498, 347},
		{"a share of GREASE, once", HelloSize{Base: 200, First: 5}, "x25519", p256, 243, 271},
		{"the same after a cookie", HelloSize{Base: 200, First: 5}, "x25519", ServerHello{Cookie: 9}, 243, 258},
		{"padded", HelloSize{Base: 240, PadFrom: 261, PadTo: 517}, "x25519", p256, 517, 517},
		{"padded once", HelloSize{Base: 240, PadFrom: 261, PadTo: 517, PadOnce: true}, "x25519", p256, 517, 311},
		{"too small to pad", HelloSize{Base: 222, PadFrom: 261, PadTo: 517}, "x25519", p256, 260, 517},
		{"too large to pad", HelloSize{Base: 479, PadFrom: 261, PadTo: 517}, "x25519", p256, 517, 550},
		{"just room to pad", HelloSize{Base: 474, PadFrom: 261, PadTo: 517}, "x25519", p256, 517, 545},
		{"no room to pad", HelloSize{Base: 475, PadFrom: 261, PadTo: 517}, "x25519", p256, 0, 546},
		{"cut after 100 and 200 bytes", HelloSize{Base: 240, Cuts: []int{100, 200, 300}}, "x25519", p256, 288, 326},
		{"as much as a record holds", HelloSize{PadFrom: 1, PadTo: longest + 5, Base: 240}, "x25519", p256, longest + 5, longest + 5},
		{"one byte more", HelloSize{PadFrom: 1, PadTo: longest + 6, Base: 240}, "x25519", p256, longest + 11, longest + 11},
		{"not known", HelloSize{Points: 8}, "x25519", p256, 0, 0},
		{"a share of unknown size", goHello, "0x1234", p256, 0, 304},
	} {
		h := Predict(NewCell("a", "b", MustOffer(tt.offer), MustOffer("x25519"), "clean"), heavy(tt.hello), tieredRules).Hellos
		if first, second := h.First(), h.Second(tt.retry); first != tt.first || second != tt.second {
			t.Errorf("%s: %d bytes, then %d; want %d, then %d", tt.name, first, second, tt.first, tt.second)
		}
	}
}

// TestSizesByChance: once the first hello has been seen, chance is settled for
// both.
func TestSizesByChance(t *testing.T) {
	h := Predict(NewCell("a", "b", MustOffer("x25519"), MustOffer("x25519"), "clean"),
		heavy(HelloSize{Base: 600, First: 5, Chance: []int{0, 32, 64}}), tieredRules).Hellos
	if n := h.First(); n != 0 {
		t.Errorf("before it is settled: a claim of %d bytes", n)
	}
	for _, tt := range []struct{ saw, first, second int }{
		{643, 643, 671}, {675, 675, 703}, {707, 707, 735},
		{644, 643, 671}, {739, 643, 671}, {0, 643, 671}, // none of those possible
	} {
		s := h.Settled(tt.saw)
		if first, second := s.First(), s.Second(ServerHello{Group: wire.SecP256r1}); first != tt.first || second != tt.second {
			t.Errorf("%d bytes seen: %d, then %d; want %d, then %d", tt.saw, first, second, tt.first, tt.second)
		}
	}
	certain := Predict(NewCell("a", "b", MustOffer("x25519"), MustOffer("x25519"), "clean"), heavy(HelloSize{Base: 233}), tieredRules).Hellos
	if got := certain.Settled(300).First(); got != certain.First() {
		t.Errorf("nothing is left to chance, and what was seen changes the prediction to %d bytes", got)
	}
}

// Who does not know the shares, or breaks them, does not know the size.
func TestNoClaimAboutSizes(t *testing.T) {
	unknown, bad, old := heavy(HelloSize{Base: 233}), heavy(HelloSize{Base: 233}), heavy(HelloSize{Base: 180})
	unknown.Shares, unknown.Default = ShareUnknown, Offer{}
	bad.Breach = broken.Breach
	old.TLS12 = true
	for _, tt := range []struct {
		client Rules
		offer  string
		want   int
	}{
		{unknown, "x25519mlkem768+x25519", 0}, {unknown, "*x25519mlkem768+*x25519", 1493},
		{bad, "x25519", 0}, {heavy(HelloSize{Base: 233}), "x25519", 271},
		{old, "x25519mlkem768+x25519", 182}, {old, "x25519mlkem768", 174}, // no shares in TLS 1.2, no hybrids, and then no list
	} {
		p := Predict(NewCell("a", "b", MustOffer(tt.offer), MustOffer("x25519"), "clean"), tt.client, tieredRules)
		if got := p.Hellos.First(); got != tt.want {
			t.Errorf("%s: %d bytes, want %d", tt.offer, got, tt.want)
		}
	}
}

// A server's hello is the same for every stack.
func TestPredictedServerHellos(t *testing.T) {
	var h Hellos
	full, none := 32, 0
	for _, tt := range []struct {
		sh      ServerHello
		session *int
		cuts    []int
		want    int
	}{
		{ServerHello{Version: 0x0304, Group: wire.X25519}, &full, nil, 127},
		{ServerHello{Version: 0x0304, Group: wire.X25519}, &none, nil, 95},
		{ServerHello{Version: 0x0304, Group: wire.X25519MLKEM768}, &full, nil, 1215},
		{ServerHello{Version: 0x0304, Group: wire.SecP256r1MLKEM768}, &full, nil, 1248},
		{ServerHello{Version: 0x0304, Group: wire.SecP384r1MLKEM1024}, &full, nil, 1760},
		{ServerHello{Version: 0x0304, Group: 0xfe2f}, &full, nil, 21791 + 5}, // frodo1344aes: two records
		{ServerHello{Version: 0x0304, Group: wire.X25519}, &full, []int{100}, 132},
		{ServerHello{Version: 0x0304, Group: wire.X25519}, nil, nil, 0},
		{ServerHello{Version: 0x0303, Group: wire.X25519}, &full, nil, 0},
		{ServerHello{Version: 0x0304}, &full, nil, 0},
		{ServerHello{Version: 0x0304, Group: 0x1234}, &full, nil, 0},
	} {
		h.cuts = tt.cuts
		if got := h.ServerHello(tt.sh, tt.session); got != tt.want {
			t.Errorf("%+v: %d bytes, want %d", tt.sh, got, tt.want)
		}
	}
	for _, tt := range []struct {
		hrr     ServerHello
		session *int
		want    int
	}{
		{ServerHello{Group: wire.SecP256r1}, &full, 93}, {ServerHello{Cookie: 9}, &full, 102}, {ServerHello{Group: wire.SecP256r1, Cookie: 9}, &none, 76},
		{ServerHello{Group: wire.SecP256r1}, nil, 0},
	} {
		if got := h.Retry(tt.hrr, tt.session); got != tt.want {
			t.Errorf("HelloRetryRequest %+v: %d bytes, want %d", tt.hrr, got, tt.want)
		}
	}
}

// weighed is a healthy cell of a client whose hello is known: 1,493 bytes.
func weighed(t *testing.T, offer, group string, change func(*Observation)) (Observation, Prediction) {
	t.Helper()
	full := 32
	o := seen(t, "go", "go", offer, pqList, "clean", group, func(o *Observation) {
		for _, hellos := range [][]Hello{o.Wire.ClientHellos, o.Wire.AtServer} {
			hellos[0].Bytes, hellos[0].Session = 1493, &full
		}
		if group != "" {
			from := *o.Wire.ServerHello
			o.Wire.FromServer = &from
		} else {
			refusedWith("handshake_failure")(o)
		}
		if change != nil {
			change(o)
		}
	})
	return o, Predict(o.Cell, heavy(HelloSize{Base: 233}), goRules)
}

func TestSizesAreJudged(t *testing.T) {
	const hybrid = "x25519mlkem768"
	const third = "secp384r1mlkem1024+secp384r1+x25519" // needs a HelloRetryRequest
	retried := func(first, retry, second int) func(*Observation) {
		return func(o *Observation) {
			w := &o.Wire
			w.ClientHellos[0].Bytes, w.ServerHello.Bytes, w.FromServer.Bytes = first, 127, 127
			w.HRR = &ServerHello{Bytes: retry, Version: 0x0304, Group: wire.X25519}
			w.ClientHellos = append(w.ClientHellos, Hello{Bytes: second, SHA256: "cc"})
		}
	}
	for _, tt := range []struct {
		name         string
		offer, group string
		change       func(*Observation)
		outcome      Outcome
		blame        string
		why          string
	}{
		{"as predicted", pqList, hybrid, nil, Hybrid, "", "as predicted"},
		{"a byte more", pqList, hybrid, func(o *Observation) { o.Wire.ClientHellos[0].Bytes++ }, Failure, blameClient, "the ClientHello is 1494 bytes; the rules say 1493"},
		{"after a retry", third, "x25519", retried(1908, 93, 275), Classical, "", "as predicted"},
		{"after a retry, the first", third, "x25519", retried(1907, 93, 275), Failure, blameClient, "the ClientHello is 1907 bytes; the rules say 1908"},
		{"after a retry, the retry", third, "x25519", retried(1908, 94, 275), Failure, blameServer, "the HelloRetryRequest is 94 bytes; the rules say 93"},
		{"after a retry, the second", third, "x25519", retried(1908, 93, 274), Failure, blameClient, "the ClientHello is 274 bytes; the rules say 275"},
		{"no claim", pqList, hybrid, func(o *Observation) { o.Wire.ClientHellos[0].Bytes, o.Wire.ClientHellos[0].SHA256 = 1400, "" }, Hybrid, "", "as predicted"},
		{"the server's", pqList, hybrid, func(o *Observation) { o.Wire.ServerHello.Bytes, o.Wire.FromServer.Bytes = 1216, 1216 }, Failure, blameServer, "the ServerHello is 1216 bytes; the rules say 1215"},
		{"the server's, on the way", pqList, hybrid, func(o *Observation) { o.Wire.ServerHello.Bytes = 1216 }, Failure, blameLink, "the ServerHello is 1216 bytes"},
		{"of a run that did not record sessions", pqList, hybrid, func(o *Observation) {
			o.Wire.ClientHellos[0].Session, o.Wire.ServerHello.Bytes = nil, 1
		}, Hybrid, "", "as predicted"},
		{"refused", "secp384r1mlkem1024+x25519", "", func(o *Observation) { o.Wire.ClientHellos[0].Bytes = 1943 }, Failure, "server", "alert"},
		{"TLS that somebody ended on the way", pqList, hybrid, func(o *Observation) { o.Wire.AtServer[0].Bytes, o.Wire.AtServer[0].SHA256 = 300, "bb" }, Hybrid, "", "as predicted"},
		{"refused as predicted, of another size", "secp384r1", "", func(o *Observation) { o.Wire.ClientHellos[0].Bytes = 337 }, Failure, blameClient, "the ClientHello is 337 bytes; the rules say 336"},
		{"refused as predicted, a rewritten hello", "secp384r1", "", func(o *Observation) {
			o.Wire.ClientHellos[0].Bytes, o.Wire.AtServer[0].Bytes, o.Wire.AtServer[0].SHA256 = 336, 334, "bb"
		}, Failure, blameLink, "the client sent a ClientHello of 336 bytes, and the server received one of 334"},
		{"refused as predicted", "secp384r1", "", func(o *Observation) { o.Wire.ClientHellos[0].Bytes = 336 }, Refused, "", "as predicted"},
	} {
		o, p := weighed(t, tt.offer, tt.group, tt.change)
		if v := Classify(o, p, goRules, nil); v.Outcome != tt.outcome || v.Blame != tt.blame || !strings.Contains(v.Why, tt.why) {
			t.Errorf("%s: judged %s %s, blame %q: %s", tt.name, v.Outcome, v.Cause, v.Blame, v.Why)
		}
	}
}

// The verdict has them all, with what was predicted.
func TestVerdictHasSizes(t *testing.T) {
	o, p := weighed(t, pqList, "x25519mlkem768", func(o *Observation) {
		o.Wire.HRR = &ServerHello{Bytes: 102, Version: 0x0304, Cookie: 9}
		o.Wire.ClientHellos = append(o.Wire.ClientHellos, Hello{Bytes: 1508, SHA256: "cc"})
	})
	v := Classify(o, p, goRules, nil)
	want := []HelloSeen{{"ClientHello", 1493, 1493}, {"HelloRetryRequest", 102, 102}, {"ClientHello", 1508, 1508}, {"ServerHello", 1215, 1215}}
	if !slices.Equal(v.Hellos, want) || v.PredictedBytes != 1493 {
		t.Errorf("predicted %d, %+v; want %+v", v.PredictedBytes, v.Hellos, want)
	}
	silent(&o)
	o.Wire.ClientHellos, o.Wire.HRR = nil, nil
	if v := Classify(o, p, goRules, nil); v.Hellos != nil || v.PredictedBytes != 1493 {
		t.Errorf("nothing came: predicted %d, %+v", v.PredictedBytes, v.Hellos)
	}
}

func TestMalformedShares(t *testing.T) {
	const hybrid = "x25519mlkem768"
	short := []ShareFault{{wire.X25519MLKEM768, "1215 bytes, not 1216"}}
	spoilt := goRules
	spoilt.Breach = broken.Breach
	for _, tt := range []struct {
		name   string
		client Rules
		change func(*Observation)
		cause  Cause
		blame  string
	}{
		{"sound", goRules, nil, "", ""},
		{"the client's", goRules, func(o *Observation) { o.Wire.ClientHellos[0].Faults = short }, CauseShareMalformed, blameClient},
		{"the client's, refused", goRules, func(o *Observation) { refusedWith("illegal_parameter")(o); o.Wire.ClientHellos[0].Faults = short }, CauseShareMalformed, blameClient},
		{"in the second hello", goRules, func(o *Observation) {
			o.Wire.ClientHellos = append(o.Wire.ClientHellos, Hello{Bytes: 1, Faults: short})
		}, CauseShareMalformed, blameClient},
		{"on purpose", spoilt, func(o *Observation) { o.Wire.ClientHellos[0].Faults = short }, CauseUnexpectedSuccess, blameServer},
		{"another than on purpose", spoilt, func(o *Observation) {
			o.Wire.ClientHellos[0].Faults = []ShareFault{{wire.X25519, "31 bytes, not 32"}}
		}, CauseShareMalformed, blameClient},
		{"the server's", goRules, func(o *Observation) {
			o.Wire.ServerHello.Fault = "1119 bytes, not 1120"
			o.Wire.FromServer = o.Wire.ServerHello
		}, CauseShareMalformed, blameServer},
		{"the server's, on the way", goRules, func(o *Observation) {
			from := *o.Wire.ServerHello
			o.Wire.FromServer, o.Wire.ServerHello.Fault = &from, "1119 bytes, not 1120"
		}, CauseShareMalformed, blameLink},
	} {
		o := seen(t, "go", "go", pqList, pqList, "clean", hybrid, tt.change)
		if v := Classify(o, Predict(o.Cell, tt.client, goRules), goRules, nil); v.Cause != tt.cause || v.Blame != tt.blame {
			t.Errorf("%s: judged %s %s, blame %q: %s", tt.name, v.Outcome, v.Cause, v.Blame, v.Why)
		}
	}
}

// The wire shows what a share cannot be, in whichever hello it is; a hello cut
// off in its share shows nothing.
func TestWireOfMalformedShares(t *testing.T) {
	flights := talked(t, offering(tls.X25519MLKEM768), offering(tls.X25519MLKEM768))
	edit := func(i int, find func([]byte) int) []capturetest.Flight {
		out := slices.Clone(flights)
		out[i].Data = slices.Clone(out[i].Data)
		at := find(out[i].Data)
		clear(out[i].Data[at : at+32])
		return out
	}
	last32 := func(b []byte) int { // of the ClientHello's share: it is Go's last extension
		return keyShareEnd(t, b) - 32
	}
	w := ObserveWire(played(false, flights).Packets)
	if w.ClientHellos[0].Faults != nil || w.ServerHello.Fault != "" || *w.ClientHellos[0].Session != 32 {
		t.Fatalf("sound shares: %+v, %+v", w.ClientHellos[0], w.ServerHello)
	}
	w = ObserveWire(played(false, edit(0, last32)).Packets)
	if want := []ShareFault{{wire.X25519MLKEM768, "the X25519 key is all zero"}}; !slices.Equal(w.ClientHellos[0].Faults, want) || !slices.Equal(w.AtServer[0].Faults, want) {
		t.Errorf("client's: %+v", w.ClientHellos[0])
	}
	w = ObserveWire(played(false, edit(1, last32)).Packets)
	if w.ServerHello.Fault != "the X25519 key is all zero" || w.FromServer.Fault != w.ServerHello.Fault {
		t.Errorf("server's: %+v", w.ServerHello)
	}
	cut := []capturetest.Flight{{Data: flights[0].Data[:600]}}
	if w := ObserveWire(played(false, cut).Packets); len(w.ClientHellos) != 1 || w.ClientHellos[0].Faults != nil {
		t.Errorf("cut off: %+v", w.ClientHellos)
	}
}

// keyShareEnd finds the end of the first message's key_share in a stream.
func keyShareEnd(t *testing.T, stream []byte) int {
	t.Helper()
	recs, _, err := wire.ReadRecords(stream)
	if err != nil {
		t.Fatal(err)
	}
	var exts []wire.Extension
	if body := recs[0].Fragment[4:]; recs[0].Fragment[0] == wire.HandshakeClientHello {
		h, _ := wire.ParseClientHello(body)
		exts = h.Extensions
	} else {
		h, _ := wire.ParseServerHello(body[:int(recs[0].Fragment[2])<<8+int(recs[0].Fragment[3])])
		exts = h.Extensions
	}
	for _, e := range exts {
		if e.Type == wire.ExtKeyShare {
			return strings.Index(string(stream), string(e.Data)) + len(e.Data)
		}
	}
	t.Fatal("no key_share")
	return 0
}
