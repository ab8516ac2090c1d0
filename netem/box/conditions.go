package box

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"hybridlab/lab/yaml"
)

// Condition is one thing that must hold of a connection, or of a packet.
type Condition struct {
	Text  string // as it was written
	Name  string
	Under bool          // name<N instead of name>N
	N     int           // name>N
	T     time.Duration // name>T
	Codes []uint16      // name{a,b}: any of them
	Words []string      // name{a,b}: any of them
}

// truth is what is known of a condition: a connection shows itself bit by bit.
type truth uint8

const (
	unknown truth = iota
	no
	yes
)

func know(v bool) truth {
	if v {
		return yes
	}
	return no
}

// form is how a condition is written.
type form uint8

const (
	flag   form = iota // name
	over               // name>N
	under              // name<N
	either             // name>N or name<N
	longer             // name>20ms
	codes              // name{0x11ec,29,grease}
	words              // name{word,word}
	ports              // name{3307}
)

var formTexts = map[form]string{flag: "", over: ">N", under: "<N", either: ">N or <N", longer: ">TIME", codes: "{CODE,...}", words: "{WORD,...}", ports: "{PORT,...}"}

// kind is a row of the table of conditions.
type kind struct {
	name   string
	form   form
	about  string
	words  []string // that a words condition may name
	most   int      // largest number that makes sense
	stream bool     // of layers that read a stream
	packet bool     // of the packet layer
	each   bool     // holds of single packets, not of the connection
	holds  func(f *Flow, p *Seen, c Condition) truth
}

// Largest numbers that a peer can reach: RFC 8446 sections 4 and 5.2.
const (
	maxRecord  = 1<<14 + 256
	maxMessage = 1<<24 - 1
	maxIP      = 65535
	maxSchemes = 1<<15 - 1
)

var conditions []kind

// init, because the functions look conditions up again.
func init() {
	conditions = []kind{
		// How the hello is cut into segments and records.
		{name: "seg1_incomplete_record", packet: true, about: "the client's first segment with data does not hold the whole first TLS record", holds: seg1Incomplete},
		{name: "seg1_no_sni", packet: true, about: "the server_name extension is not wholly in the client's first segment", holds: seg1NoSNI},
		{name: "seg1_lacks", form: words, words: []string{"ciphers", "versions", "groups", "sni"}, packet: true,
			about: "one of these is not wholly in the client's first segment", holds: seg1Lacks},
		{name: "read1_short", stream: true, about: "the first read() returns less than the first TLS record", holds: seg1Incomplete},
		{name: "rec", form: over, most: maxRecord, packet: true, stream: true, about: "bytes of the first TLS record, header not counted", holds: recordSize},
		{name: "ch", form: either, most: maxMessage, packet: true, stream: true, about: "bytes of the ClientHello message, its header of 4 counted", holds: helloSize},
		{name: "records", form: over, most: maxMessage, packet: true, stream: true, about: "TLS records that carry the ClientHello", holds: recordCount},
		{name: "frag1", form: under, most: maxRecord, packet: true, stream: true, about: "bytes of the ClientHello in its first record", holds: recordSize},
		{name: "gap", form: longer, packet: true, stream: true, about: "time between two segments of the ClientHello", holds: gapTime},

		// What the hello says.
		{name: "grp_offered", form: codes, packet: true, stream: true, about: "supported_groups lists one of these", holds: offers((*hello).offeredGroups)},
		{name: "grp_only", form: codes, packet: true, stream: true, about: "supported_groups lists nothing but these", holds: offersOnly((*hello).offeredGroups)},
		{name: "ks_offered", form: codes, packet: true, stream: true, about: "key_share has a share of one of these groups", holds: offers((*hello).offeredShares)},
		{name: "ks_lacks", form: codes, packet: true, stream: true, about: "key_share has a share of none of these groups", holds: offersNone((*hello).offeredShares)},
		{name: "sigalg", form: codes, packet: true, stream: true, about: "signature_algorithms lists one of these", holds: offers((*hello).offeredSchemes)},
		{name: "sigalg_cert", form: codes, packet: true, stream: true, about: "signature_algorithms_cert lists one of these", holds: offers((*hello).offeredCertSchemes)},
		{name: "sigalg_count", form: over, most: maxSchemes, packet: true, stream: true, about: "schemes that signature_algorithms lists", holds: schemeCount},
		{name: "version", form: codes, packet: true, stream: true, about: "supported_versions lists one of these", holds: offers((*hello).offeredVersions)},
		{name: "version_only", form: codes, packet: true, stream: true, about: "supported_versions lists nothing but these", holds: offersOnly((*hello).offeredVersions)},
		{name: "port", form: ports, packet: true, stream: true, about: "the server's port", holds: serverPort},

		// What comes after it.
		{name: "hrr_seen", packet: true, about: "the server sent a HelloRetryRequest", holds: retrySeen},
		{name: "ch2", packet: true, about: "the client sent a second ClientHello", holds: secondHello},
		{name: "ch2_other_sni", packet: true, about: "the second ClientHello names another server than the first", holds: secondName},
		{name: "grp_selected", form: codes, packet: true, about: "the ServerHello selects one of these groups", holds: selected},
		{name: "sh", form: over, most: maxRecord, packet: true, about: "bytes of the ServerHello's TLS record, header not counted", holds: serverHelloSize},
		{name: "srv_seg1_incomplete_record", packet: true, about: "the server's first segment with data does not hold the whole first TLS record", holds: serverSeg1Incomplete},
		{name: "server_first", packet: true, about: "the server sends data before the client does", holds: serverFirst},

		// Single packets.
		{name: "pkt", form: over, most: maxIP - 1, packet: true, each: true, about: "bytes of an IP packet", holds: packetSize},
		{name: "ip_frag", packet: true, each: true, about: "the packet is an IP fragment", holds: isFragment},
	}
}

