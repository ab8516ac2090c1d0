package yaml

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"
)

type garden struct {
	Name  string        `yaml:"name"`
	Rows  []bed         `yaml:"rows"`
	Water time.Duration `yaml:"water"`
	Notes []string      `yaml:"notes"`
	Area  int           // not to be written in files
}

type bed struct {
	Plant string `yaml:"plant"`
	Count int    `yaml:"count"`
	Shade bool   `yaml:"shade"`
	Level level  `yaml:"level"`
}

type level byte

func (l *level) UnmarshalText(b []byte) error {
	if len(b) != 1 {
		return fmt.Errorf("%q is not a letter", b)
	}
	*l = level(b[0])
	return nil
}

const grown = `# spring
name: "12"
rows:
  - {plant: bean, count: 3, shade: true, level: a}
  - plant: |
      pea
    level: b
water: 1.5h
notes: [early, "late"]
`

func TestRead(t *testing.T) {
	var got garden
	f, err := Read(strings.NewReader(grown), "my.yaml", &got)
	if err != nil {
		t.Fatal(err)
	}
	want := garden{"12", []bed{{"bean", 3, true, 'a'}, {"pea", 0, false, 'b'}}, 90 * time.Minute, []string{"early", "late"}, 0}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if !f.Has(Path{"rows", 1, "plant"}) || f.Has(Path{"rows", 2}) || f.Has(Path{"rows", 1, "count"}) || f.Has(Path{"rows", "plant"}) || f.Has(Path{0}) {
		t.Error("what the file has is not what is in it")
	}
	for _, tt := range []struct {
		at   Path
		want string
	}{
		{Path{"rows", 1, "level"}, "my.yaml:7: too low"},
		{Path{"rows", 0, "level", "deeper"}, "my.yaml:4: too low"},
		{Path{"notes", 1}, "my.yaml:9: too low"},
	} {
		if err := f.Errorf(tt.at, "too %s", "low"); err.Error() != tt.want {
			t.Errorf("%v: %v, want %s", tt.at, err, tt.want)
		}
	}
}

// TestReadErrors: each mistake is named with its line and what would be right.
// The files of links are where the rest is tested (netem).
func TestReadErrors(t *testing.T) {
	for _, tt := range []struct{ text, want string }{
		{"nam: x", `my.yaml:1: unknown key "nam" in the file (did you mean "name"?); valid keys: name, rows, water, notes`},
		{"name: a\nArea: 5", `my.yaml:2: unknown key "Area" in the file; valid keys: name, rows, water, notes`},
		{"rows:\n  - count: x", `my.yaml:2: count must be a whole number`},
		{"rows:\n  - level: xy", `my.yaml:2: level: "xy" is not a letter`},
		{"water: 3", `my.yaml:1: water: "3" is not a time such as 20ms or 1.5s`},
		{"notes: early", `my.yaml:1: notes must be a list`},
		{"", `my.yaml: holds 0 YAML documents, want 1`},
	} {
		if _, err := Read(strings.NewReader(tt.text), "my.yaml", new(garden)); err == nil || err.Error() != tt.want {
			t.Errorf("%q: %v, want %s", tt.text, err, tt.want)
		}
	}
	if _, err := Read(strings.NewReader(strings.Repeat("#", MaxFile+1)), "big.yaml", new(garden)); err == nil || !strings.Contains(err.Error(), "larger") {
		t.Errorf("a file without end: %v", err)
	}
}

// TestDistance against cases known by hand.
func TestDistance(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want int
	}{{"", "", 0}, {"", "abc", 3}, {"loss", "loss", 0}, {"los", "loss", 1}, {"lsos", "loss", 2}, {"kitten", "sitting", 3}} {
		if got := distance(c.a, c.b); got != c.want || distance(c.b, c.a) != got {
			t.Errorf("%q to %q: %d, want %d", c.a, c.b, got, c.want)
		}
	}
}

// FuzzRead: whatever the file, there is a value or an error with its place.
func FuzzRead(f *testing.F) {
	f.Add(grown)
	f.Add("rows: &a [*a]")
	f.Add("name: [")
	f.Fuzz(func(t *testing.T, text string) {
		if _, err := Read(strings.NewReader(text), "fuzz.yaml", new(garden)); err != nil && !strings.HasPrefix(err.Error(), "fuzz.yaml:") {
			t.Errorf("error without a place: %v", err)
		}
	})
}
