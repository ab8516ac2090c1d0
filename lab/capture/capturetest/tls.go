package capturetest

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"sync"
	"time"

	"hybridlab/lab/capture"
)

// Flight is what one end wrote to its connection at once.
type Flight struct {
	Dir  capture.Direction
	Data []byte
}

// Talk lets two real TLS stacks talk in memory: handshake, request, answer,
// close_notify from the client. A failed handshake is no error: its flights
// end with the alert.
func Talk(client, server *tls.Config) (flights []Flight, keylog []byte, err error) {
	server = server.Clone()
	if server.Certificates, err = certificate(); err != nil {
		return nil, nil, err
	}
	var log bytes.Buffer
	client = client.Clone()
	client.InsecureSkipVerify, client.KeyLogWriter = true, &log
	if client.ServerName == "" {
		client.ServerName = "hybridlab.test"
	}
	c, s := net.Pipe()
	deadline := time.Now().Add(10 * time.Second)
	if err := errors.Join(c.SetDeadline(deadline), s.SetDeadline(deadline)); err != nil {
		return nil, nil, err
	}
	var tape tape
	done := make(chan struct{})
	go func() {
		defer close(done)
		answer(tls.Server(record(s, &tape, capture.ToClient), server))
	}()
	ask(tls.Client(record(c, &tape, capture.ToServer), client))
	<-done
	return tape.flights, log.Bytes(), nil
}

// ask and answer leave errors to the flights: who reads the capture sees what
// became of the handshake.
func ask(c *tls.Conn) {
	defer c.Close()
	if c.Handshake() == nil {
		_, _ = io.WriteString(c, "GET /token HTTP/1.0\r\n\r\n")
		_, _ = io.ReadAtLeast(c, make([]byte, 64), 1)
	}
}

func answer(s *tls.Conn) {
	defer s.Close()
	if s.Handshake() == nil {
		_, _ = io.ReadAtLeast(s, make([]byte, 64), 1)
		_, _ = io.WriteString(s, "HTTP/1.0 200 OK\r\n\r\nhello\n")
		_, _ = io.Copy(io.Discard, s)
	}
}

type tape struct {
	mu      sync.Mutex
	flights []Flight
}

// recorder notes what its end writes and does not wait for the other end to
// read it: over a bare pipe two ends that write at once wait for each other.
type recorder struct {
	net.Conn
	tape *tape
	dir  capture.Direction
	out  chan []byte
}

func record(c net.Conn, t *tape, dir capture.Direction) *recorder {
	r := &recorder{c, t, dir, make(chan []byte, 1024)}
	go func() {
		defer c.Close()
		for b := range r.out {
			_, _ = c.Write(b) // fails when the other end has closed
		}
	}()
	return r
}

func (r *recorder) Write(b []byte) (int, error) {
	r.tape.mu.Lock()
	r.tape.flights = append(r.tape.flights, Flight{r.dir, bytes.Clone(b)})
	r.tape.mu.Unlock()
	r.out <- bytes.Clone(b)
	return len(b), nil
}

// Close closes the connection once all is written. It is called once.
func (r *recorder) Close() error {
	close(r.out)
	return nil
}

// Play puts flights on the path, segments cut at the MSS.
func (p *Path) Play(flights []Flight) {
	for _, f := range flights {
		p.Send(f.Dir, f.Data)
	}
}

func certificate() ([]tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make test key: %w", err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "hybridlab.test"},
		NotBefore: time.Unix(0, 0), NotAfter: time.Unix(1<<33, 0),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return nil, fmt.Errorf("make test certificate: %w", err)
	}
	return []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}, nil
}