func lookupCondition(name string) (kind, error) {
	var names []string
	for _, k := range conditions {
		if k.name == name {
			return k, nil
		}
		names = append(names, k.name+formTexts[k.form])
	}
	return kind{}, fmt.Errorf("unknown condition %q%s; valid conditions: %s", name, yaml.DidYouMean(name, conditionNames()), strings.Join(names, ", "))
}

func conditionNames() []string {
	var names []string
	for _, k := range conditions {
		names = append(names, k.name)
	}
	return names
}

func parseCondition(text string, layer Layer) (Condition, error) {
	at := strings.IndexAny(text, "<>{")
	if at < 0 {
		at = len(text)
	}
	c := Condition{Text: text, Name: strings.TrimSpace(text[:at])}
	k, err := lookupCondition(c.Name)
	if err != nil {
		return c, err
	}
	if !k.of(layer) {
		return c, fmt.Errorf("condition %q: a box of layer %s cannot see it", c.Name, layer)
	}
	if err := k.parse(&c, strings.TrimSpace(text[at:])); err != nil {
		return c, fmt.Errorf("condition %q: %w", text, err)
	}
	return c, nil
}

func (k kind) of(l Layer) bool { return l == Packet && k.packet || l != Packet && k.stream }

// parse reads what follows the name.
func (k kind) parse(c *Condition, rest string) (err error) {
	want := fmt.Errorf("want %s%s", k.name, formTexts[k.form])
	switch k.form {
	case flag:
		if rest != "" {
			return want
		}
	case over, under, either, longer:
		if rest == "" || k.form == under && rest[0] != '<' || (k.form == over || k.form == longer) && rest[0] != '>' {
			return want
		}
		c.Under = rest[0] == '<'
		return k.number(c, strings.TrimSpace(rest[1:]))
	default:
		inside, open := strings.CutPrefix(rest, "{")
		inside, shut := strings.CutSuffix(inside, "}")
		if !open || !shut || inside == "" {
			return want
		}
		return k.list(c, strings.Split(inside, ","))
	}
	return nil
}

func (k kind) number(c *Condition, text string) (err error) {
	if k.form == longer {
		if c.T, err = time.ParseDuration(text); err != nil || c.T < 0 {
			return fmt.Errorf("%q is not a time such as 20ms", text)
		}
		return nil
	}
	if c.N, err = strconv.Atoi(text); err != nil || c.N < 0 {
		return fmt.Errorf("%q is not a number", text)
	}
	if c.Under && c.N < 1 || !c.Under && c.N >= k.most {
		return fmt.Errorf("it can never hold: %s is 0 to %d", k.name, k.most)
	}
	return nil
}

func (k kind) list(c *Condition, parts []string) error {
	for _, part := range parts {
		part = strings.TrimSpace(part)
		switch k.form {
		case codes:
			code, err := parseCode(part)
			if err != nil {
				return err
			}
			c.Codes = append(c.Codes, code)
			continue
		case words:
			if !slices.Contains(k.words, part) {
				return fmt.Errorf("%q is none of %s", part, strings.Join(k.words, ", "))
			}
		case ports:
			if n, err := strconv.ParseUint(part, 10, 16); err != nil || n == 0 {
				return fmt.Errorf("%q is not a port", part)
			}
		}
		c.Words = append(c.Words, part)
	}
	return nil
}

// grease stands for all sixteen values of RFC 8701.
const grease = 0x0a0a

func isGREASE(v uint16) bool { return v&0x0f0f == grease && v>>8 == v&0xff }

func parseCode(text string) (uint16, error) {
	if text == "grease" {
		return grease, nil
	}
	n, err := strconv.ParseUint(text, 0, 16)
	if err != nil {
		return 0, fmt.Errorf("%q is not a code point such as 0x11ec or 29, nor \"grease\"", text)
	}
	return uint16(n), nil
}

// among reports whether v is one of the codes.
func (c Condition) among(v uint16) bool {
	return slices.ContainsFunc(c.Codes, func(w uint16) bool { return v == w || isGREASE(v) && isGREASE(w) })
}

// compare holds a number against the condition's.
func (c Condition) compare(v int) truth { return know(v > c.N && !c.Under || v < c.N && c.Under) }
