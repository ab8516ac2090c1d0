package wire

import "fmt"

// Record content types (RFC 8446 section 5.1).
const (
	RecordChangeCipherSpec uint8 = 20
	RecordAlert            uint8 = 21
	RecordHandshake        uint8 = 22
	RecordApplicationData  uint8 = 23
	recordHeartbeat        uint8 = 24 // RFC 6520
)

const (
	recordHeader = 5 // type, version, length

	// maxFragment bounds a record: 2^14 bytes of plaintext, and as much
	// expansion as TLS 1.2 allows its ciphers (RFC 5246 section 6.2.3; RFC 8446
	// section 5.2 allows less).
	maxFragment = 1<<14 + 2048
)

// Record is one TLS record as it was sent (RFC 8446 section 5.1).
type Record struct {
	Type     uint8
	Version  uint16 // legacy_record_version, 0x0301 or 0x0303
	Fragment []byte
	Offset   int // of the record's header in the stream
}

// End is the stream offset just after the record.
func (r Record) End() int { return r.Offset + recordHeader + len(r.Fragment) }

// ReadRecords cuts one direction of a stream into TLS records. An incomplete
// record at the end is rest, not an error: the stream may be cut there. The
// error is for bytes that cannot be TLS; rest then begins with them and
// recs holds what came before.
func ReadRecords(stream []byte) (recs []Record, rest []byte, err error) {
	for off := 0; off < len(stream); {
		head := stream[off:]
		if err := checkHeader(head); err != nil {
			return recs, head, fmt.Errorf("read record at offset %d: %w", off, err)
		}
		if len(head) < recordHeader {
			return recs, head, nil
		}
		end := recordHeader + int(head[3])<<8 + int(head[4])
		if len(head) < end {
			return recs, head, nil
		}
		recs = append(recs, newRecord(head, head[recordHeader:end:end], off))
		off += end
	}
	return recs, nil, nil
}

// TailRecord makes a record of the rest ReadRecords returned, with as much of
// its fragment as there is, so that the beginning of a message that never
// arrived whole can still be read. End is the length of the stream rest ended;
// false: not even the header is complete.
func TailRecord(rest []byte, end int) (Record, bool) {
	if len(rest) <= recordHeader || checkHeader(rest) != nil {
		return Record{}, false
	}
	return newRecord(rest, rest[recordHeader:len(rest):len(rest)], end-len(rest)), true
}

func newRecord(head, fragment []byte, off int) Record {
	return Record{Type: head[0], Version: uint16(head[1])<<8 | uint16(head[2]), Fragment: fragment, Offset: off}
}

// checkHeader looks at as much of a record header as there is.
func checkHeader(b []byte) error {
	switch {
	case b[0] < RecordChangeCipherSpec || b[0] > recordHeartbeat:
		return fmt.Errorf("not TLS: content type %d", b[0])
	case len(b) > 1 && b[1] != 3:
		return fmt.Errorf("not TLS: major version %d", b[1])
	case len(b) >= recordHeader && int(b[3])<<8+int(b[4]) > maxFragment:
		return fmt.Errorf("not TLS: a fragment of %d bytes is over the limit of %d", int(b[3])<<8+int(b[4]), maxFragment)
	}
	return nil
}

// AppendRecord appends a record to b. A fragment of more than 65535 bytes
// has no encoding and panics.
func AppendRecord(b []byte, typ uint8, version uint16, fragment []byte) []byte {
	n := len(fragment)
	if n > 0xffff {
		panic(fmt.Sprintf("wire: a record of %d bytes", n))
	}
	b = append(b, typ, byte(version>>8), byte(version), byte(n>>8), byte(n))
	return append(b, fragment...)
}
