package crafted

import (
	"crypto/rand"
	"slices"

	"golang.org/x/crypto/cryptobyte"

	"hybridlab/lab/wire"
)

// serverHandshake is the server's column of RFC 8446 section 2, figure 1.
func (c *Conn) serverHandshake() error {
	hello, group, err := c.readHellos()
	if err != nil {
		return err
	}
	shared, err := c.answerHello(hello, group)
	if err != nil {
		return err
	}
	c.sendCCS()
	clientSecret, serverSecret := c.handshakeSecrets(shared)
	c.records.out.rekey(c.schedule.suite, serverSecret)
	if err := c.sendAuth(serverSecret); err != nil {
		return err
	}
	if err := c.flush(true); err != nil {
		return err
	}
	if err := c.records.readKeys(c.schedule.suite, clientSecret); err != nil {
		return err
	}
	clientApp, serverApp := c.applicationSecrets()
	if err := c.readFinished(clientSecret); err != nil {
		return err
	}
	c.records.out.rekey(c.schedule.suite, serverApp)
	return c.records.readKeys(c.schedule.suite, clientApp)
}

// readHellos reads the ClientHello, and a second one where the first needs a
// HelloRetryRequest, and settles suite and group.
func (c *Conn) readHellos() (*clientHello, wire.Group, error) {
	m, hello, err := c.readHello()
	if err != nil {
		return nil, 0, err
	}
	c.schedule.clientRandom = hello.random
	if c.schedule.suite, err = pickSuite(hello); err != nil {
		return nil, 0, err
	}
	group, err := c.cfg.pick(hello)
	if err != nil {
		return nil, 0, err
	}
	c.schedule.add(m)
	_, haveShare := hello.share(group)
	if haveShare && !c.cfg.Shape.Retry {
		return hello, group, nil
	}
	if err := c.sendRetry(hello, group, haveShare); err != nil {
		return nil, 0, err
	}
	if err := c.die(); err != nil {
		return nil, 0, err
	}
	again, err := c.readSecondHello(hello, group)
	return again, group, err
}

func (c *Conn) readHello() ([]byte, *clientHello, error) {
	m, err := c.records.message()
	if err != nil {
		return nil, nil, err
	}
	h, err := parseClientHello(m)
	switch {
	case err != nil:
		return nil, nil, err
	case !slices.Contains(h.versions, tls13):
		return nil, nil, alertf(alertProtocolVersion, "client does not offer TLS 1.3")
	case h.groups == nil || h.sigAlgs == nil:
		return nil, nil, alertf(alertMissingExtension, "client sent no supported_groups or signature_algorithms")
	}
	s, err := signing(c.cfg.Key)
	if err == nil && !slices.Contains(h.sigAlgs, s.id) {
		err = alertf(alertHandshakeFailure, "client does not take scheme %#04x, the one this server signs with", s.id)
	}
	return m, h, err
}

func pickSuite(h *clientHello) (suite, error) {
	for _, s := range suites {
		if slices.Contains(h.suites, s.id) {
			return s, nil
		}
	}
	return suite{}, alertf(alertHandshakeFailure, "no cipher suite in common: client offers %04x", h.suites)
}

// pick chooses the group: best tier first, inside it post-quantum even where
// that needs a HelloRetryRequest (draft-ietf-tls-key-share-prediction section 4
// says why), then a share that came, then the server's order.
func (cfg Config) pick(h *clientHello) (wire.Group, error) {
	type candidate struct {
		group wire.Group
		rank  [3]int // tier, classical, without a share
	}
	var common []candidate
	for i, g := range cfg.Groups {
		if !slices.Contains(h.groups, g) {
			continue
		}
		k := candidate{group: g}
		if i < len(cfg.Tiers) {
			k.rank[0] = cfg.Tiers[i]
		}
		if !g.PostQuantum() {
			k.rank[1] = 1
		}
		if _, ok := h.share(g); !ok {
			k.rank[2] = 1
		}
		common = append(common, k)
	}
	if len(common) == 0 {
		return 0, alertf(alertHandshakeFailure, "no group in common: client offers %v, server takes %v", h.groups, cfg.Groups)
	}
	return slices.MinFunc(common, func(a, b candidate) int { return slices.Compare(a.rank[:], b.rank[:]) }).group, nil
}

