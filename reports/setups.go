package reports

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"hybridlab/lab"
	"hybridlab/lab/evidence"
)

// controls is the text about what the finding was compared with.
func controls(b *strings.Builder, f *evidence.Finding) {
	b.WriteString("What the finding was compared with\n\nControls: one thing changed, everything else the same.\n")
	for i, c := range f.Controls {
		fmt.Fprintf(b, "\n%d. %s: %s\n   %s\n", i+1, name(c.Kind), name(c.Outcome), text(c.Verdict.Why))
		if h := hello(c.Verdict); h != "" {
			fmt.Fprintf(b, "   ClientHello: %s\n", h)
		}
		if file := f.ControlCapture(i); file != "" {
			fmt.Fprintf(b, "   capture: %s\n", file)
		}
		fmt.Fprintf(b, "   $ %s\n", hybridlabAgain(f, c.Cell, 0))
	}
	if len(f.Controls) == 0 {
		b.WriteString("\nNone: nothing could be changed that makes a control.\n")
	}
	v := f.Verdict
	if len(v.Triage) == 0 {
		return
	}
	fmt.Fprintf(b, "\nTriage: %s in all; those that settled it.\n", count(v.TriageRuns, "trial"))
	for _, t := range v.Triage {
		result := name(t.Outcome)
		if t.Cause != "" {
			result += ", " + because(t.Cause)
		}
		fmt.Fprintf(b, "\n- %s: %s\n   $ %s\n", text(t.Changed), result, hybridlabAgain(f, t.Cell, t.Seed))
	}
	if v.Traced != "" {
		fmt.Fprintf(b, "\nSo: %s\n", text(v.Traced))
	}
	if v.Like != "" {
		fmt.Fprintf(b, "\nMost trials were run for a finding like it, %s; they are in run/ too.\n", name(v.Like))
	}
}

func linkText(b *strings.Builder, f *evidence.Finding) {
	for _, l := range f.Report.Links {
		if l.Name == f.Verdict.Link && l.Entry != "" {
			fmt.Fprintf(b, "# The network of the finding, %s.\n%s", name(l.Name), lines(l.Entry))
			return
		}
	}
	fmt.Fprintf(b, "# The network of the finding, %s; the run does not record what it does.\n", name(f.Verdict.Link))
}

// boxText are the boxes of the catalogue, or those of a file of the user's,
// which are to be read with --box-file.
func boxText(b *strings.Builder, f *evidence.Finding, own bool) {
	const list = "boxes:\n"
	for _, ref := range f.Verdict.Boxes {
		for _, i := range f.Report.Boxes {
			if i.Name != ref || i.Own != own || isReal(ref) {
				continue
			}
			if b.Len() == 0 {
				b.WriteString("# The middleboxes of the finding, client to server.\n" + list)
			}
			fmt.Fprintf(b, "# %s\n%s", name(ref), lines(cmp.Or(strings.TrimPrefix(i.Entry, list), "# the run does not record what it does\n")))
		}
	}
}

// realText is how the real middleboxes were started.
func realText(b *strings.Builder, f *evidence.Finding) {
	for _, e := range f.Seen.Path.Ends {
		fmt.Fprintf(b, "%s\n", name(e.Box))
		for _, i := range f.Report.Boxes {
			if i.Name == e.Box {
				fmt.Fprintf(b, "version: %s\nimage: %s\n", name(i.Version), name(i.Image))
			}
		}
		commandText(b, e.Setup)
		if e.Said != "" {
			fmt.Fprintf(b, "\n--- what it printed, at the end\n%s", lines(e.Said))
		}
		b.WriteString("\n")
	}
}

// setupText is how an end was started.
func setupText(b *strings.Builder, f *evidence.Finding, id lab.PeerID, groups lab.Offer, s *lab.Setup) {
	fmt.Fprintf(b, "%s\ngroups: %s\n", peerWords(f, id), name(groups.String()))
	if image := imageOf(f, id); image != "" {
		fmt.Fprintf(b, "image: %s\n", image)
	}
	for _, p := range f.Report.Peers {
		if p.ID == id && p.Config != nil {
			fmt.Fprintf(b, "configured by %s, which says of TLS:\n%s", name(p.Config.File), lines(strings.Join(p.Config.Taken, "\n")))
		}
	}
	commandText(b, s)
}

// commandText is a command, and the files that it reads.
func commandText(b *strings.Builder, s *lab.Setup) {
	if s == nil {
		b.WriteString("\nThe run does not record how it was started.\n")
		return
	}
	if s.InProcess {
		b.WriteString("\nIt ran inside hybridlab. As a program of its own it is started so:\n")
	} else {
		b.WriteString("\nIt was started so; {dir} is the directory of the files below:\n")
	}
	var words []string
	for _, w := range slices.Concat(s.Env, s.Argv) {
		words = append(words, shell(w))
	}
	fmt.Fprintf(b, "\n  %s\n", strings.Join(words, " "))
	for _, n := range slices.Sorted(maps.Keys(s.Files)) {
		fmt.Fprintf(b, "\n--- %s\n%s", name(n), lines(s.Files[n]))
	}
	if s.Stdin != "" {
		fmt.Fprintf(b, "\n--- standard input\n%s", lines(s.Stdin))
	}
}

// lines is a text of several lines, each of them clean but for its indent.
func lines(s string) string {
	var b strings.Builder
	for line := range strings.SplitSeq(strings.TrimRight(s, "\r\n"), "\n") {
		line = strings.TrimRight(line, "\r")
		rest := strings.TrimLeft(line, " ")
		b.WriteString(line[:min(len(line)-len(rest), 40)] + text(strings.ReplaceAll(rest, "\t", "    ")) + "\n")
	}
	return b.String()
}
