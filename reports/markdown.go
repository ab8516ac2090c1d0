package reports

import (
	"bufio"
	"fmt"
	"io"
	"strings"

	"hybridlab/lab"
)

// mostGroups keeps a job summary short: GitHub shows at most 1 MiB of it.
const mostGroups = 10

// Markdown writes a short job summary in GitHub's dialect: the answer, the
// counts and the worst findings.
func Markdown(w io.Writer, rep lab.Report, verdicts Verdicts) error {
	s, err := summarize(rep, verdicts)
	if err != nil {
		return err
	}
	b := bufio.NewWriter(w)
	fmt.Fprintf(b, "## hybridlab: %s\n\n", s.answer())
	fmt.Fprintf(b, "%s\n\n", strings.Join(s.details(rep), " "))
	markdownCounts(b, s)
	markdownGroups(b, s)
	fmt.Fprintf(b, "Fabric %s, seed %d, %s", code(rep.Fabric), rep.Seed, took(rep))
	for _, p := range rep.Peers {
		fmt.Fprintf(b, "; %s %s", code(string(p.ID)), code(p.Version))
	}
	fmt.Fprintf(b, ". Again: %s\n", code(rep.Command))
	return b.Flush()
}

func markdownCounts(w io.Writer, s *summary) {
	if s.total == 0 {
		return
	}
	var heads, rules, cells strings.Builder
	for _, o := range s.present() {
		heads.WriteString("| " + label(o) + " ")
		rules.WriteString("|---:")
		cells.WriteString("| " + number(s.counts[o]) + " ")
	}
	fmt.Fprintf(w, "%s|\n%s|\n%s|\n\n", &heads, &rules, &cells)
}

func markdownGroups(w io.Writer, s *summary) {
	gs := append(s.findings(), s.undecided()...)
	markdownKnown(w, s)
	if len(gs) == 0 {
		return
	}
	for _, g := range gs[:min(len(gs), mostGroups)] {
		fmt.Fprintf(w, "- **%s** %s", name(g.outcome), prose(g.sentence()))
		if c := g.culprit(); c != "" {
			fmt.Fprintf(w, " Blame: %s.", prose(c))
		}
		fmt.Fprintf(w, " Such as %s\n", code(g.examples[0].Cell))
	}
	more(w, len(gs), "group")
	fmt.Fprintln(w)
}

func more(w io.Writer, n int, noun string) {
	if n > mostGroups {
		fmt.Fprintf(w, "- and %s more in the report\n", count(n-mostGroups, noun))
	}
}

func markdownKnown(w io.Writer, s *summary) {
	gs := s.expected()
	for _, g := range gs[:min(len(gs), mostGroups)] {
		fmt.Fprintf(w, "- known: %s (%s)\n", prose(g.sentence()), code(g.known))
	}
	more(w, len(gs), "known group")
}

// code is an inline code span: the one place in Markdown where nothing is
// markup. Its fence is longer than any run of backticks inside.
func code(s string) string {
	s = text(s)
	if s == "" {
		return "unknown"
	}
	fence := "`"
	for strings.Contains(s, fence) {
		fence += "`"
	}
	if fence == "`" {
		return "`" + s + "`"
	}
	return fence + " " + s + " " + fence
}

// prose makes the characters of s that are markup plain (CommonMark section
// 2.4: any ASCII punctuation may be escaped).
func prose(s string) string {
	var b strings.Builder
	for _, r := range s {
		if strings.ContainsRune("\\`*_{}[]<>()#!|~&", r) {
			b.WriteByte('\\')
		}
		b.WriteRune(r)
	}
	return b.String()
}
