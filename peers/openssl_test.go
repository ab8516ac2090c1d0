package peers

import (
	"encoding/json"
	"flag"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"hybridlab/lab"
	"hybridlab/peers/agent"
)

var update = flag.Bool("update", false, "rewrite the golden files in testdata; with -tags docker, record them anew from the real binary")

// A recording is one run of the openssl command, as it was: a file of
// sections, each after a line "-- name --". Section "end" is what parse makes
// of the others.
func readRecording(t *testing.T, name string) map[string]string {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	sections, current := map[string]string{}, ""
	for line := range strings.Lines(string(text)) {
		if title, ok := strings.CutPrefix(line, "-- "); ok && strings.HasSuffix(title, " --\n") {
			current = strings.TrimSuffix(title, " --\n")
			sections[current] = ""
			continue
		}
		sections[current] += line
	}
	return sections
}

var recordingOrder = []string{"role", "exit", "stdout", "stderr", "keylog", "end"}

func writeRecording(t *testing.T, name string, sections map[string]string) {
	t.Helper()
	var b strings.Builder
	for _, s := range recordingOrder {
		text := sections[s]
		if text != "" && !strings.HasSuffix(text, "\n") {
			text += "\n"
		}
		fmt.Fprintf(&b, "-- %s --\n%s", s, text)
	}
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(b.String()), 0o644); err != nil {
		t.Fatal(err)
	}
}

func replay(t *testing.T, sections map[string]string) (Request, agent.Result) {
	t.Helper()
	exit, err := strconv.Atoi(strings.TrimSpace(sections["exit"]))
	if err != nil {
		t.Fatal(err)
	}
	res := agent.Result{Exit: exit, Stdout: []byte(sections["stdout"]), Stderr: []byte(sections["stderr"]), CPU: 7 * time.Millisecond}
	if sections["keylog"] != "" {
		res.Files = map[string][]byte{logFile: []byte(sections["keylog"])}
	}
	return Request{Role: lab.Role(strings.TrimSpace(sections["role"])), Token: "hybridlab"}, res
}

