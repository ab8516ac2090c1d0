package peers

import (
	"bytes"
	"fmt"
	"maps"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"

	"hybridlab/lab"
)

func TestMiddleboxRows(t *testing.T) {
	rows := Middleboxes()
	if len(rows) < 10 {
		t.Fatalf("only %d rows", len(rows))
	}
	for i, m := range rows {
		if i > 0 && m.ID <= rows[i-1].ID {
			t.Errorf("%s comes after %s", m.ID, rows[i-1].ID)
		}
		if _, err := Lookup(lab.PeerID(m.ID)); err == nil {
			t.Errorf("%s is a peer as well", m.ID)
		}
		if _, err := os.Stat("../docker/" + m.Folder + "/Dockerfile"); err != nil {
			t.Errorf("%s: %v", m.ID, err)
		}
		if m.About == "" || strings.HasSuffix(m.About, ".") || m.Suite == "" || len(m.Version().Argv) == 0 {
			t.Errorf("%s: its row is incomplete: %+v", m.ID, m)
		}
		if m.Inline && (m.EndsTLS || m.command != nil || m.beside == nil) {
			t.Errorf("%s: packets are routed through what is beside it", m.ID)
		}
		if got, err := LookupMiddlebox(m.ID); err != nil || got.ID != m.ID {
			t.Errorf("look up %s: %v, %v", m.ID, got.ID, err)
		}
	}
	if _, err := LookupMiddlebox("haproxy-sni@sid"); err == nil || !strings.Contains(err.Error(), "haproxy-sni@trixie") {
		t.Errorf("look up what is not there: %v", err)
	}
}

// TestMiddleboxCommands shows every middlebox's configuration; suites whose
// configuration is the same are shown once.
func TestMiddleboxCommands(t *testing.T) {
	between := Between{
		Listen:   netip.MustParseAddrPort("192.0.2.1:4433"),
		Backend:  netip.MustParseAddrPort("198.18.0.1:4434"),
		Decoy:    netip.MustParseAddrPort("198.18.0.2:4435"),
		SNI:      ServerName,
		Identity: Identity{CN: "middlebox", Cert: []byte("(its certificate)\n"), Key: []byte("(its key)\n")},
		CA:       []byte("(the CA's certificate)\n"),
	}
	var texts []string
	heads := map[string]string{}
	for _, m := range Middleboxes() {
		var text strings.Builder
		if b := m.Beside(); b != nil {
			fmt.Fprintf(&text, "beside: %q, ready %q\n", b.Argv, b.Ready)
			writeFiles(&text, b.Files)
		}
		if !m.Inline {
			cmd := m.Command(between)
			fmt.Fprintf(&text, "%q, ready %q\n", cmd.Argv, cmd.Ready)
			writeFiles(&text, cmd.Files)
		}
		if heads[text.String()] == "" {
			texts = append(texts, text.String())
		}
		heads[text.String()] += "== " + m.ID + " ==\n"
	}
	var all bytes.Buffer
	for _, text := range texts {
		all.WriteString(heads[text] + text + "\n")
	}
	const golden = "testdata/middleboxes.golden"
	if *update {
		if err := os.WriteFile(golden, all.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if want, err := os.ReadFile(golden); err != nil || !bytes.Equal(want, all.Bytes()) {
		t.Errorf("%v: the configurations are not those of %s (go test ./peers -update):\n%s", err, golden, &all)
	}
}

func writeFiles(w *strings.Builder, files map[string][]byte) {
	for _, name := range slices.Sorted(maps.Keys(files)) {
		fmt.Fprintf(w, "-- %s --\n%s", name, files[name])
	}
}
