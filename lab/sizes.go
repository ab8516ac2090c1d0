package lab

// malformed: a key share that cannot be of its group, whatever came of it. What
// a crafted client breaks on purpose is not judged by this.
func (j *judge) malformed() bool {
	w := j.o.Wire
	for _, h := range w.ClientHellos {
		for _, f := range h.Faults {
			if !j.p.Hellos.spoilt.spoils(f.Group) {
				return j.decide(Failure, CauseShareMalformed, blameClient, "the client's key share for %s cannot be one: %s", f.Group, f.What)
			}
		}
	}
	switch {
	case w.FromServer != nil && w.FromServer.Fault != "":
		return j.decide(Failure, CauseShareMalformed, blameServer, "the server's key share for %s cannot be one: %s", w.FromServer.Group, w.FromServer.Fault)
	case w.ServerHello != nil && w.ServerHello.Fault != "":
		return j.decide(Failure, CauseShareMalformed, j.pathBlame(), "the server's key share for %s cannot be one when it arrives: %s", w.ServerHello.Group, w.ServerHello.Fault)
	}
	return false
}

// sizes: it ended as predicted, and a hello's size is another than the rules
// of its sender, or RFC 8446, make it. What did not end as predicted has a
// better cause.
func (j *judge) sizes() bool {
	_, refused := j.refusal()
	if !refused && !j.completed() {
		return false
	}
	for _, h := range j.v.Hellos {
		if h.Predicted != 0 && h.Bytes != h.Predicted {
			return j.decide(Failure, CauseHelloSizeDiffers, j.sizeBlame(h), "the %s is %d bytes; the rules say %d", h.Message, h.Bytes, h.Predicted)
		}
	}
	// A handshake that completes has the same hellos at both ends, or else two
	// handshakes: whoever ends TLS on the way has hellos of its own.
	if refused && j.rewritten() {
		a, b := j.o.Wire.ClientHellos[0].Bytes, j.o.Wire.AtServer[0].Bytes
		return a != b && j.decide(Failure, CauseHelloSizeDiffers, j.pathBlame(), "the client sent a ClientHello of %d bytes, and the server received one of %d", a, b)
	}
	return false
}

// sizeBlame is the sender; the path, if a server's hello was right when it
// left.
func (j *judge) sizeBlame(h HelloSeen) string {
	from := j.o.Wire.FromServer
	switch {
	case h.Message == messageClientHello:
		return blameClient
	case h.Message == messageServerHello && from != nil && from.Bytes == h.Predicted:
		return j.pathBlame()
	}
	return blameServer
}
