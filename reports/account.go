package reports

import (
	"bytes"
	"cmp"
	_ "embed"
	"fmt"
	"html/template"
	"slices"
	"strings"

	"hybridlab/lab"
	"hybridlab/lab/evidence"
)

//go:embed templates/summary.html
var summaryHTML string

//go:embed templates/summary.css
var summaryCSS string

var summaryPage = template.Must(template.New("summary").Parse(summaryHTML))

// Account are the files of a bundle that tell the finding to people: the page,
// the packets, how to do it again, the controls and the setup.
func Account(f *evidence.Finding) ([]evidence.File, error) {
	l := lab.NewLadder(f.Capture.Packets)
	var page bytes.Buffer
	if err := summaryPage.Execute(&page, newFindingPage(f, l)); err != nil {
		return nil, fmt.Errorf("render %s: %w", summaryFile, err)
	}
	files := []evidence.File{{Name: summaryFile, Data: page.Bytes()}}
	for _, t := range []struct {
		name  string
		write func(*strings.Builder)
	}{
		{packetsFile, func(b *strings.Builder) { packets(b, f.Verdict, f.Seen, l) }},
		{reproduceFile, func(b *strings.Builder) { reproduce(b, f) }},
		{controlsFile, func(b *strings.Builder) { controls(b, f) }},
		{linkFile, func(b *strings.Builder) { linkText(b, f) }},
		{boxesFile, func(b *strings.Builder) { boxText(b, f, false) }},
		{ownBoxesFile, func(b *strings.Builder) { boxText(b, f, true) }},
		{middleboxFile, func(b *strings.Builder) { realText(b, f) }},
		{clientFile, func(b *strings.Builder) { setupText(b, f, f.Verdict.Client, f.Verdict.Offer, f.Seen.ClientSetup) }},
		{serverFile, func(b *strings.Builder) { setupText(b, f, f.Verdict.Server, f.Verdict.Accept, f.Seen.ServerSetup) }},
	} {
		var b strings.Builder
		if t.write(&b); b.Len() > 0 {
			files = append(files, evidence.File{Name: t.name, Data: []byte(b.String())})
		}
	}
	return files, nil
}

// findingPage is what the summary shows; all text in it is clean.
type findingPage struct {
	Title, Started                     string
	Tested, Expected, Happened, Blamed string
	Traced, Remedy                     string
	Background                         bool // post-quantum groups are in it: say what they are
	Steps                              []step
	StepsLeft                          int
	Changes                            []change
	ChangesLeft                        int
	Again                              string
	Stock                              []command
	Facts                              []fact
	Keys, Hello                        bool

	Style     template.CSS
	StyleHash string
}

// change is a control or a trial: what was changed, and what came of it.
type change struct{ What, Result, Class string }

// The page has room for this much.
const (
	mostSteps    = 8
	mostCompared = 6
	mostLine     = 270 // characters of a sentence
)

func newFindingPage(f *evidence.Finding, l lab.Ladder) findingPage {
	v := f.Verdict
	p := findingPage{
		Title: findingTitle(v), Started: when(f.Report.Started),
		Tested: tested(f), Expected: expected(v), Happened: sentence(clean(v.Why, mostLine)),
		Blamed: blamed(f), Traced: sentence(clean(v.Traced, 500)), Remedy: sentence(clean(v.Remedy, mostLine)),
		Again: hybridlabAgain(f, v.Cell, 0), Keys: len(f.Capture.KeyLog) > 0, Hello: len(f.Hello.Bytes) > 0,
		Style: template.CSS(summaryCSS), StyleHash: source(summaryCSS),
	}
	for _, g := range slices.Concat(v.Offer.Groups(), v.Accept.Groups()) {
		p.Background = p.Background || g.PostQuantum()
	}
	p.Background = p.Background || v.Offer.Default()
	p.Steps, p.StepsLeft = brief(steps(l, v.Evidence), mostSteps)
	for i := range p.Steps {
		p.Steps[i].Fate = clean(p.Steps[i].Fate, 160)
		p.Steps[i].What = clean(p.Steps[i].What, 160)
	}
	p.StepsLeft += l.Left
	p.Changes = changes(v)
	if n := len(p.Changes); n > mostCompared {
		p.Changes, p.ChangesLeft = p.Changes[:mostCompared], n-mostCompared
	}
	if all := stock(f); len(all) > 0 {
		p.Stock = all[:min(2, len(all))]
	}
	p.Facts = findingFacts(f)
	return p
}

