package box

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"hybridlab/lab/capture"
	"hybridlab/lab/yaml"
)

// Action is one thing a box does.
type Action struct {
	Text   string // as it was written
	Name   string
	Ends   []capture.Direction // whom it is done to: ToClient, ToServer
	Seg    int                 // the client's segment with data, from 1; 0: all
	Onward bool                // and what follows it
	Packet bool                // the packet at hand only
	T      time.Duration       // how long
	P      float64             // how likely, 0 to 1
	Seed   uint64              // of the chance, apart from the run's
	Level  uint8               // of an alert
	Code   uint8               // of an alert
	N      int                 // bytes
	Field  string              // what is rewritten or stripped
	Codes  []uint16            // groups that are stripped, or negotiated with the client
	Back   []uint16            // groups that are negotiated with the server
	From   uint16
	To     uint16
}

// act is a row of the table of actions.
type act struct {
	name  string
	args  string // how its arguments are written; empty: it has none
	about string
	on    []Layer
	ends  bool // the connection, or the client's part in it, is over
	parse func(a *Action, args []string) error
}

var acts []act

func init() {
	acts = []act{
		{name: "RST", args: "client|server|both", on: layers, ends: true, about: "resets the connection, and drops what comes of it later", parse: parseEnds},
		{name: "FIN", args: "client|server|both", on: layers, ends: true, about: "closes the connection, and answers what comes of it later with nothing but acknowledgements", parse: parseEnds},
		{name: "alert", args: "LEVEL,CODE", on: layers, about: "sends the client a TLS alert as if from the server; a FIN or RST must follow", parse: parseAlert},
		{name: "drop", args: "flow|packet|segK|segK+", on: packets, about: "drops everything, the packet at hand, the client's K-th segment with data however often it is sent, or that and all after it", parse: parseDrop},
		{name: "hang", on: layers, ends: true, about: "acknowledges what the client sends, and neither passes it on nor answers", parse: parseNothing},
		{name: "zero-window", on: packets, ends: true, about: "closes the window: the client may not send any more", parse: parseNothing},
		{name: "misroute", on: streams, about: "connects to another server than the one addressed", parse: parseNothing},
		{name: "truncate", on: streams, about: "passes on what the first read() returned, and loses what comes after it", parse: parseNothing},
		{name: "strip", args: "groups|shares|both,CODE,...", on: ended, about: "takes groups out of the hello: as it passes (stream), or by having its own hello not offer them (tls)", parse: parseStrip},
		{name: "reencrypt", args: "CODE+CODE,CODE+CODE", on: tlsOnly, about: "negotiates these groups with the client, those with the server", parse: parseReencrypt},
		{name: "rewrite", args: "groups|shares|versions,FROM,TO", on: []Layer{Packet, Stream}, about: "writes one code point over another in the hello; both ends see different handshakes then", parse: parseRewrite},
		{name: "delay", args: "TIME|segK,TIME|segK+,TIME", on: packets, about: "holds packets back", parse: parseDelay},
		{name: "pass-uninspected", on: []Layer{Packet, Stream}, about: "lets the connection pass and says that it was not looked at", parse: parseNothing},
		{name: "cooldown", args: "TIME", on: packets, about: "does the same to every further connection between these ends for a time", parse: parseTime},
		{name: "leak", args: "BYTES", on: layers, about: "keeps memory for ever; nobody notices", parse: parseLeak},
		{name: "crash", on: packets, ends: true, about: "the box dies: nothing passes any more", parse: parseNothing},
		{name: "probabilistic", args: "CHANCE|CHANCE,SEED", on: layers, about: "first of all: what follows is done to this share of the connections", parse: parseChance},
	}
}

// Layers of actions that not every layer has.
var (
	packets = []Layer{Packet}
	streams = []Layer{Stream}
	ended   = []Layer{Stream, TLS}
	tlsOnly = []Layer{TLS}
)

func lookupAction(name string) (act, error) {
	var names, texts []string
	for _, k := range acts {
		if k.name == name {
			return k, nil
		}
		names, texts = append(names, k.name), append(texts, k.usage())
	}
	return act{}, fmt.Errorf("unknown action %q%s; valid actions: %s", name, yaml.DidYouMean(name, names), strings.Join(texts, ", "))
}

func (k act) usage() string {
	if k.args == "" {
		return k.name
	}
	return k.name + "(" + k.args + ")"
}

func parseAction(text string, layer Layer) (Action, error) {
	name, rest, open := strings.Cut(text, "(")
	a := Action{Text: text, Name: strings.TrimSpace(name)}
	k, err := lookupAction(a.Name)
	if err != nil {
		return a, err
	}
	if !slices.Contains(k.on, layer) {
		return a, fmt.Errorf("action %q: a box of layer %s cannot do it", a.Name, layer)
	}
	inside, shut := strings.CutSuffix(rest, ")")
	if open != shut || open != (k.args != "") {
		return a, fmt.Errorf("action %q: want %s", text, k.usage())
	}
	var args []string
	if open {
		for arg := range strings.SplitSeq(inside, ",") {
			args = append(args, strings.TrimSpace(arg))
		}
	}
	if err := k.parse(&a, args); err != nil {
		return a, fmt.Errorf("action %q: %w; want %s", text, err, k.usage())
	}
	return a, nil
}

