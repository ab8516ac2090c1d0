package netem

import "testing"

func TestLibrary(t *testing.T) {
	for _, l := range Links() {
		if l.About == "" {
			t.Errorf("%s", l.Name)
		}
	}
	_, err := LookupLink("los5")
	t.Log(err)
}
