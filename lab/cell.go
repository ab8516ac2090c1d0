package lab

import "strings"

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
}

// NewCell fills in the id.
func NewCell(client, server PeerID, offer, accept Offer, link string, boxes ...string) Cell {
	c := Cell{Client: client, Server: server, Offer: offer, Accept: accept, Link: link, Boxes: boxes}
	c.ID = c.id()
	return c
}

// id joins the axes: client/server/groups/link[/boxes], where groups is the
// one list both ends use or "offer:accept".
func (c Cell) id() string {
	groups := c.Offer.String()
	if accept := c.Accept.String(); accept != groups {
		groups += ":" + accept
	}
	parts := []string{string(c.Client), string(c.Server), groups, c.Link}
	if len(c.Boxes) > 0 {
		parts = append(parts, strings.Join(c.Boxes, "+"))
	}
	return strings.Join(parts, "/")
}