func findingTitle(v lab.Verdict) string {
	if v.Cause != "" {
		return capital(because(v.Cause))
	}
	if w, ok := outcomeWords[v.Outcome]; ok {
		return capital("a " + w[0])
	}
	return capital(name(v.Outcome))
}

// tested says who talked to whom over what.
func tested(f *evidence.Finding) string {
	v := f.Verdict
	s := fmt.Sprintf("A TLS client, %s, connected to a TLS server, %s. For the key exchange the client offered %s; the server takes %s.", peerWords(f, v.Client), peerWords(f, v.Server), offerWords(v.Offer), offerWords(v.Accept))
	s += " Between them: the emulated network “" + name(v.Link) + "”"
	for _, l := range f.Report.Links {
		if l.Name == v.Link && l.About != "" {
			s += " (" + stop(clean(l.About, 160)) + ")"
		}
	}
	for _, b := range v.Boxes {
		s += ", and " + boxWords(f, b)
	}
	return s + "."
}

// boxWords say what a box is: a program, or a stand-in for one.
func boxWords(f *evidence.Finding, ref string) string {
	s, parts := "the emulated middlebox “"+name(ref)+"”", []string{}
	if isReal(ref) {
		s = "the middlebox " + name(ref)
	}
	for _, i := range f.Report.Boxes {
		if i.Name != ref {
			continue
		}
		for _, p := range []string{clean(i.Version, 80), clean(i.About, 200), clean(i.Origin, 120)} {
			parts = append(parts, stop(p))
		}
		if i.Origin != "" {
			parts[2] = "as known of " + parts[2]
		}
	}
	if parts = slices.DeleteFunc(parts, func(p string) bool { return p == "" }); len(parts) > 0 {
		s += " (" + strings.Join(parts, "; ") + ")"
	}
	return s
}

// isReal reports whether a box is a program in a container: its name has a
// version.
func isReal(ref string) bool { return strings.Contains(ref, "@") }

func peerWords(f *evidence.Finding, id lab.PeerID) string {
	for _, p := range f.Report.Peers {
		if p.ID == id && p.Version != "" {
			return fmt.Sprintf("%s (%s)", name(id), clean(p.Version, 80))
		}
	}
	return name(id)
}

func offerWords(o lab.Offer) string {
	if o.Default() {
		return "its default groups"
	}
	var out []string
	for _, g := range o.Groups() {
		out = append(out, g.String())
	}
	const most = 6
	if more := len(out) - most; more > 0 {
		out = append(out[:most], fmt.Sprintf("%d more", more))
	}
	return list(out)
}

// expected says what the rules of both stacks allow. Of a downgrade they may
// predict just that; what it falls short of is what both ends can do.
func expected(v lab.Verdict) string {
	if v.Outcome == lab.Downgrade {
		return "A complete handshake, protected against quantum computers: both programs are set up for it."
	}
	var out []string
	for _, p := range v.Predicted[:min(len(v.Predicted), 3)] {
		kind, rest, _ := strings.Cut(name(p), " ")
		switch lab.Outcome(kind) {
		case lab.Hybrid:
			out = append(out, "a complete handshake, protected against quantum computers, with "+rest)
		case lab.Classical:
			out = append(out, "a complete classical handshake with "+rest)
		case lab.Refused:
			out = append(out, "a refusal with the alert "+rest)
		default:
			out = append(out, name(p))
		}
	}
	if len(out) == 0 {
		return "A complete handshake."
	}
	return capital(strings.Join(out, ", or ")) + ". That follows from what both programs are set up to do."
}

