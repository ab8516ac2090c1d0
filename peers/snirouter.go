package peers

import (
	"encoding/binary"
	"net"

	"hybridlab/peers/agent"
)

const snirouterName = "go-sni-router"

// goSNIRouter starts the router below.
func goSNIRouter(b Between) agent.Command {
	return agent.Command{Argv: []string{Binary, middleboxName, snirouterName, b.Listen.String(), b.Backend.String(), b.SNI, b.Decoy.String()}}
}

// snirouter routes a connection by SNI the way many a small program does:
// whatever the first Read gives is taken for the ClientHello. It is as good as
// those are, on purpose, and shares no code with the judge.
func snirouter(client *net.TCPConn, server, name, others string) error {
	first := make([]byte, 4096)
	n, err := client.Read(first)
	if err != nil {
		return err
	}
	to := others
	if serverName(first[:n]) == name {
		to = server
	}
	return passOn(client, to, first[:n])
}

// serverName is the name in a record with a ClientHello (RFC 8446 section
// 4.1.2, RFC 6066 section 3); empty: there is none, or b ends before it.
func serverName(b []byte) string {
	if len(b) == 0 || b[0] != 22 {
		return ""
	}
	record, _ := vector(after(b, 3), 2)
	hello := after(record, 4+2+32) // header, version, random
	for _, width := range []int{1, 2, 1} {
		_, hello = vector(hello, width) // session id, cipher suites, compression methods
	}
	extensions, _ := vector(hello, 2)
	for len(extensions) > 2 {
		kind := binary.BigEndian.Uint16(extensions)
		var body []byte
		if body, extensions = vector(extensions[2:], 2); kind == 0 {
			name, _ := vector(after(body, 3), 2) // the list's length, the name's type
			return string(name)
		}
	}
	return ""
}

// after is b without its first n bytes; nil: it has no more.
func after(b []byte, n int) []byte {
	if len(b) < n {
		return nil
	}
	return b[n:]
}

// vector cuts what begins with its length, in width bytes, from b. Both are
// nil when b ends before it.
func vector(b []byte, width int) (value, rest []byte) {
	if len(b) < width {
		return nil, nil
	}
	n := int(b[0])
	if width == 2 {
		n = int(binary.BigEndian.Uint16(b))
	}
	if b = b[width:]; len(b) < n {
		return nil, nil
	}
	return b[:n], b[n:]
}
