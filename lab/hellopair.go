package lab

import (
	"cmp"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"hybridlab/lab/capture"
	"hybridlab/lab/wire"
)

// HelloPair is one ClientHello as the client sent it and as the server
// received it, line by line.
type HelloPair struct {
	Arrived bool        `json:"arrived"` // anything of it did
	Same    bool        `json:"same"`    // both are whole and every byte of the message is the same
	Lines   []HelloLine `json:"lines"`
}

// HelloLine is one part of a hello in words. An absent side does not have it.
type HelloLine struct {
	Name     string `json:"name"`
	Sent     string `json:"sent,omitempty"`
	Received string `json:"received,omitempty"`
}

const (
	mostHelloLines = 64   // of one hello
	mostHelloText  = 1000 // bytes of one line
)

// helloPairs puts the hellos of the connection the verdict is about beside
// those that reached the server.
func helloPairs(near, far []*talk) []HelloPair {
	client := chosen(near)
	if client == nil {
		return nil
	}
	sent := client.ends[capture.ToServer].allHellos()
	var received []wire.Message
	server := counterpart(far, client)
	if server != nil {
		received = server.ends[capture.ToServer].allHellos()
	}
	var out []HelloPair
	for i, m := range sent {
		before := client.ends[capture.ToServer].lines(m)
		if i >= len(received) {
			out = append(out, HelloPair{Lines: pairLines(before, nil)})
			continue
		}
		after := server.ends[capture.ToServer].lines(received[i])
		whole := !client.ends[capture.ToServer].isCut(m) && !server.ends[capture.ToServer].isCut(received[i])
		out = append(out, HelloPair{Arrived: true, Same: whole && slices.Equal(m.Raw, received[i].Raw), Lines: pairLines(before, after)})
	}
	return out
}

// allHellos are the client's hellos, one that is cut off included.
func (e *speech) allHellos() []wire.Message {
	var out []wire.Message
	for _, m := range e.msgs {
		if isClientHello(m) {
			out = append(out, m)
		}
	}
	if e.cut != nil && isClientHello(*e.cut) {
		out = append(out, *e.cut)
	}
	return out
}

func (e *speech) isCut(m wire.Message) bool { return e.cut != nil && m.Offset == e.cut.Offset }

// pairLines puts the lines of two hellos beside each other: in the order they were
// sent in, and what was added to them at the end.
func pairLines(sent, received []HelloLine) []HelloLine {
	out := sent
	for _, r := range received {
		i := slices.IndexFunc(out, func(l HelloLine) bool { return l.Name == r.Name && l.Received == "" })
		if i < 0 {
			i = len(out)
			out = append(out, HelloLine{Name: r.Name})
		}
		out[i].Received = r.Sent
	}
	return out
}

// lines says in words what a hello is.
func (e *speech) lines(m wire.Message) []HelloLine {
	ch, err := wire.ParseClientHello(m.Body)
	var out []HelloLine
	add := func(name, text string) {
		if len(out) < mostHelloLines {
			out = append(out, HelloLine{Name: name, Sent: text[:min(len(text), mostHelloText)]})
		}
	}
	size := byteCount(m.End - m.Offset)
	if e.isCut(m) {
		size += ", cut off"
	}
	add("size", size)
	add("TCP segments", plus(e.segmentSizes(m)))
	add("TLS records", plus(e.recordSizes(m)))
	add("legacy_version", wire.VersionName(ch.Version))
	add("random", opaque(ch.Random[:]))
	add("legacy_session_id", opaque(ch.SessionID))
	add("cipher_suites", wordsOf(ch.Ciphers, cipherName))
	add("extensions", wordsOf(ch.Extensions, func(x wire.Extension) string { return wire.ExtensionName(x.Type) }))
	for _, x := range ch.Extensions {
		add(wire.ExtensionName(x.Type), extensionWords(ch, x))
	}
	if err != nil && !e.isCut(m) {
		add("unreadable", err.Error())
	}
	if !e.isCut(m) {
		digest := sha256.Sum256(m.Raw)
		add("SHA-256", hex.EncodeToString(digest[:8])+"…")
	}
	return out
}

// segmentSizes are the payload bytes of the segments that carried a message,
// what else they carried included.
func (e *speech) segmentSizes(m wire.Message) (sizes []int) {
	for _, s := range e.stream.Carried(uint64(m.Offset), uint64(m.End)) {
		sizes = append(sizes, s.Len)
	}
	return sizes
}

// recordSizes are the lengths of the records a message lies in, headers
// included.
func (e *speech) recordSizes(m wire.Message) (sizes []int) {
	for _, r := range e.recs {
		if r.Offset < m.End && m.Offset < r.End() {
			sizes = append(sizes, r.End()-r.Offset)
		}
	}
	return sizes
}

// extensionWords says what an extension holds where the lab can read it, and
// how long it is otherwise.
func extensionWords(ch *wire.ClientHello, x wire.Extension) string {
	switch x.Type {
	case wire.ExtServerName:
		return cmp.Or(ch.ServerName, "empty")
	case wire.ExtSupportedGroups:
		return wordsOf(ch.Groups, wire.Group.String)
	case wire.ExtKeyShare:
		return wordsOf(ch.Shares, func(s wire.KeyShare) string { return s.Group.String() + " (" + byteCount(len(s.Data)) + ")" })
	case wire.ExtSupportedVersions:
		return wordsOf(ch.Versions, wire.VersionName)
	case wire.ExtSignatureAlgorithms:
		return wordsOf(ch.SigAlgs, wire.SignatureName)
	case wire.ExtSigAlgsCert:
		return wordsOf(ch.SigAlgsCert, wire.SignatureName)
	case wire.ExtALPN:
		return wordsOf(ch.ALPN, strconv.Quote)
	}
	return opaque(x.Data)
}

func cipherName(id uint16) string {
	if wire.GREASE(id) {
		return fmt.Sprintf("GREASE %#04x", id)
	}
	return tls.CipherSuiteName(id)
}

// wordsOf joins names; a hostile list is cut.
func wordsOf[T any](values []T, name func(T) string) string {
	const most = 40
	var out []string
	for _, v := range values[:min(len(values), most)] {
		out = append(out, name(v))
	}
	if more := len(values) - most; more > 0 {
		out = append(out, fmt.Sprintf("and %d more", more))
	}
	if len(out) == 0 {
		return "none"
	}
	return strings.Join(out, ", ")
}

// plus shows the parts of a size: "1400 + 317 bytes".
func plus(parts []int) string {
	if len(parts) == 0 {
		return "none whole"
	}
	return strings.ReplaceAll(wordsOf(parts, strconv.Itoa), ", ", " + ") + " bytes"
}

// opaque is data that is not read: how long, and how it begins.
func opaque(b []byte) string {
	const most = 8
	switch n := len(b); {
	case n == 0:
		return "empty"
	case n <= most:
		return byteCount(n) + ": " + hex.EncodeToString(b)
	default:
		return byteCount(n) + ": " + hex.EncodeToString(b[:most]) + "…"
	}
}

func byteCount(n int) string {
	if n == 1 {
		return "1 byte"
	}
	return strconv.Itoa(n) + " bytes"
}
