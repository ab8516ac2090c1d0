package peers

import (
	"net"

	"hybridlab/lab"
	"hybridlab/lab/wire"
	"hybridlab/peers/crafted"
)

// Shape is how a crafted peer builds and cuts its hello.
type Shape = crafted.Shape

// craftedDefault is what a crafted peer does when it is told nothing: what
// most browsers do.
var craftedDefault = lab.MustOffer("*x25519mlkem768+*x25519+secp256r1+secp384r1")

// craftedStack is our own TLS: every offer can be made with it.
type craftedStack struct {
	shape     Shape     // where the request has none
	untouched lab.Offer // what the default offer amounts to
}

func (s craftedStack) config(r Request) crafted.Config {
	if r.Offer.Default() {
		r.Offer = s.untouched
	}
	if r.Shape.Plain() {
		r.Shape = s.shape
	}
	cfg := crafted.Config{Groups: r.Offer.Groups(), ServerName: r.sni(), Shape: r.Shape}
	if r.Offer.Explicit() {
		cfg.Shares = r.Offer.Sent()
		if cfg.Shares == nil {
			cfg.Shares = []wire.Group{} // every group withheld: a hello without a share
		}
	}
	for _, l := range r.Offer.Listed {
		cfg.Tiers = append(cfg.Tiers, l.Tier)
	}
	return cfg
}

func (s craftedStack) client(conn net.Conn, r Request) (session, account, error) {
	roots, err := pool(r.CA)
	if err != nil {
		return nil, account{}, err
	}
	cfg := s.config(r)
	cfg.Roots = roots
	c, err := crafted.Client(conn, cfg)
	return c, craftedAccount(c), err
}

func (s craftedStack) server(r Request) (func(net.Conn) (session, account, error), error) {
	chain, key, err := r.Identity.load()
	if err != nil {
		return nil, err
	}
	cfg := s.config(r)
	cfg.Chain, cfg.Key = chain, key
	return func(conn net.Conn) (session, account, error) {
		c, err := crafted.Server(conn, cfg)
		return c, craftedAccount(c), err
	}, nil
}

func craftedAccount(c *crafted.Conn) account {
	a := account{keylog: c.State.KeyLog}
	if c.State.Group != 0 {
		a.end.Group, a.end.Version = c.State.Group.String(), "TLS 1.3"
	}
	if c.State.Leaf != nil {
		a.end.Reached = clip(c.State.Leaf.Subject.CommonName)
	}
	return a
}