// sendRetry sends a HelloRetryRequest: for the group, or for a cookie alone
// where the share is there already (asking for it again would be illegal).
func (c *Conn) sendRetry(h *clientHello, group wire.Group, haveShare bool) error {
	retry := &serverHello{retry: true, random: retryRandom, sessionID: h.sessionID, suite: c.schedule.suite.id, group: group}
	if haveShare {
		retry.group, retry.cookie = 0, []byte("hybridlab")
	}
	m, err := retry.marshal()
	if err != nil {
		return err
	}
	c.State.Retry = true
	c.schedule.retry()
	c.sendMessage(m)
	c.sendCCS()
	return c.flush(false)
}

// readSecondHello reads the answer to the HelloRetryRequest. RFC 8446 section
// 4.1.2: it must bring exactly the share that was asked for.
func (c *Conn) readSecondHello(first *clientHello, group wire.Group) (*clientHello, error) {
	m, again, err := c.readHello()
	if err != nil {
		return nil, err
	}
	c.schedule.add(m)
	_, ok := again.share(group)
	_, had := first.share(group)
	switch {
	case !ok || !had && len(again.shares) != 1:
		return nil, alertf(alertIllegalParameter, "second ClientHello does not bring the one share asked for, %v", group)
	case had && string(again.cookie) != "hybridlab":
		return nil, alertf(alertIllegalParameter, "second ClientHello does not return the cookie")
	case !slices.Equal(again.random, first.random) || !slices.Equal(again.groups, first.groups):
		return nil, alertf(alertIllegalParameter, "second ClientHello differs where it must not")
	}
	return again, nil
}

// answerHello sends the ServerHello and returns the shared secret.
func (c *Conn) answerHello(h *clientHello, group wire.Group) ([]byte, error) {
	x, ok := exchanges[group]
	if !ok {
		return nil, alertf(alertInternalError, "cannot compute %v; the groups known are %v", group, Groups())
	}
	share, _ := h.share(group)
	answer, shared, err := x.seal(share)
	if err != nil {
		return nil, alertf(alertIllegalParameter, "client's %v share: %v", group, err)
	}
	hello := &serverHello{random: make([]byte, 32), sessionID: h.sessionID, suite: c.schedule.suite.id, group: group, share: answer}
	if _, err := rand.Read(hello.random); err != nil {
		return nil, err
	}
	m, err := hello.marshal()
	if err != nil {
		return nil, err
	}
	c.State.Group, c.State.Suite = group, hello.suite
	c.sendMessage(m, c.cfg.Shape.Records...)
	return shared, nil
}

// sendAuth adds EncryptedExtensions to Finished to the flight.
func (c *Conn) sendAuth(serverSecret []byte) error {
	c.send(msgEncryptedExtensions, extensions(nil))
	c.send(msgCertificate, c.cfg.certificate)
	s, err := signing(c.cfg.Key)
	if err != nil {
		return err
	}
	sig, err := s.sign(c.cfg.Key, c.schedule.hash())
	if err != nil {
		return err
	}
	c.send(msgCertificateVerify, func(b *cryptobyte.Builder) {
		b.AddUint16(s.id)
		vector16(raw(sig))(b)
	})
	c.sendFinished(serverSecret)
	return nil
}

// certificate is the body of RFC 8446 section 4.4.2.
func (cfg Config) certificate(b *cryptobyte.Builder) {
	b.AddUint8(0) // no request context
	b.AddUint24LengthPrefixed(func(b *cryptobyte.Builder) {
		for _, der := range cfg.Chain {
			b.AddUint24LengthPrefixed(raw(der))
			b.AddUint16(0) // no extensions
		}
	})
}
