package reports

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"hybridlab/lab"
)

// dropWords say why a packet did not arrive.
var dropWords = map[string]string{
	"mtu-icmp-eaten": "too large for the path, and no ICMP told the sender", "mtu-icmp-sent": "too large for the path; ICMP told the sender",
	"fragment-dropped": "IP fragments do not pass this link", "loss": "lost", "loss-nth": "lost, by its number", "loss-burst": "lost in a burst",
	"queue-full": "the queue was full", "cell-closed": "still on its way when the cell was closed", "box": "by a box",
}

// step is a packet in words.
type step struct {
	At, From, To, What, Fate string
	Packets                  []int // numbers in the capture
	Proof, Lost              bool
}

// steps are the packets of an attempt.
func steps(l lab.Ladder, evidence []int) []step {
	out := make([]step, len(l.Rungs))
	for i, r := range l.Rungs {
		s := step{At: fmt.Sprintf("%.3f", float64(r.Sent.US)/1000), From: "client", To: "server", What: carried(r), Fate: fate(r), Lost: r.Drop != ""}
		if r.Dir == "to client" {
			s.From, s.To = s.To, s.From
		}
		if r.Made {
			s.From = "path"
		}
		for _, at := range append([]lab.Sight{r.Sent}, r.Arrived...) {
			if !slices.Contains(s.Packets, at.Packet) {
				s.Packets = append(s.Packets, at.Packet)
			}
			s.Proof = s.Proof || slices.Contains(evidence, at.Packet)
		}
		out[i] = s
	}
	return out
}

// carried is what a packet is: "SYN, MSS 1,460", "ClientHello bytes 1 to 1,420
// of 1,506".
func carried(r lab.Rung) string {
	var parts []string
	if p := name(r.Proto); p != "" {
		parts = append(parts, p)
	}
	if f := name(r.Flags); f != "" {
		parts = append(parts, strings.ReplaceAll(f, " ", ", "))
	}
	if r.MSS > 0 {
		parts = append(parts, "MSS "+number(r.MSS))
	}
	for _, p := range r.TLS {
		parts = append(parts, pieceWords(p))
	}
	if len(parts) == 0 && r.Payload > 0 {
		parts = []string{count(r.Payload, "byte") + " of payload"}
	}
	s := cmp.Or(strings.Join(parts, ", "), "ACK")
	if r.Resent {
		s += ", sent again"
	}
	return s
}

func pieceWords(p lab.Piece) string {
	s := name(p.What)
	if p.Count > 0 {
		s += fmt.Sprintf(" × %d", p.Count)
	}
	if p.From > 1 || p.To < p.Of {
		s += fmt.Sprintf(" bytes %s to %s of %s", number(p.From), number(p.To), number(p.Of))
	} else {
		s += " (" + count(p.Of, "byte") + ")"
	}
	if p.Records > 0 {
		s += fmt.Sprintf(" in %d records", p.Records)
	}
	return s
}

// fate is what became of a packet; empty: it arrived as it was sent.
func fate(r lab.Rung) string {
	var notes []string
	for _, n := range r.Notes {
		if n := text(n); !slices.Contains(notes, n) {
			notes = append(notes, n)
		}
	}
	said := strings.Join(notes, "; ")
	byBox := strings.HasPrefix(said, "box ")
	switch {
	case r.Drop == "box" && byBox:
		said = "dropped by " + said
	case r.Drop != "":
		said = joinWords("dropped: "+cmp.Or(dropWords[r.Drop], name(r.Drop)), said)
	case r.Made && byBox:
		said = "made by " + said
	case r.Made:
		said = joinWords("neither end sent it", said)
	}
	if n := len(r.Arrived); n > 1 {
		said = joinWords(said, fmt.Sprintf("arrived %d times", n))
	}
	return said
}

func joinWords(a, b string) string { return strings.Trim(a+"; "+b, "; ") }

