package lab

import (
	"fmt"
	"slices"
	"strings"
)

// PeerID names a peer and its version or flavour: "openssl@trixie".
type PeerID string

// Cell is one point of the matrix: who talks to whom, with which groups,
// over which link and through which boxes.
type Cell struct {
	ID     string   `json:"id"` // derived from the axes, unique in a plan, stable between runs
	Client PeerID   `json:"client"`
	Server PeerID   `json:"server"`
	Offer  Offer    `json:"offer"`  // the client's groups
	Accept Offer    `json:"accept"` // the server's groups
	Link   string   `json:"link"`
	Boxes  []string `json:"boxes,omitempty"` // client to server
	Cert   string   `json:"cert,omitempty"`  // kind of the server's certificate; empty: DefaultCert
	// Fates is the name by which chance treats the cell's packets, where that
	// is not its id: two cells that are compared share it.
	Fates string `json:"-"`
}

// DefaultCert is the kind of certificate a cell does not name: ECDSA P-256,
// one certificate below the CA.
const DefaultCert = "ecdsa-p256"

// WithCert is the cell with a server certificate of another kind.
func (c Cell) WithCert(kind string) Cell {
	if c.Cert = kind; kind == DefaultCert {
		c.Cert = "" // so that one cell has one id
	}
	c.ID = c.id()
	return c
}

// NewCell fills in the id.
func NewCell(client, server PeerID, offer, accept Offer, link string, boxes ...string) Cell {
	c := Cell{Client: client, Server: server, Offer: offer, Accept: accept, Link: link, Boxes: boxes}
	c.ID = c.id()
	return c
}

// id joins the axes: client/server[+cert]/groups/link[/boxes], where groups
// is the one list both ends use or "offer:accept".
func (c Cell) id() string {
	groups := c.Offer.String()
	if accept := c.Accept.String(); accept != groups {
		groups += ":" + accept
	}
	server := string(c.Server)
	if c.Cert != "" {
		server += "+" + c.Cert
	}
	parts := []string{string(c.Client), server, groups, c.Link}
	if len(c.Boxes) > 0 {
		parts = append(parts, strings.Join(c.Boxes, "+"))
	}
	return strings.Join(parts, "/")
}

// ParseCell reads a cell id back.
func ParseCell(id string) (Cell, error) {
	parts := strings.Split(id, "/")
	if len(parts) < 4 || len(parts) > 5 || slices.Contains(parts, "") {
		return Cell{}, fmt.Errorf("parse cell %q: want client/server[+cert]/groups/link[/boxes]", id)
	}
	offer, accept, two := strings.Cut(parts[2], ":")
	if !two {
		accept = offer
	}
	o, err := ParseOffer(offer)
	if err != nil {
		return Cell{}, fmt.Errorf("parse cell %q: %w", id, err)
	}
	a, err := ParseOffer(accept)
	if err != nil {
		return Cell{}, fmt.Errorf("parse cell %q: %w", id, err)
	}
	var boxes []string
	if len(parts) == 5 {
		boxes = strings.Split(parts[4], "+")
	}
	server, cert, _ := strings.Cut(parts[1], "+")
	return NewCell(PeerID(parts[0]), PeerID(server), o, a, parts[3], boxes...).WithCert(cert), nil
}
