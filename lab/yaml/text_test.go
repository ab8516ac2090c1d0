package yaml

import (
	"reflect"
	"strings"
	"testing"
	"time"
)

func (l level) MarshalText() ([]byte, error) { return []byte{byte(l)}, nil }

// What Text writes, Read reads.
func TestText(t *testing.T) {
	for _, want := range []garden{
		{Name: "12", Rows: []bed{{"bean", 3, true, 'a'}, {"pea\n# \"&<>: -", 0, false, 'b'}}, Water: 90 * time.Minute, Notes: []string{"early", "- late", "", "\u2028\U0001f331"}},
		{Rows: []bed{{Count: -1, Level: ':'}}},
		{Name: "no"},
	} {
		text := Text(want)
		var got garden
		if _, err := Read(strings.NewReader(text), "text", &got); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%v: %+v became\n%s\nand that %+v", err, want, text, got)
		}
	}
}