// brief picks at most `most` steps for a page: those that carry or show
// something. left counts the others.
func brief(all []step, most int) (kept []step, left int) {
	proofs := 0
	for _, s := range all {
		if s.Proof {
			proofs++
		}
	}
	room := max(0, most-proofs)
	for _, s := range all {
		switch {
		case s.Proof && len(kept) < most:
			kept = append(kept, s)
		case s.What != "ACK" && room > 0:
			kept, room = append(kept, s), room-1
		default:
			left++
		}
	}
	return kept, left
}

// packets is the account as a text: every packet, both hellos, both ends.
func packets(b *strings.Builder, v lab.Verdict, o lab.Observation, l lab.Ladder) {
	fmt.Fprintf(b, "Packet by packet: %s\nattempt %d\n\n", name(v.Cell), o.Attempt)
	b.WriteString("Milliseconds since the path was opened; numbers of the packet in captures/both-sides.pcapng, where it\nentered the path and where it left. ** proves the finding, x did not arrive.\n\n")
	for _, s := range steps(l, v.Evidence) {
		fmt.Fprintf(b, "%s %10s  %-9s %-16s  %s\n", mark(s), s.At, numbered(s.Packets), s.From+" > "+s.To, s.What)
		if s.Fate != "" {
			fmt.Fprintf(b, "%44s%s\n", "", s.Fate)
		}
	}
	if l.Left > 0 {
		fmt.Fprintf(b, "\nand %s in the capture\n", count(l.Left, "more packet"))
	}
	for i, h := range l.Hellos {
		helloText(b, i, h)
	}
	fmt.Fprintf(b, "\nThe client says: %s\nThe server says: %s\n", endText(o.Client), endText(o.Server))
	for _, d := range o.Path.Boxes {
		fmt.Fprintf(b, "Box %s did: %s, %s\n", name(d.Box), name(d.Action), count(d.Times, "time"))
	}
}

func mark(s step) string {
	m := [2]byte{' ', ' '}
	if s.Proof {
		m = [2]byte{'*', '*'}
	}
	if s.Lost {
		m[1] = 'x'
	}
	return string(m[:])
}

func numbered(packets []int) string {
	var out []string
	for _, p := range packets {
		out = append(out, fmt.Sprint(p))
	}
	return strings.Join(out, ",")
}

func helloText(b *strings.Builder, i int, h lab.HelloPair) {
	became := "the server received another message"
	switch {
	case !h.Arrived:
		became = "it never reached the server"
	case h.Same:
		became = "the server received the same message, byte for byte"
	}
	fmt.Fprintf(b, "\nClientHello %d: %s.\n\n", i+1, became)
	for _, l := range h.Lines {
		fmt.Fprintf(b, "  %-26s %s\n", name(l.Name), cmp.Or(text(l.Sent), "not there"))
		if h.Arrived && l.Received != l.Sent {
			fmt.Fprintf(b, "  %-26s %s\n", "  as received", cmp.Or(text(l.Received), "not there"))
		}
	}
}

// endText is what a peer says of itself, and what its process came to.
func endText(e lab.End) string {
	if e == (lab.End{}) {
		return "nothing"
	}
	var parts []string
	if e.Done {
		parts = append(parts, "handshake complete")
	} else {
		parts = append(parts, "handshake not complete")
	}
	for _, s := range []string{name(e.Group), name(e.Version)} {
		if s != "" {
			parts = append(parts, s)
		}
	}
	if e.Reached != "" {
		parts = append(parts, "reached "+name(e.Reached))
	}
	if e.TimedOut {
		parts = append(parts, "stopped by the lab at its deadline")
	}
	if e.Exit != 0 {
		parts = append(parts, fmt.Sprintf("exit %d", e.Exit))
	}
	if e.Error != "" {
		parts = append(parts, text(e.Error))
	}
	return strings.Join(parts, ", ")
}
