package reports

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"hybridlab/lab"
)

// TestShapeTable: one client in many shapes is one table, and any other run is not.
func TestShapeTable(t *testing.T) {
	verdict := func(client, server, offer, box string, o lab.Outcome) lab.Verdict {
		c := lab.NewCell(lab.PeerID(client), lab.PeerID(server), lab.MustOffer(offer), lab.MustOffer("default"), "clean")
		if box != "" {
			c = lab.NewCell(c.Client, c.Server, c.Offer, c.Accept, c.Link, box)
		}
		return lab.Verdict{Cell: c.ID, Client: c.Client, Server: c.Server, Offer: c.Offer, Accept: c.Accept, Link: c.Link, Boxes: c.Boxes, Outcome: o}
	}
	var all []lab.Verdict
	for _, client := range []string{"crafted", "crafted{cut=5}", "crafted{cut=100,gap=1s}", "crafted{cut=20}"} {
		for _, offer := range []string{"x25519mlkem768", "x25519"} {
			o := map[string]lab.Outcome{"x25519": lab.Classical, "x25519mlkem768": lab.Hybrid}[offer]
			all = append(all, verdict(client, "go@1.26", offer, "", o))
			if client == "crafted{cut=20}" && offer == "x25519" {
				o = lab.Misroute
			}
			all = append(all, verdict(client, "go@1.26", offer, "real@1", o))
		}
	}
	show := func(vs []lab.Verdict, width int) string {
		var b bytes.Buffer
		rep := lab.Report{Run: "r", Cells: len(vs)}
		if err := Terminal(&b, rep, func(yield func(lab.Verdict, error) bool) {
			for _, v := range vs {
				if !yield(v, nil) {
					return
				}
			}
		}, TerminalOptions{Width: width, Color: ColorNever}); err != nil {
			t.Fatal(err)
		}
		return b.String()
	}
	got := show(all, 80)
	for _, want := range []string{
		"crafted -> go@1.26, by the shape of the ClientHello\n  In each cell, in this order: x25519:default, x25519mlkem768:default\n",
		" as it is        cH  cH\n cut=5           cH  cH\n cut=20          cH  MH\n cut=100,gap=1s  cH  cH\n",
		"1 clean, 2 clean/real@1\n",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("want %q in:\n%s", want, got)
		}
	}
	other := append(slices.Clone(all), verdict("crafted", "nginx@trixie", "x25519", "", lab.Classical))
	if got := show(other, 80); strings.Contains(got, "by the shape") || !strings.Contains(got, "crafted{cut=20} -> go@1.26") {
		t.Errorf("two servers are taken for one:\n%s", got)
	}
}

func TestNatural(t *testing.T) {
	got := []string{"cut=100", "cut=5,gap=1s", "", "cut=5", "pad=17000", "cut=43"}
	slices.SortFunc(got, natural)
	if want := []string{"", "cut=5", "cut=5,gap=1s", "cut=43", "cut=100", "pad=17000"}; !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
}
