package crafted

import (
	"bufio"
	"crypto/cipher"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"slices"
	"time"
)

// Record content types, RFC 8446 section 5.1.
const (
	typeChangeCipherSpec = 20
	typeAlert            = 21
	typeHandshake        = 22
	typeApplicationData  = 23
)

const (
	recordHeader = 5
	maxPlaintext = 1 << 14
	maxRecord    = maxPlaintext + 256 // ciphertext, RFC 8446 section 5.2
	maxMessage   = 1 << 16            // bytes of a handshake message we are willing to collect
)

// half is one direction's protection; the zero half is plaintext.
type half struct {
	aead cipher.AEAD
	iv   []byte
	seq  uint64
}

func (h *half) rekey(s suite, secret []byte) {
	h.aead, h.iv = s.aead(secret)
	h.seq = 0
}

// nonce is the per-record nonce of RFC 8446 section 5.3.
func (h *half) nonce() []byte {
	n := slices.Clone(h.iv)
	for i := range 8 {
		n[len(n)-1-i] ^= byte(h.seq >> (8 * i))
	}
	h.seq++
	return n
}

// records is the record layer. What is appended is sent by flush, so that a
// flight is one write unless it is to be cut.
type records struct {
	conn     net.Conn
	r        *bufio.Reader
	in, out  half
	messages []byte // handshake bytes received, not yet taken
	flight   []byte // records not yet sent
	started  bool   // a record went out: RFC 8446 section 5.1 wants 0x0301 on the very first only
}

func newRecords(conn net.Conn) records { return records{conn: conn, r: bufio.NewReader(conn)} }

// append adds data to the flight, as one record or, over 16 KiB, several. A
// handshake message is cut into further records at the given offsets.
func (r *records) append(typ uint8, data []byte, cuts ...int) {
	at := 0
	for _, cut := range append(cuts, len(data)) {
		for cut = min(cut, len(data)); at < cut; {
			n := min(cut-at, maxPlaintext)
			r.appendRecord(typ, data[at:at+n])
			at += n
		}
	}
}

func (r *records) appendRecord(typ uint8, data []byte) {
	header := []byte{typ, 3, 3, 0, 0}
	if !r.started && typ == typeHandshake {
		header[2] = 1
	}
	r.started = true
	if r.out.aead == nil || typ == typeChangeCipherSpec {
		binary.BigEndian.PutUint16(header[3:], uint16(len(data)))
		r.flight = append(append(r.flight, header...), data...)
		return
	}
	header[0] = typeApplicationData
	binary.BigEndian.PutUint16(header[3:], uint16(len(data)+1+r.out.aead.Overhead()))
	r.flight = append(r.flight, header...)
	inner := append(slices.Clone(data), typ)
	r.flight = r.out.aead.Seal(r.flight, r.out.nonce(), inner, header)
}

// flush sends the flight in one write, or, given offsets, beginning a new write
// at each of them, a gap after the one before.
func (r *records) flush(cuts []int, gap time.Duration) error {
	flight := r.flight
	r.flight = nil
	at := 0
	for _, cut := range append(slices.Clone(cuts), len(flight)) {
		cut = min(cut, len(flight))
		if cut <= at {
			continue
		}
		if at > 0 && gap > 0 {
			time.Sleep(gap)
		}
		if _, err := r.conn.Write(flight[at:cut]); err != nil {
			return err
		}
		at = cut
	}
	return nil
}

// read returns the next record that is not a ChangeCipherSpec, in the clear. An
// alert comes as an error: io.EOF for close_notify.
func (r *records) read() (typ uint8, data []byte, err error) {
	for {
		header, body, err := r.readRaw()
		if err != nil {
			return 0, nil, err
		}
		typ, data, err := r.open(header, body)
		switch {
		case err != nil:
			return 0, nil, err
		case typ == typeChangeCipherSpec:
			continue // RFC 8446 appendix D.4: sent for middleboxes, dropped without further look
		case typ == typeAlert:
			return 0, nil, readAlert(data)
		case typ != typeHandshake && typ != typeApplicationData:
			return 0, nil, alertf(alertUnexpectedMessage, "record of type %d", typ)
		}
		return typ, data, nil
	}
}

func (r *records) readRaw() (header, body []byte, err error) {
	header = make([]byte, recordHeader)
	if _, err := io.ReadFull(r.r, header); err != nil {
		if err == io.EOF {
			err = io.ErrUnexpectedEOF // no close_notify came
		}
		return nil, nil, err
	}
	n := int(binary.BigEndian.Uint16(header[3:]))
	if header[1] != 3 {
		return nil, nil, alertf(alertProtocolVersion, "not a TLS record: it begins with % x", header)
	}
	if n > maxRecord {
		return nil, nil, alertf(alertRecordOverflow, "record of %d bytes, at most %d are allowed", n, maxRecord)
	}
	body = make([]byte, n)
	_, err = io.ReadFull(r.r, body)
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return header, body, err
}

// open removes a record's protection.
func (r *records) open(header, body []byte) (uint8, []byte, error) {
	if r.in.aead == nil || header[0] == typeChangeCipherSpec {
		return header[0], body, nil
	}
	if header[0] != typeApplicationData {
		if header[0] == typeAlert { // some stacks alert in the clear where they have no keys yet
			return typeAlert, body, nil
		}
		return 0, nil, alertf(alertUnexpectedMessage, "unprotected record of type %d", header[0])
	}
	plain, err := r.in.aead.Open(body[:0], r.in.nonce(), body, header)
	if err != nil {
		return 0, nil, alertf(alertBadRecordMAC, "record does not decrypt")
	}
	end := len(plain)
	for end > 0 && plain[end-1] == 0 {
		end-- // padding, RFC 8446 section 5.4
	}
	if end == 0 {
		return 0, nil, alertf(alertUnexpectedMessage, "record without a content type")
	}
	return plain[end-1], plain[:end-1], nil
}

func readAlert(data []byte) error {
	switch {
	case len(data) != 2:
		return alertf(alertDecodeError, "alert of %d bytes", len(data))
	case data[1] == alertCloseNotify:
		return io.EOF
	}
	return RemoteAlert{data[1]}
}

// message returns the next handshake message, header included, however it was
// cut into records.
func (r *records) message() ([]byte, error) {
	for {
		if len(r.messages) >= 4 {
			n := 4 + int(r.messages[1])<<16 + int(r.messages[2])<<8 + int(r.messages[3])
			if n > maxMessage {
				return nil, alertf(alertDecodeError, "handshake message of %d bytes, at most %d are read", n, maxMessage)
			}
			if len(r.messages) >= n {
				m := r.messages[:n:n]
				r.messages = r.messages[n:]
				return m, nil
			}
		}
		typ, data, err := r.read()
		if errors.Is(err, io.EOF) {
			return nil, io.ErrUnexpectedEOF
		}
		if err != nil {
			return nil, err
		}
		if typ != typeHandshake || len(data) == 0 {
			return nil, alertf(alertUnexpectedMessage, "record of type %d and %d bytes during the handshake", typ, len(data))
		}
		r.messages = append(r.messages, data...)
	}
}

// readKeys changes the keys for what is read from here on. RFC 8446 section 5.1:
// no message may lie across the change.
func (r *records) readKeys(s suite, secret []byte) error {
	if len(r.messages) > 0 {
		return alertf(alertUnexpectedMessage, "%d handshake bytes before a key change", len(r.messages))
	}
	r.in.rekey(s, secret)
	return nil
}
