// Package crafted is a small TLS 1.3 client and server (RFC 8446) of the lab's
// own, for what no stock stack can be told to do: any key exchange group, any
// set of key shares in any order, a group advertised with its share held back,
// a HelloRetryRequest on demand, a hello padded to a size, sprinkled with GREASE,
// cut into records and writes at chosen bytes, key shares that are wrong in a
// known way (flaw.go).
//
// It is honest TLS: a crafted client completes its handshakes with crypto/tls
// and OpenSSL, verifies the certificate it is shown and checks every MAC. It is
// not a library to deploy: no PSK, no client certificates, no KeyUpdate, no
// defence against side channels.
//
// It shares no code with the lab's decoder (lab/wire lends it names only), so
// that a misreading of the RFC cannot hide in both, and none with crypto/tls. The
// KEMs are circl's, for the same reason: a handshake between crafted and
// crypto/tls is two implementations of ML-KEM agreeing.
//
// A handshake is a few straight-line steps, one file each: hello.go builds and
// reads the hellos, kex.go has the groups, keyschedule.go the secrets, record.go
// the record layer; client.go and server.go read like RFC 8446 section 2.
package crafted

import (
	"cmp"
	"crypto"
	"crypto/hmac"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"reflect"
	"time"

	"hybridlab/lab/wire"
)

// Config is what one end is set up to do. A Config may serve many connections
// at once; nothing in it is written to.
type Config struct {
	// Groups are the groups offered or accepted, best first. Mandatory.
	Groups []wire.Group
	// Shares are the groups a client sends a key share for, in this order; nil:
	// the first group only; empty: none at all, which forces a HelloRetryRequest.
	Shares []wire.Group
	// Tiers rank the groups of a server: Tiers[i] belongs to Groups[i], 0 is
	// best. The best tier with a common group wins, even at the price of a
	// HelloRetryRequest; inside it a post-quantum group at the same price, then
	// a group whose share came, then order. Nil: all groups are in one tier.
	Tiers []int

	ServerName string         // client: sent as SNI, and what the certificate must be for
	Roots      *x509.CertPool // client: whom to trust. Mandatory
	Chain      [][]byte       // server: DER, leaf first. Mandatory
	Key        crypto.Signer  // server: ECDSA P-256, RSA or ML-DSA. Mandatory

	Shape Shape
}

// Shape is what this end's hello looks like on the wire. The zero Shape is
// plain: no padding, one record, one write.
type Shape struct {
	// PadTo pads the ClientHello with the padding extension (RFC 7685) until
	// record header and message are this many bytes. A hello fewer than 4
	// bytes short, the cost of an empty extension, comes out that much longer.
	PadTo int `json:"pad_to,omitempty"`
	// GREASE adds reserved values (RFC 8701) to every list of the ClientHello.
	GREASE bool `json:"grease,omitempty"`
	// SigAlgs are signature schemes advertised after the usual ones; of these
	// 0x0904 to 0x0906, ML-DSA, are understood.
	SigAlgs []uint16 `json:"sig_algs,omitempty"`
	// CertSigAlgs are signature schemes advertised in signature_algorithms_cert,
	// after those that are really understood; nil: that extension is not sent.
	CertSigAlgs []uint16 `json:"cert_sig_algs,omitempty"`
	// Records cuts the hello message (ClientHello or ServerHello): a new TLS
	// record begins at each of these byte offsets of the message.
	Records []int `json:"records,omitempty"`
	// Segments cuts the flight that begins with the hello: a new write begins
	// at each of these byte offsets of the stream, after a pause of Gap.
	Segments []int         `json:"segments,omitempty"`
	Gap      time.Duration `json:"gap,omitempty"`
	// Retry makes a server answer every first hello with a HelloRetryRequest:
	// for the share it lacks, or, where it lacks none, for a cookie alone.
	Retry bool `json:"retry,omitempty"`
	// Death, with Retry, is how a server breaks off after that.
	Death Death `json:"death,omitempty"`
	// Flaw spoils the client's post-quantum shares, with Classical its
	// classical ones instead.
	Flaw      Flaw `json:"flaw,omitempty"`
	Classical bool `json:"classical,omitempty"`
	// LateName puts server_name last among the extensions, behind the shares
	// and so, with a hybrid share, out of the first TCP segment.
	LateName bool `json:"late_name,omitempty"`
}

// Plain reports whether nothing is to be shaped.
func (s Shape) Plain() bool { return reflect.ValueOf(s).IsZero() }

// State is what a handshake came to. After an error it holds what was known
// by then.
type State struct {
	Done  bool
	Group wire.Group // 0: no ServerHello was sent or read
	Suite uint16     // cipher suite
	Retry bool       // a HelloRetryRequest was sent or followed
	Leaf  *x509.Certificate
	// KeyLog are the secrets in the NSS format every dissector reads.
	KeyLog []byte
}

// Conn is a TLS connection. Read and Write may run side by side; each of them
// serves one goroutine at a time.
type Conn struct {
	State State

	net      net.Conn
	cfg      Config
	records  records
	schedule schedule
	ccsSent  bool
	err      error  // first message that could not be encoded
	pending  []byte // application data read but not asked for yet
}