func blamed(f *evidence.Finding) string {
	v := f.Verdict
	box, isBox := strings.CutPrefix(v.Blame, "box ")
	switch {
	case isBox:
		return "The middlebox " + name(box) + "."
	case v.Blame == "client":
		return "The client, " + name(v.Client) + "."
	case v.Blame == "server":
		return "The server, " + name(v.Server) + "."
	case v.Blame == "link":
		return "The network between them, " + name(v.Link) + "."
	}
	return cmp.Or(capital(name(v.Blame)), "Not established") + "."
}

// sentence begins with a capital and ends with a full stop; nothing stays nothing.
func sentence(s string) string {
	if s == "" {
		return ""
	}
	return capital(stop(s)) + "."
}

// changes are what the finding was compared with: controls, then the trials
// that are nearest to it.
func changes(v lab.Verdict) []change {
	var out []change
	add := func(what string, o lab.Outcome, cause lab.Cause) {
		result, class := label(o), ""
		switch {
		case o.Pass():
			result, class = "works: "+result, "works"
		case o.Finding():
			result, class = "does not work: "+result, "broke"
		}
		if cause != "" {
			result += ", " + because(cause)
		}
		out = append(out, change{clean(what, 120), clean(result, 140), class})
	}
	for _, c := range v.Control {
		add(c.Kind, c.Outcome, "")
	}
	for _, t := range nearest(v) {
		add(t.Changed, t.Outcome, t.Cause)
	}
	return out
}

// nearest are the trials that are no control: first those with the finding's own
// client and server, then those with an imitation, and last mere repetitions.
func nearest(v lab.Verdict) []lab.Trial {
	seen := map[string]bool{}
	for _, c := range v.Control {
		seen[c.Cell] = true
	}
	trials := slices.DeleteFunc(slices.Clone(v.Triage), func(t lab.Trial) bool {
		again := seen[t.Cell] && t.Seed == 0
		seen[t.Cell] = true
		return again
	})
	far := func(t lab.Trial) int {
		switch {
		case t.Seed != 0:
			return 2
		case strings.HasPrefix(t.Cell, string(v.Client)+"/"+string(v.Server)+"/"):
			return 0
		}
		return 1
	}
	slices.SortStableFunc(trials, func(a, b lab.Trial) int { return far(a) - far(b) })
	return trials
}

func findingFacts(f *evidence.Finding) []fact {
	r, v := f.Report, f.Verdict
	facts := []fact{
		{"Cell", name(v.Cell), ""}, {"Verdict", verdictWords(v), trigger(v)}, {"ClientHello", hello(v), ""}, {"Attempts", agreed(v), ""},
		{"TCP of", name(r.Kernel), ""}, {"Run", fmt.Sprintf("%s, seed %d, %s", name(r.Run), r.Seed, name(r.Fabric)), "hybridlab " + name(r.Tool)},
		{"Client’s image", imageOf(f, v.Client), ""}, {"Server’s image", imageOf(f, v.Server), ""},
	}
	return slices.DeleteFunc(facts, func(x fact) bool { return x.Value == "" })
}

// agreed is how often it was tried, and what came of it where that differs.
func agreed(v lab.Verdict) string {
	for _, a := range v.Attempts {
		if a != v.Attempts[0] {
			return attempts(v)
		}
	}
	if len(v.Attempts) > 1 {
		return fmt.Sprintf("%d, all with this result", len(v.Attempts))
	}
	return plain(len(v.Attempts))
}

func imageOf(f *evidence.Finding, id lab.PeerID) string {
	for _, p := range f.Report.Peers {
		if p.ID == id {
			return name(p.Image)
		}
	}
	return ""
}
