package lab

import (
	"slices"
	"strings"
	"testing"
)

func TestSettingsRoundTrip(t *testing.T) {
	for _, text := range []string{
		"clean", "crafted@grease", "crafted{pad=1449}", "crafted{pad=1449,cut=1:2:3,gap=50ms}", "clean{mtu=9000}", "crafted@late-name{grease}",
	} {
		name, set, err := SplitSettings(text)
		if err != nil || JoinSettings(name, set) != text {
			t.Errorf("%q became %q %v, %v", text, name, set, err)
		}
		if !strings.Contains(text, "{") {
			continue
		}
		for cut := range len(text) {
			if cut > len(name) || cut == 0 {
				if _, set, err := SplitSettings(text[:cut]); err == nil && set != nil {
					t.Errorf("the beginning %q of %q was taken: %v", text[:cut], text, set)
				}
			}
		}
	}
}

func TestSettingsRefused(t *testing.T) {
	for _, text := range []string{
		"{pad=1}", "crafted{}", "crafted{pad=1", "crafted}", "crafted{pad=1}x", "crafted{pad=}", "crafted{=1}", "crafted{pad=1,}",
		"crafted{pad=1,pad=2}", "crafted{pad=a b}", "crafted{pad=1/2}", "crafted{pad=1+2}", "crafted{pad={1}}", "crafted{pad=1=2}",
	} {
		if name, set, err := SplitSettings(text); err == nil || !strings.Contains(err.Error(), text) {
			t.Errorf("%q was taken as %q %v, %v", text, name, set, err)
		}
	}
}

func TestSplitNames(t *testing.T) {
	for list, want := range map[string][]string{
		"a":                            {"a"},
		"a,b":                          {"a", "b"},
		"crafted{pad=1,cut=2},go@1.26": {"crafted{pad=1,cut=2}", "go@1.26"},
		"a,":                           {"a", ""},
		"a{b=1,c":                      {"a{b=1,c"}, // for SplitSettings to refuse
	} {
		if got := SplitNames(list); !slices.Equal(got, want) {
			t.Errorf("%q: %q, want %q", list, got, want)
		}
	}
}

func FuzzSettings(f *testing.F) {
	f.Add("crafted{pad=1449,cut=1:2:3,grease}")
	f.Add("clean")
	f.Fuzz(func(t *testing.T, text string) {
		name, set, err := SplitSettings(text)
		if err != nil {
			return
		}
		if JoinSettings(name, set) != text {
			t.Errorf("%q became %q %v", text, name, set)
		}
		if len(set) > 0 && (strings.ContainsAny(JoinSettings("", set), "/+") || len(SplitNames(text)) != 1+strings.Count(name, ",")) {
			t.Errorf("%q cannot stand in a cell id or a list", text)
		}
	})
}
