package rig

import (
	"bytes"
	"strings"
	"unicode/utf8"

	"hybridlab/lab"
	"hybridlab/peers"
	"hybridlab/peers/agent"
)

// mostSetup bounds one file of a peer's configuration that is recorded.
const mostSetup = 16 << 10

// setupOf is a command for the record: how a reader would start the peer. No
// key gets into it, and no certificate, which only this run has.
func setupOf(c agent.Command) *lab.Setup {
	s := &lab.Setup{Argv: c.Argv, Env: c.Env, Stdin: legible(c.Stdin)}
	for name, data := range c.Files {
		if s.Files == nil {
			s.Files = map[string]string{}
		}
		s.Files[name] = legible(data)
	}
	return s
}

// legible is a file's content, or what it is.
func legible(data []byte) string {
	switch {
	case bytes.Contains(data, []byte("PRIVATE KEY-----")):
		return "(a private key, made for this run and not recorded)"
	case bytes.Contains(data, []byte("-----BEGIN CERTIFICATE-----")):
		return "(certificates, made for this run and not recorded)"
	case !utf8.Valid(data):
		return "(not text)"
	case len(data) > mostSetup:
		return strings.ToValidUTF8(string(data[:mostSetup]), "") + "\n(and so on)\n"
	}
	return string(data)
}

// localSetup is what would start the peer that runs in this process.
func localSetup(id lab.PeerID, req peers.Request) *lab.Setup {
	p, err := peers.Lookup(id)
	if err != nil {
		return nil
	}
	cmd, err := p.Command(req)
	if err != nil {
		return nil // and the handshake will say why
	}
	s := setupOf(cmd)
	s.InProcess = true
	return s
}
