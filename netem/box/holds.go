package box

import (
	"slices"
	"strconv"

	"hybridlab/lab/capture"
)

// The functions of the table of conditions: what a flow has shown so far.

func (f *Flow) client() *half { return &f.halves[capture.ToServer] }
func (f *Flow) server() *half { return &f.halves[capture.ToClient] }

// later is what is known of something that the client's hello has not shown:
// nothing as long as more of it may come.
func (f *Flow) later() truth {
	if f.hello.whole || f.client().spent() || !f.hello.tls && len(f.client().data) > 0 {
		return no
	}
	return unknown
}

// answer is the same for the server's side.
func (f *Flow) answer() truth {
	if f.reply.whole && !f.reply.retry || f.server().spent() || !f.reply.tls && len(f.server().data) > 0 {
		return no
	}
	return unknown
}

func seg1Incomplete(f *Flow, _ *Seen, _ Condition) truth { return f.client().incomplete() }

func serverSeg1Incomplete(f *Flow, _ *Seen, _ Condition) truth { return f.server().incomplete() }

// incomplete: the first segment is TLS and ends before its first record does.
func (h *half) incomplete() truth {
	if h.segments == 0 {
		return unknown
	}
	first := sniff(h.first, 0)
	return know(first.tls && (first.record < 0 || len(h.first) < recordHeader+first.record))
}

func seg1NoSNI(f *Flow, p *Seen, _ Condition) truth {
	return seg1Lacks(f, p, Condition{Words: []string{"sni"}})
}

func seg1Lacks(f *Flow, _ *Seen, c Condition) truth {
	if f.client().segments == 0 {
		return unknown
	}
	first := sniff(f.client().first, 0)
	has := map[string]bool{"ciphers": first.ciphers, "versions": first.versions.seen, "groups": first.groups.seen, "sni": first.sni.seen}
	return know(first.tls && slices.ContainsFunc(c.Words, func(w string) bool { return !has[w] }))
}

func recordSize(f *Flow, _ *Seen, c Condition) truth {
	if f.hello.record < 0 {
		return f.later()
	}
	return c.compare(f.hello.record)
}

func helloSize(f *Flow, _ *Seen, c Condition) truth {
	if f.hello.message == 0 {
		return f.later()
	}
	return c.compare(f.hello.message)
}

func recordCount(f *Flow, _ *Seen, c Condition) truth {
	n := f.hello.records
	if n == 1 && f.hello.message > f.hello.record {
		n++ // another one has to follow
	}
	if n > c.N {
		return yes
	}
	return f.later()
}

func gapTime(f *Flow, _ *Seen, c Condition) truth {
	if f.client().gap > c.T {
		return yes
	}
	return f.later()
}

func offers(list func(*hello) list) func(*Flow, *Seen, Condition) truth {
	return func(f *Flow, _ *Seen, c Condition) truth {
		l := list(&f.hello)
		if !l.seen {
			return f.later()
		}
		return know(slices.ContainsFunc(l.values, c.among))
	}
}

// offersOnly passes over reserved values (RFC 8701), which offer nothing.
func offersOnly(list func(*hello) list) func(*Flow, *Seen, Condition) truth {
	return func(f *Flow, _ *Seen, c Condition) truth {
		l := list(&f.hello)
		if !l.seen {
			return f.later()
		}
		return know(!slices.ContainsFunc(l.values, func(v uint16) bool { return !isGREASE(v) && !c.among(v) }))
	}
}

func offersNone(list func(*hello) list) func(*Flow, *Seen, Condition) truth {
	any := offers(list)
	return func(f *Flow, p *Seen, c Condition) truth {
		switch any(f, p, c) {
		case yes:
			return no
		case no:
			return know(f.hello.tls)
		}
		return unknown
	}
}

func schemeCount(f *Flow, _ *Seen, c Condition) truth {
	if !f.hello.schemes.seen {
		return f.later()
	}
	return c.compare(len(f.hello.schemes.values))
}

func serverPort(f *Flow, _ *Seen, c Condition) truth {
	return know(slices.Contains(c.Words, strconv.Itoa(int(f.port))))
}

func retrySeen(f *Flow, _ *Seen, _ Condition) truth {
	if f.retried {
		return yes
	}
	return f.answer()
}

// secondHello: without a HelloRetryRequest there is none.
func secondHello(f *Flow, _ *Seen, _ Condition) truth {
	if f.second.whole {
		return yes
	}
	if f.retried {
		return unknown
	}
	return f.answer()
}

func secondName(f *Flow, p *Seen, c Condition) truth {
	if f.second.whole {
		return know(f.second.name != f.hello.name)
	}
	return secondHello(f, p, c)
}

func selected(f *Flow, _ *Seen, c Condition) truth {
	if f.reply.whole && !f.reply.retry {
		return know(c.among(f.reply.group))
	}
	return f.answer()
}

func serverHelloSize(f *Flow, _ *Seen, c Condition) truth {
	if f.reply.record >= 0 && f.reply.whole && !f.reply.retry {
		return c.compare(f.reply.record)
	}
	return f.answer()
}

func serverFirst(f *Flow, _ *Seen, _ Condition) truth {
	if f.client().segments+f.server().segments == 0 {
		return unknown
	}
	return know(f.spokeFirst == capture.ToClient)
}

func packetSize(_ *Flow, p *Seen, c Condition) truth { return c.compare(p.Size) }

func isFragment(_ *Flow, p *Seen, _ Condition) truth { return know(p.Fragment) }
