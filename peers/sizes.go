package peers

import (
	"runtime"
	"strings"

	"hybridlab/lab"
)

// helloSizes are what the clients' hellos weigh, seen on the wire of that
// version (testdata/*.sizes, which a test holds against lab.Predict). Who is not
// here makes no claim.
var helloSizes = map[lab.PeerID]lab.HelloSize{
	"boringssl@trixie":             padded(lab.HelloSize{Base: 215, PadOnce: true}),
	"chromium-cnsa@trixie":         chromiumHello,
	"chromium-tls12@trixie":        {Base: 393},
	"chromium@trixie":              chromiumHello,
	"crafted":                      craftedHello,
	"curl@trixie":                  padded(lab.HelloSize{Base: 291, Points: 8}),
	"firefox-esr-classical@trixie": {Base: 558},
	"firefox-esr@trixie":           {Base: 558},
	"gnutls@forky":                 {Base: 277},
	"gnutls@trixie":                {Base: 271},
	"go-mod1.23@1.24":              {Base: 210},
	"go-mod1.23@1.27":              {Base: 252}, // with SHA-1
	"go-tls12@1.26":                goHello(222),
	"go-tlsmlkem0@1.24":            {Base: 210},
	"go-tlsmlkem0@1.26":            goHello(236),
	"go-tlsmlkem0@1.27":            {Base: 248},
	"go-tlssecpmlkem0@1.26":        goHello(236),
	"go-tlssecpmlkem0@1.27":        {Base: 248},
	"go@1.24":                      {Base: 210},
	"go@1.26":                      goHello(236),
	"go@1.27":                      {Base: 248},
	"haproxy-tls12@trixie":         {Base: 196, Points: 8},
	"haproxy@forky":                padded(lab.HelloSize{Base: 276, Points: 6}),
	"haproxy@trixie":               padded(lab.HelloSize{Base: 276, Points: 8}),
	"nginx-tls12@trixie":           {Base: 208, Points: 8},
	"nginx@bookworm":               {Base: 252, Points: 8},
	"nginx@forky":                  {Base: 267, Points: 6},
	"nginx@trixie":                 {Base: 276, Points: 8},
	"nodejs@forky":                 {Base: 311, Points: 6},
	"nss@forky":                    padded(lab.HelloSize{Base: 209, Points: 24}),
	"nss@trixie":                   padded(lab.HelloSize{Base: 203, Points: 24}),
	"openssl-tls12@trixie":         {Base: 196, Points: 8},
	"openssl@bookworm":             {Base: 256, Points: 8},
	"openssl@bullseye":             {Base: 252, Points: 8},
	"openssl@forky":                {Base: 276, Points: 6},
	"openssl@trixie":               {Base: 276, Points: 8},
	"stunnel@forky":                {Base: 307, Points: 6},
	"stunnel@trixie":               {Base: 307, Points: 8},
	"mbedtls@forky":                {Base: 393},
	"mbedtls@trixie":               {Base: 393},
	"java@forky":                   {Base: 299, Points: 28},
	"java@trixie":                  {Base: 292, Points: 28},
}

// complete adds to a row what is kept apart from it.
func (p Peer) complete() Peer {
	p.Rules.Hello = helloSizes[p.ID]
	if p.Rules.Certs == nil {
		p.Rules.Certs = classicalCerts
	}
	return p
}

// padded is a hello that keeps out of the sizes at which old F5 boxes hang: a
// message of 256 to 511 bytes is padded to 512. BoringSSL does so, and OpenSSL
// with SSL_OP_ALL.
func padded(h lab.HelloSize) lab.HelloSize {
	const record = 5
	h.PadFrom, h.PadTo = record+256, record+512
	return h
}

// goHello is known for the Go that this was built with if that is 1.26: later
// ones offer more.
func goHello(base int) lab.HelloSize {
	if !strings.HasPrefix(runtime.Version(), "go1.26") {
		return lab.HelloSize{}
	}
	return lab.HelloSize{Base: base}
}

// chromiumHello has a key share of GREASE, and an empty Encrypted ClientHello of
// four lengths.
var chromiumHello = lab.HelloSize{Base: 653, First: 5, Chance: []int{0, 32, 64, 96}}

// craftedHello is the crafted peer's without a shape.
var craftedHello = lab.HelloSize{Base: 146}

// craftedSchemes is how many signature schemes it advertises unshaped.
const craftedSchemes = 6

// weigh adds what a shape does to the hello.
func weigh(h lab.HelloSize, s Shape) lab.HelloSize {
	h.Base += 2 * len(s.SigAlgs)
	if s.CertSigAlgs != nil {
		h.Base += 4 + 2 + 2*(craftedSchemes+len(s.CertSigAlgs))
	}
	if s.GREASE {
		h.Base += 3*2 + 4 + 5 // a value in three lists, two extensions
		h.First = 5           // a share
	}
	if s.PadTo > 0 {
		h.PadFrom, h.PadTo = 1, s.PadTo
	}
	if h.Cuts = s.Records; s.Flaw != "" {
		return lab.HelloSize{} // the shares are not of their usual size
	}
	return h
}
