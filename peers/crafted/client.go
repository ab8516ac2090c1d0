package crafted

import (
	"crypto/x509"
	"slices"

	circl "github.com/cloudflare/circl/sign"

	"hybridlab/lab/wire"
)

// opener turns the server's share into the shared secret.
type opener func(answer []byte) ([]byte, error)

// clientHandshake is the client's column of RFC 8446 section 2, figure 1.
func (c *Conn) clientHandshake() error {
	server, shared, err := c.exchangeHellos()
	if err != nil {
		return err
	}
	c.State.Group, c.State.Suite = server.group, server.suite
	clientSecret, serverSecret := c.handshakeSecrets(shared)
	if err := c.records.readKeys(c.schedule.suite, serverSecret); err != nil {
		return err
	}
	c.sendCCS() // before the first protected byte, should that be an alert
	c.records.out.rekey(c.schedule.suite, clientSecret)
	if err := c.readServerAuth(serverSecret); err != nil {
		return err
	}
	clientApp, serverApp := c.applicationSecrets()
	c.sendFinished(clientSecret)
	c.records.out.rekey(c.schedule.suite, clientApp)
	if err := c.records.readKeys(c.schedule.suite, serverApp); err != nil {
		return err
	}
	return c.flush(false)
}

// exchangeHellos sends the ClientHello, follows a HelloRetryRequest, and
// returns the ServerHello with the shared secret it leads to.
func (c *Conn) exchangeHellos() (*serverHello, []byte, error) {
	hello, err := newClientHello(c.cfg.Groups, c.cfg.ServerName)
	if err != nil {
		return nil, nil, err
	}
	c.schedule.clientRandom = hello.random
	openers, err := hello.offer(c.cfg.shares())
	if err != nil {
		return nil, nil, err
	}
	server, err := c.sendHello(hello, false)
	if err != nil {
		return nil, nil, err
	}
	if server.retry {
		first := server
		if openers, err = c.followRetry(hello, server, openers); err != nil {
			return nil, nil, err
		}
		if server, err = c.sendHello(hello, true); err != nil {
			return nil, nil, err
		}
		if server.retry {
			return nil, nil, alertf(alertUnexpectedMessage, "second HelloRetryRequest")
		}
		if server.suite != first.suite {
			return nil, nil, alertf(alertIllegalParameter, "cipher suite changed after the HelloRetryRequest")
		}
	}
	open, ok := openers[server.group]
	if !ok {
		return nil, nil, alertf(alertIllegalParameter, "server chose %v, for which no share was sent", server.group)
	}
	shared, err := open(server.share)
	if err != nil {
		return nil, nil, alertf(alertIllegalParameter, "server's %v share: %v", server.group, err)
	}
	return server, shared, nil
}

// shares are the groups to send a key share for.
func (cfg Config) shares() []wire.Group {
	if cfg.Shares == nil {
		return cfg.Groups[:min(1, len(cfg.Groups))]
	}
	return cfg.Shares
}

// offer makes the key shares of a hello, and keeps what opens the answer.
func (h *clientHello) offer(groups []wire.Group) (map[wire.Group]opener, error) {
	openers := map[wire.Group]opener{}
	h.shares = nil
	for _, g := range groups {
		x, ok := exchanges[g]
		if !ok {
			return nil, alertf(alertInternalError, "cannot make a %v share; the groups known are %v", g, Groups())
		}
		share, open, err := x.generate()
		if err != nil {
			return nil, err
		}
		h.shares = append(h.shares, keyShare{g, share})
		openers[g] = open
	}
	return openers, nil
}

// sendHello sends a ClientHello and reads the answer. The first answer names
// the hash, and with it starts the transcript.
func (c *Conn) sendHello(h *clientHello, again bool) (*serverHello, error) {
	m, err := h.marshal(c.cfg.Shape)
	if err != nil {
		return nil, err
	}
	if again {
		c.sendCCS()
	}
	c.sendMessage(m, c.cfg.Shape.Records...)
	if err := c.flush(true); err != nil {
		return nil, err
	}
	answer, err := c.records.message()
	if err != nil {
		return nil, err
	}
	server, err := parseServerHello(answer)
	if err != nil {
		return nil, err
	}
	suite, ok := suiteByID(server.suite)
	switch {
	case server.version != tls13:
		return nil, alertf(alertProtocolVersion, "server chose version %#04x; only TLS 1.3 is spoken here", server.version)
	case !ok || !slices.Equal(server.sessionID, h.sessionID):
		return nil, alertf(alertIllegalParameter, "server chose what was not offered: suite %#04x", server.suite)
	}
	c.schedule.suite = suite
	if server.retry && !again {
		c.schedule.retry()
	}
	c.schedule.add(answer)
	return server, nil
}

// followRetry changes the hello as the HelloRetryRequest asks, after the
// checks of RFC 8446 section 4.1.4.
func (c *Conn) followRetry(h *clientHello, retry *serverHello, openers map[wire.Group]opener) (map[wire.Group]opener, error) {
	c.State.Retry = true
	_, sent := h.share(retry.group)
	switch {
	case retry.group == 0 && retry.cookie == nil:
		return nil, alertf(alertIllegalParameter, "HelloRetryRequest asks for no change")
	case retry.group != 0 && sent:
		return nil, alertf(alertIllegalParameter, "HelloRetryRequest for %v, whose share was sent", retry.group)
	case retry.group != 0 && !slices.Contains(h.groups, retry.group):
		return nil, alertf(alertIllegalParameter, "HelloRetryRequest for %v, which was not offered", retry.group)
	}
	h.cookie = retry.cookie
	if retry.group == 0 {
		return openers, nil
	}
	h.again = true
	return h.offer([]wire.Group{retry.group})
}

// readServerAuth reads EncryptedExtensions to Finished.
func (c *Conn) readServerAuth(serverSecret []byte) error {
	if _, err := c.expect(msgEncryptedExtensions); err != nil {
		return err
	}
	m, err := c.expect(msgCertificate)
	if err != nil {
		return err
	}
	certs, err := parseCertificate(m)
	if err != nil {
		return err
	}
	c.State.Leaf = certs[0]
	signed := c.schedule.hash()
	if m, err = c.expect(msgCertificateVerify); err != nil {
		return err
	}
	if err := c.cfg.Shape.verifySignature(publicKey(certs[0]), m, signed); err != nil {
		return err
	}
	if err := c.verifyChain(certs); err != nil {
		return err
	}
	return c.readFinished(serverSecret)
}

func (c *Conn) verifyChain(certs []*x509.Certificate) error {
	err := certs[0].VerifyHostname(c.cfg.ServerName)
	for err == nil && len(certs) > 1 {
		issuer, isMLDSA := publicKey(certs[1]).(circl.PublicKey)
		if !isMLDSA {
			break
		}
		if err = verifyMLDSA(certs[0], certs[1], issuer); err == nil {
			certs = certs[1:]
		}
	}
	if err == nil {
		opts := x509.VerifyOptions{Roots: c.cfg.Roots, Intermediates: x509.NewCertPool()}
		for _, cert := range certs[1:] {
			opts.Intermediates.AddCert(cert)
		}
		_, err = certs[0].Verify(opts)
	}
	switch err.(type) {
	case nil:
		return nil
	case x509.UnknownAuthorityError:
		return alertf(alertUnknownCA, "verify server certificate: %v", err)
	}
	return alertf(alertBadCertificate, "verify server certificate: %v", err)
}
