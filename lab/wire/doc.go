// Package wire decodes what TLS peers put on the wire, and knows every key
// exchange code point they may put there.
//
// The lab believes the wire and nothing else: which group was negotiated is
// read from the ServerHello, never from a peer's log. So this decoder differs
// from one inside a TLS stack in three ways.
//
// It does not refuse. A stack may answer the first odd byte with an alert; here
// the odd byte is the finding. Every parser returns what it could decode
// together with the first error, and a hello of which only the first segment
// arrived still yields its cipher suites. ErrTruncated tells "the bytes end
// here" from "the bytes are wrong".
//
// It does not forget. Extension order, unknown extensions, GREASE and repeated
// entries are kept as they came: Marshal of a decoded hello gives the bytes
// that were decoded. Offsets say where things were in the stream, because
// whether the server name was inside the first segment is a question
// middleboxes have opinions about.
//
// It does not copy. Slices in a result refer to the input, except where a
// handshake message was cut into several records and had to be rejoined.
//
// The layers, from the bytes of one direction of a TCP stream up:
//
//	ReadRecords    stream        -> records, incomplete tail    RFC 8446 section 5.1
//	ReadHandshake  records       -> plaintext messages          RFC 8446 section 4
//	ParseAlert     record        -> alert                       RFC 8446 section 6
//	Parse...       message body  -> ClientHello, ServerHello, ServerKeyExchange
//
// Groups, LookupGroup and the methods of Group are the registry. It holds final,
// draft, private and GREASE code points; where one number has meant several
// things its row says so, and where one name has had several numbers each
// number has a name of its own.
package wire
