package wire

import "fmt"

// Handshake message types the lab looks into (RFC 8446 section 4; the last
// is of TLS 1.2, RFC 5246 section 7.4).
const (
	HandshakeClientHello       uint8 = 1
	HandshakeServerHello       uint8 = 2
	HandshakeServerKeyExchange uint8 = 12
)

const messageHeader = 4 // type, 24-bit length

// Message is one plaintext handshake message (RFC 8446 section 4).
type Message struct {
	Type    uint8
	Body    []byte // what follows the four-byte header
	Raw     []byte // header and body: what is hashed into the transcript
	Records int    // TLS records that carried a part of it

	// Offset and End bound the message on the stream. A message that begins its
	// record counts the record's header as its own, so End-Offset of a hello
	// is its size on the wire.
	Offset, End int
}

// ReadHandshake joins handshake messages from the records of one direction
// and returns the plaintext ones; encrypted ones are passed over. Partial is the
// beginning of a message that the records end in, header included. It is data,
// not an error; the error is for a message broken off by another record type,
// which RFC 8446 section 5.1 forbids.
//
// What is plaintext is not written on a record of TLS 1.2, where handshake
// records go on, encrypted, behind a ChangeCipherSpec. TLS 1.3 may put a
// meaningless ChangeCipherSpec (RFC 8446 appendix D.4) or early data in front of a
// second ClientHello or a ServerHello. So behind either only those two
// messages are believed, and only if they look the part.
func ReadHandshake(recs []Record) (msgs []Message, partial []byte, err error) {
	var j joiner
	sealed := false
	for _, r := range recs {
		switch r.Type {
		case RecordHandshake:
			if sealed && !j.pending() && !looksLikeHello(r.Fragment) {
				continue
			}
			j.add(r)
		case RecordChangeCipherSpec, RecordApplicationData:
			if j.pending() {
				return j.msgs, j.buf, fmt.Errorf("join handshake message: record type %d at offset %d comes before its end", r.Type, r.Offset)
			}
			sealed = true
		}
	}
	return j.msgs, j.buf, nil
}

// joiner collects record fragments until they make a message.
type joiner struct {
	msgs    []Message
	buf     []byte // of the message in progress
	records int    // that carried it so far
	offset  int    // where it began
}

func (j *joiner) pending() bool { return len(j.buf) > 0 }

func (j *joiner) add(r Record) {
	if len(r.Fragment) == 0 {
		return // forbidden by RFC 8446 section 5.1, and carries nothing
	}
	data := r.Fragment
	if j.pending() {
		data = append(j.buf, data...)
		j.records++
	} else {
		j.records, j.offset = 1, r.Offset
	}
	for n, ok := messageSize(data); ok; n, ok = messageSize(data) {
		end := r.End() - (len(data) - n)
		j.msgs = append(j.msgs, Message{
			Type: data[0], Body: data[messageHeader:n:n], Raw: data[:n:n],
			Records: j.records, Offset: j.offset, End: end,
		})
		data = data[n:]
		j.records, j.offset = 1, end
	}
	j.buf = data
}

// messageSize returns the length of the message data begins with, header
// included; false: it is not complete.
func messageSize(data []byte) (int, bool) {
	if len(data) < messageHeader {
		return 0, false
	}
	n := messageHeader + int(data[1])<<16 + int(data[2])<<8 + int(data[3])
	return n, n <= len(data)
}

// looksLikeHello reports whether b may begin a ClientHello or a ServerHello of
// TLS 1.0 or later: the type, a length under 64 KiB and the legacy version.
// Encrypted bytes do so about once in 500 million.
func looksLikeHello(b []byte) bool {
	if len(b) == 0 || b[0] != HandshakeClientHello && b[0] != HandshakeServerHello {
		return false
	}
	return len(b) < 2 || b[1] == 0 && (len(b) < 5 || b[4] == 3) && (len(b) < 6 || b[5] <= 4)
}

// MarshalMessage puts the four-byte handshake header in front of a body of less
// than 16 MiB.
func MarshalMessage(typ uint8, body []byte) []byte {
	n := len(body)
	return append([]byte{typ, byte(n >> 16), byte(n >> 8), byte(n)}, body...)
}