func parseNothing(*Action, []string) error { return nil }

func parseEnds(a *Action, args []string) error {
	switch strings.Join(args, ",") {
	case "client":
		a.Ends = []capture.Direction{capture.ToClient}
	case "server":
		a.Ends = []capture.Direction{capture.ToServer}
	case "both":
		a.Ends = []capture.Direction{capture.ToClient, capture.ToServer}
	default:
		return fmt.Errorf("%q is neither client, server nor both", strings.Join(args, ","))
	}
	return nil
}

func parseAlert(a *Action, args []string) error {
	if len(args) != 2 {
		return fmt.Errorf("%d arguments", len(args))
	}
	level, errLevel := strconv.ParseUint(args[0], 10, 8)
	code, errCode := strconv.ParseUint(args[1], 10, 8)
	if errLevel != nil || errCode != nil || level < 1 || level > 2 {
		return fmt.Errorf("a level is 1 (warning) or 2 (fatal), a code 0 to 255")
	}
	a.Level, a.Code = uint8(level), uint8(code)
	return nil
}

// segment reads segK and segK+.
func (a *Action) segment(text string) error {
	k, ok := strings.CutPrefix(text, "seg")
	if ok {
		k, a.Onward = strings.CutSuffix(k, "+")
		n, err := strconv.Atoi(k)
		if err == nil && n >= 1 && n <= maxSegments {
			a.Seg = n
			return nil
		}
	}
	return fmt.Errorf("%q is no segment such as seg2 or seg2+", text)
}

func parseDrop(a *Action, args []string) error {
	switch text := strings.Join(args, ","); text {
	case "flow":
		return nil
	case "packet":
		a.Packet = true
		return nil
	default:
		return a.segment(text)
	}
}

func parseDelay(a *Action, args []string) error {
	if len(args) == 2 {
		if err := a.segment(args[0]); err != nil {
			return err
		}
		args = args[1:]
	}
	return parseTime(a, args)
}

// maxTime keeps a typo from looking like a dead network.
const maxTime = 10 * time.Minute

func parseTime(a *Action, args []string) (err error) {
	if len(args) != 1 {
		return fmt.Errorf("%d arguments", len(args))
	}
	if a.T, err = time.ParseDuration(args[0]); err != nil || a.T <= 0 || a.T > maxTime {
		return fmt.Errorf("%q is not a time from 1ns to %s", args[0], maxTime)
	}
	return nil
}

func parseLeak(a *Action, args []string) (err error) {
	if a.N, err = strconv.Atoi(strings.Join(args, ",")); err != nil || a.N < 1 {
		return fmt.Errorf("%q is not a number of bytes", strings.Join(args, ","))
	}
	return nil
}

func parseChance(a *Action, args []string) (err error) {
	if len(args) > 2 {
		return fmt.Errorf("%d arguments", len(args))
	}
	if a.P, err = probability(args[0]); err != nil {
		return err
	}
	if len(args) == 2 {
		if a.Seed, err = strconv.ParseUint(args[1], 10, 64); err != nil {
			return fmt.Errorf("seed %q is not a number", args[1])
		}
	}
	return nil
}

// probability reads a percentage, or a part of 1.
func probability(text string) (float64, error) {
	digits, percent := strings.CutSuffix(text, "%")
	p, err := strconv.ParseFloat(digits, 64)
	if percent {
		p /= 100
	}
	if err != nil || !(p >= 0 && p <= 1) {
		return 0, fmt.Errorf("%q is not a chance such as 5%% or 0.05", text)
	}
	return p, nil
}

// fields are what rewrite can write over, and where a hello has them.
var fields = map[string]func(*hello) list{
	"groups":   (*hello).offeredGroups,
	"shares":   (*hello).offeredShares,
	"versions": (*hello).offeredVersions,
}

func parseRewrite(a *Action, args []string) (err error) {
	if len(args) != 3 || fields[args[0]] == nil {
		return fmt.Errorf("%q", strings.Join(args, ","))
	}
	a.Field = args[0]
	if a.From, err = parseCode(args[1]); err != nil {
		return err
	}
	a.To, err = parseCode(args[2])
	return err
}

func parseStrip(a *Action, args []string) error {
	if len(args) < 2 || !slices.Contains([]string{"groups", "shares", "both"}, args[0]) {
		return fmt.Errorf("%q", strings.Join(args, ","))
	}
	a.Field = args[0]
	for _, arg := range args[1:] {
		code, err := parseCode(arg)
		if err != nil {
			return err
		}
		a.Codes = append(a.Codes, code)
	}
	return nil
}

func parseReencrypt(a *Action, args []string) (err error) {
	if len(args) != 2 {
		return fmt.Errorf("%d arguments", len(args))
	}
	if a.Codes, err = parseCodes(args[0]); err == nil {
		a.Back, err = parseCodes(args[1])
	}
	return err
}

func parseCodes(text string) ([]uint16, error) {
	var out []uint16
	for part := range strings.SplitSeq(text, "+") {
		code, err := parseCode(part)
		if err != nil {
			return nil, err
		}
		out = append(out, code)
	}
	return out, nil
}

// Quiet reports whether an action, as it is written, leaves packets as they
// are.
func Quiet(text string) bool {
	return strings.HasPrefix(text, "leak") || text == "pass-uninspected"
}