func endJSON(t *testing.T, end lab.End) string {
	t.Helper()
	b, err := json.MarshalIndent(end, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	return string(b) + "\n"
}

// TestParseRecordings reads what the real programs printed: the recordings of
// a peer are in a folder with its name.
func TestParseRecordings(t *testing.T) {
	names, err := filepath.Glob("testdata/*@*/*.txt")
	if err != nil || len(names) < 40 {
		t.Fatalf("%d recordings, %v", len(names), err)
	}
	for _, name := range names {
		id := filepath.Base(filepath.Dir(name))
		t.Run(id+"/"+strings.TrimSuffix(filepath.Base(name), ".txt"), func(t *testing.T) {
			peer, err := Lookup(lab.PeerID(id))
			if err != nil {
				t.Fatal(err)
			}
			sections := readRecording(t, name)
			end, keylog := peer.Parse(replay(t, sections))
			got := endJSON(t, end)
			if string(keylog) != sections["keylog"] && end.Unsupported == "" {
				t.Error("key log lost")
			}
			if *update {
				sections["end"] = got
				writeRecording(t, name, sections)
			} else if got != sections["end"] {
				t.Errorf("got %swant %s", got, sections["end"])
			}
		})
	}
}

// TestUnsupportedIsNotFailing: only the refusal of a group list is
// "unsupported"; a handshake refused by the other end is not.
func TestUnsupportedIsNotFailing(t *testing.T) {
	for name, want := range map[string]bool{"client-nonsense": true, "server-nonsense": true, "client-alert": false, "server-no-common-group": false, "client-refused": false} {
		var end lab.End
		if err := json.Unmarshal([]byte(readRecording(t, "testdata/openssl@trixie/"+name+".txt")["end"]), &end); err != nil {
			t.Fatal(err)
		}
		if got := end.Exit == 127 && end.Unsupported != ""; got != want {
			t.Errorf("%s: unsupported %v, want %v: %+v", name, got, want, end)
		}
	}
}

func TestOpenSSLGroupList(t *testing.T) {
	for offer, want := range map[string]string{
		"x25519mlkem768":                       "X25519MLKEM768",
		"x25519mlkem768+x25519":                "X25519MLKEM768:X25519",
		"x25519mlkem768>x25519+secp256r1":      "X25519MLKEM768/X25519:P-256",
		"x25519+~x25519mlkem768":               "X25519:X25519MLKEM768",
		"~x25519mlkem768+x25519":               "X25519MLKEM768:*X25519",
		"*x25519+*x25519mlkem768>~x448":        "*X25519:*X25519MLKEM768/X448",
		"secp256r1mlkem768+secp384r1mlkem1024": "SecP256r1MLKEM768:SecP384r1MLKEM1024",
		"0x1234":                               "0x1234",
	} {
		if got := opensslGroups(lab.MustOffer(offer)); got != want {
			t.Errorf("%s: %q, want %q", offer, got, want)
		}
	}
}

func TestOpenSSLCommand(t *testing.T) {
	peer, err := Lookup("openssl@trixie")
	if err != nil {
		t.Fatal(err)
	}
	cmd, err := peer.Command(Request{Role: lab.ClientRole, Offer: lab.MustOffer("x25519"), Addr: netip.MustParseAddrPort("[2001:2::5]:443"),
		CA: []byte("ca"), Token: "cell-1", Timeout: 3 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	args := strings.Join(cmd.Argv, " ")
	for _, want := range []string{"-connect [2001:2::5]:443 ", "-groups X25519", "-servername hybridlab.test", "-CAfile {dir}/ca.pem"} {
		if !strings.Contains(args+" ", want) {
			t.Errorf("%q lacks %q", args, want)
		}
	}
	if string(cmd.Stdin) != "GET /cell-1 HTTP/1.0\r\nHost: hybridlab.test\r\n\r\n" || string(cmd.Files["ca.pem"]) != "ca" || cmd.Timeout != 3*time.Second || !slices.Contains(cmd.Outputs, logFile) {
		t.Errorf("%+v", cmd)
	}
	if cmd, err = peer.Command(Request{Role: lab.ServerRole, Addr: netip.MustParseAddrPort("0.0.0.0:443"), Token: "cell-1"}); err != nil {
		t.Fatal(err)
	}
	if slices.Contains(cmd.Argv, "-groups") || cmd.Ready != "ACCEPT" || cmd.Files["cell-1"] == nil || cmd.Timeout != defaultTimeout {
		t.Errorf("%+v: the default is to be left alone", cmd)
	}
}

func TestOpenSSLGroupNames(t *testing.T) {
	for text, want := range map[string]string{
		"X25519MLKEM768": "X25519MLKEM768", "X25519, 253 bits": "x25519", "X448, 448 bits": "x448",
		"ECDH, prime256v1, 256 bits": "secp256r1", "ECDH, secp384r1, 384 bits": "secp384r1", "ECDH, brainpoolP256r1, 256 bits": "brainpoolP256r1tls13",
		"DH, 2048 bits": "ffdhe2048", "<NULL>": "", "": "", "DH": "", "ECDH": "",
	} {
		if got := opensslGroup(text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

// FuzzParse: whatever a peer prints, its account is bounded and never a
// completed handshake that the exit code or its own lines do not claim.
func FuzzParse(f *testing.F) {
	names, err := filepath.Glob("testdata/openssl@trixie/*.txt")
	if err != nil {
		f.Fatal(err)
	}
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text, text, 0, true)
	}
	f.Add([]byte(`{"remote":"198.19.0.1:4","done":true,"group":"p-256"}`), []byte{}, 1, false)
	f.Fuzz(func(t *testing.T, stdout, stderr []byte, exit int, client bool) {
		role := lab.ServerRole
		if client {
			role = lab.ClientRole
		}
		for _, p := range Table() {
			end, _ := p.Parse(Request{Role: role}, agent.Result{Stdout: stdout, Stderr: stderr, Exit: exit})
			for _, s := range []string{end.Error, end.Unsupported, end.Group, end.Reached, end.Version} {
				if len(s) > 2*maxWords {
					t.Fatalf("%s: %d bytes of words", p.ID, len(s))
				}
			}
			if (end.Unsupported != "") != (end.Exit == 127) {
				t.Fatalf("%s: exit %d, unsupported %q", p.ID, end.Exit, end.Unsupported)
			}
		}
		ParseLine(string(stdout))
	})
}
