package peers

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"hybridlab/lab"
	"hybridlab/lab/wire"
)

// oqsMissing is why openssl-oqs has no image of the lab's own.
const oqsMissing = "no Debian suite from bookworm to sid has a package of liboqs or oqs-provider: bring an image, --peer openssl-oqs@x=IMAGE, such as one of openquantumsafe/oqs-ossl3"

// oqsGroups are what some release of oqs-provider has or had. The same name has
// been on several code points (lab/wire/registry_oqs.go), so no image has them
// all: an image that is brought is asked (Asks, Told).
var oqsGroups = slices.Concat(openssl30Groups, opensslPostQuantum, oqsOwn())

func oqsOwn() (gs []wire.Group) {
	for _, info := range wire.Groups() {
		if strings.HasPrefix(info.Source, "oqs-provider") || info.Group == x25519Kyber || info.Group == p256Kyber {
			gs = append(gs, info.Group)
		}
	}
	return gs
}

const p256Kyber wire.Group = 0x639a // SecP256r1Kyber768Draft00

// oqsAsk prints, in blocks that begin with "== NAME", the ClientHello that the
// binary makes for each group it knows by name, and first its default's. What
// the provider calls a group tells nothing of the code point; the hello does. A
// provider that the configuration does not load is loaded by flags.
const oqsAsk = `openssl version
flags=
openssl list -kem-algorithms 2>/dev/null | grep -q '@ oqsprovider' || flags='-provider oqsprovider -provider default'
openssl list -providers -verbose $flags 2>/dev/null
names=$(openssl list -kem-algorithms $flags 2>/dev/null | sed -n 's/^ *{* *\([A-Za-z0-9_]*\).* @ oqsprovider *$/\1/p')
[ -n "$names" ] || flags=
echo "flags: $flags"
openssl s_server -accept 4433 -nocert -www $flags >/dev/null 2>&1 &
hello() { openssl s_client -connect 127.0.0.1:4433 -msg $flags "$@" </dev/null 2>/dev/null; }
n=0
until hello | grep -q ClientHello || [ $n = 100 ]; do n=$((n + 1)); sleep 0.1; done
echo '== default'; hello
for g in ` + oqsKnown + ` $names; do echo "== $g"; hello -groups "$g"; done`

// oqsKnown are the names that the library itself may know.
const oqsKnown = `X25519 X448 P-256 P-384 P-521 ffdhe2048 ffdhe3072 ffdhe4096 ffdhe6144 ffdhe8192 brainpoolP256r1tls13 brainpoolP384r1tls13 brainpoolP512r1tls13 X25519MLKEM768 SecP256r1MLKEM768 SecP384r1MLKEM1024 MLKEM512 MLKEM768 MLKEM1024`

// Asks is what to run in an image before it can be a peer, because its row
// leaves open what it has; nil: nothing.
func (p Peer) Asks() []string {
	if d, ok := p.driver.(openssl); !ok || !d.oqs {
		return nil
	}
	return []string{"sh", "-c", oqsAsk}
}

// Told is the row completed with the answer.
func (p Peer) Told(answer []byte) (Peer, error) {
	text := strings.ReplaceAll(string(answer), "\r", "")
	m := versionPattern.FindStringSubmatch(text)
	if m == nil {
		return p, fmt.Errorf("ask it for its groups: no OpenSSL 3 answers, but %q", clip(text[:min(len(text), 200)]))
	}
	d := openssl{flat: m[1] == "3" && atMost(m[2], 4), oqs: true, names: map[wire.Group]string{}}
	if _, flags, ok := strings.Cut(text, "flags: "); ok {
		flags, _, _ = strings.Cut(flags, "\n")
		d.flags = strings.Fields(flags)
	}
	p.Rules, p.Groups = openssl30(), nil
	if !d.flat {
		p.Rules = openssl35("Groups = X25519MLKEM768/X25519")
	}
	for _, block := range strings.Split(text, "\n== ")[1:] {
		name, said, _ := strings.Cut(block, "\n")
		h, err := helloIn(said)
		switch {
		case err != nil: // it does not know the name
		case name == "default":
			p.Rules.Default = defaultOf(h, p.Rules.Default)
		case len(h.Groups) == 1 && d.names[h.Groups[0]] == "":
			d.names[h.Groups[0]] = name
			p.Groups = append(p.Groups, h.Groups[0])
		}
	}
	if len(p.Groups) == 0 {
		return p, errors.New("ask it for its groups: it made no ClientHello for any")
	}
	slices.Sort(p.Groups)
	p.driver = d
	return p, nil
}

var versionPattern = regexp.MustCompile(`OpenSSL (\d+)\.(\d+)\.`)

func atMost(s string, most int) bool {
	n, err := strconv.Atoi(s)
	return err == nil && n <= most
}

// helloIn reads the ClientHello from s_client's -msg.
func helloIn(said string) (*wire.ClientHello, error) {
	_, dump, ok := strings.Cut(said, ", ClientHello\n")
	if !ok {
		return nil, errors.New("no ClientHello")
	}
	var raw []byte
	for line := range strings.Lines(dump) {
		b, err := hex.DecodeString(strings.Join(strings.Fields(line), ""))
		if err != nil || !strings.HasPrefix(line, "    ") {
			break
		}
		raw = append(raw, b...)
	}
	const header = 4
	if len(raw) < header || !bytes.HasPrefix(raw, []byte{wire.HandshakeClientHello}) {
		return nil, errors.New("no ClientHello")
	}
	return wire.ParseClientHello(raw[header:])
}

// defaultOf is the default as the hello shows it: the usual one, with its tiers,
// if these are its groups.
func defaultOf(h *wire.ClientHello, usual lab.Offer) lab.Offer {
	if slices.Equal(h.Groups, usual.Groups()) {
		return usual
	}
	var o lab.Offer
	for _, g := range h.Groups {
		l := lab.ListedGroup{Group: g}
		if slices.ContainsFunc(h.Shares, func(s wire.KeyShare) bool { return s.Group == g }) {
			l.Share = lab.ShareSent
		}
		o.Listed = append(o.Listed, l)
	}
	return o
}

// oqsVersion names the provider too, and says whose ML-KEM it is.
const oqsVersion = `provider=$(openssl list -providers -verbose $0 2>/dev/null | sed -n '/oqsprovider/,/version:/s/^ *version: *//p')
case $provider/$(openssl version) in
/*|*'OpenSSL 3.'[0-4].*) whose= ;;
*) whose=', which from OpenSSL 3.5 on withdraws its ML-KEM and hybrids for those of the library' ;;
esac
echo "$(openssl version), oqs-provider ${provider:-not found}$whose"`
