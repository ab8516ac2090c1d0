package box

import (
	"encoding/binary"
	"slices"
)

// edited is a stream in which the hello was changed. A hello that is not all
// there, or that has not what is to be changed, stays as it is.
func (h *hello) edited(stream []byte, a Action) []byte {
	if !h.whole || !h.tls || h.end > len(stream) {
		return stream
	}
	if a.Name == "rewrite" {
		out := slices.Clone(stream)
		l := fields[a.Field](h)
		for i, at := range l.at {
			if l.values[i] == a.From {
				binary.BigEndian.PutUint16(out[at:], a.To)
			}
		}
		return out
	}
	_, m := read(stream, 0)
	if m.data[0] != clientHello {
		return stream
	}
	return slices.Concat(framed(stripped(m.data, a), stream[:recordHeader]), stream[h.end:])
}

// stripped is the ClientHello without some groups.
func stripped(msg []byte, a Action) []byte {
	m := &message{data: msg}
	r := &reader{m: m, end: len(msg)}
	r.bytes(messageHeader + 2 + 32)
	r.vector(1)
	r.vector(2)
	r.vector(1)
	start := r.at
	r.number(2)
	if r.out {
		return msg // it has no extensions
	}
	var exts []byte
	for r.more() {
		typ := r.number(2)
		body := r.vector(2)
		if r.out {
			return msg
		}
		data := msg[body.at:body.end]
		switch {
		case typ == extGroups && a.Field != "shares":
			data = without(data, 0, a.Codes)
		case typ == extKeyShare && a.Field != "groups":
			data = without(data, 2, a.Codes)
		}
		exts = appendVector(binary.BigEndian.AppendUint16(exts, uint16(typ)), data)
	}
	out := appendVector(slices.Clone(msg[:start]), exts)
	n := len(out) - messageHeader
	out[1], out[2], out[3] = byte(n>>16), byte(n>>8), byte(n)
	return out
}

// without is a list of code points, each of which a vector may follow, without
// some.
func without(list []byte, vectorSize int, codes []uint16) []byte {
	m := &message{data: list}
	r := (&reader{m: m, end: len(list)}).vector(2)
	var kept []byte
	for r.more() {
		from := r.at
		code := uint16(r.number(2))
		if vectorSize > 0 {
			r.vector(vectorSize)
		}
		if r.out {
			return list
		}
		if !slices.Contains(codes, code) {
			kept = append(kept, list[from:r.at]...)
		}
	}
	return appendVector(nil, kept)
}

func appendVector(b, data []byte) []byte {
	return append(binary.BigEndian.AppendUint16(b, uint16(len(data))), data...)
}

// maxPlaintext is the most a record carries, RFC 8446 section 5.1.
const maxPlaintext = 1 << 14

// framed is a message in records with the type and version of another.
func framed(msg, header []byte) []byte {
	var out []byte
	for len(msg) > 0 {
		n := min(len(msg), maxPlaintext)
		out = appendVector(append(out, header[:3]...), msg[:n])
		msg = msg[n:]
	}
	return out
}