// Client performs a client's handshake on conn, whose deadlines are the
// caller's business. The Conn is returned with the error too: its State says how
// far it came. The caller closes conn.
func Client(conn net.Conn, cfg Config) (*Conn, error) {
	c := newConn(conn, cfg)
	if err := c.clientHandshake(); err != nil {
		return c, fmt.Errorf("client handshake: %w", c.abort(err))
	}
	c.State.Done = true
	return c, nil
}

// Server performs a server's handshake on conn; see Client.
func Server(conn net.Conn, cfg Config) (*Conn, error) {
	c := newConn(conn, cfg)
	if err := c.serverHandshake(); err != nil {
		return c, fmt.Errorf("server handshake: %w", c.abort(err))
	}
	c.State.Done = true
	return c, nil
}

func newConn(conn net.Conn, cfg Config) *Conn {
	return &Conn{net: conn, cfg: cfg, records: newRecords(conn)}
}

// abort tells the other end why, where the reason is one of ours.
func (c *Conn) abort(err error) error {
	var a alertError
	if errors.As(err, &a) {
		c.records.append(typeAlert, []byte{2, a.code})
		return errors.Join(err, c.records.flush(nil, 0))
	}
	return err
}

// Read reads application data. It returns io.EOF after the other end's
// close_notify, io.ErrUnexpectedEOF where the stream just stops.
func (c *Conn) Read(b []byte) (int, error) {
	for len(c.pending) == 0 {
		typ, data, err := c.records.read()
		if err != nil {
			return 0, err
		}
		switch typ {
		case typeApplicationData:
			c.pending = data
		case typeHandshake: // NewSessionTicket: nothing here resumes
			if len(data) > 0 && data[0] == msgKeyUpdate {
				return 0, c.abort(alertf(alertUnexpectedMessage, "KeyUpdate is not supported"))
			}
		}
	}
	n := copy(b, c.pending)
	c.pending = c.pending[n:]
	return n, nil
}

// Write sends application data.
func (c *Conn) Write(b []byte) (int, error) {
	c.records.append(typeApplicationData, b)
	if err := c.flush(false); err != nil {
		return 0, err
	}
	return len(b), nil
}

// CloseWrite sends close_notify; reading goes on.
func (c *Conn) CloseWrite() error {
	c.records.append(typeAlert, []byte{1, alertCloseNotify})
	return c.flush(false)
}

// Close sends close_notify and closes the connection underneath.
func (c *Conn) Close() error {
	return errors.Join(c.CloseWrite(), c.net.Close())
}

func (c *Conn) keyLog(label string, secret []byte) {
	c.State.KeyLog = fmt.Appendf(c.State.KeyLog, "%s %x %x\n", label, c.schedule.clientRandom, secret)
}

// send adds a handshake message to the flight and the transcript. Its error is
// flush's.
func (c *Conn) send(typ uint8, body part) {
	m, err := message(typ, body)
	c.err = cmp.Or(c.err, err)
	c.sendMessage(m)
}

func (c *Conn) sendMessage(m []byte, cuts ...int) {
	c.schedule.add(m)
	c.records.append(typeHandshake, m, cuts...)
}

// sendCCS adds the ChangeCipherSpec that makes TLS 1.3 look like a resumed
// TLS 1.2 session to middleboxes, once: RFC 8446 appendix D.4.
func (c *Conn) sendCCS() {
	if !c.ccsSent {
		c.records.append(typeChangeCipherSpec, []byte{1})
		c.ccsSent = true
	}
}

// flush sends the flight in one write, or as the shape cuts it where it
// begins with a hello.
func (c *Conn) flush(withHello bool) error {
	if c.err != nil {
		return c.err
	}
	if withHello {
		return c.records.flush(c.cfg.Shape.Segments, c.cfg.Shape.Gap)
	}
	return c.records.flush(nil, 0)
}

// expect reads a handshake message of one type into the transcript.
func (c *Conn) expect(typ uint8) ([]byte, error) {
	m, err := c.records.message()
	if err != nil {
		return nil, err
	}
	if _, err := messageBody(m, typ); err != nil {
		return nil, err
	}
	c.schedule.add(m)
	return m, nil
}

func (c *Conn) sendFinished(secret []byte) {
	c.send(msgFinished, raw(c.schedule.suite.finished(secret, c.schedule.hash())))
}

func (c *Conn) readFinished(secret []byte) error {
	want := c.schedule.suite.finished(secret, c.schedule.hash())
	m, err := c.expect(msgFinished)
	if err != nil {
		return err
	}
	if !hmac.Equal(m[4:], want) {
		return alertf(alertDecryptError, "the other end's Finished is wrong: it saw another handshake")
	}
	return nil
}

// handshakeSecrets are the secrets both ends' handshake keys come from; the
// transcript ends with the ServerHello.
func (c *Conn) handshakeSecrets(shared []byte) (client, server []byte) {
	client, server = c.schedule.enterHandshake(shared)
	c.keyLog("CLIENT_HANDSHAKE_TRAFFIC_SECRET", client)
	c.keyLog("SERVER_HANDSHAKE_TRAFFIC_SECRET", server)
	return client, server
}

// applicationSecrets are the same for application data; the transcript ends
// with the server's Finished.
func (c *Conn) applicationSecrets() (client, server []byte) {
	client, server = c.schedule.enterApplication()
	c.keyLog("CLIENT_TRAFFIC_SECRET_0", client)
	c.keyLog("SERVER_TRAFFIC_SECRET_0", server)
	return client, server
}
