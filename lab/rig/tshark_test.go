package rig

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"hybridlab/lab"
	"hybridlab/lab/capture"
)

// TestCaptureOpensInTshark opens a capture the way a reader would: the drop
// is commented, and application data is decrypted with the embedded keys.
// Without the keys it is not, which shows that the keys did it.
func TestCaptureOpensInTshark(t *testing.T) {
	tshark, err := exec.LookPath("tshark")
	if err != nil {
		t.Skip("tshark is not installed: that captures open in Wireshark is NOT checked (apt-get install tshark)")
	}
	links, err := NewLinks(nil, "")
	if err != nil {
		t.Fatal(err)
	}
	r, err := Open(t.Context(), Config{Kind: Embedded, Run: NewRunID(), Links: links, Peers: []lab.PeerID{"go@1.26"}})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	c, err := lab.ParseCell("go@1.26/go@1.26/x25519mlkem768/lose-hello-2nd-segment")
	if err != nil {
		t.Fatal(err)
	}
	e, err := r.Run(t.Context(), c, 1)
	if err != nil || !e.Client.Data {
		t.Fatalf("the cell did not come to application data: %+v, %v", e.Client, err)
	}
	read := func(keylog []byte, args ...string) string {
		file := filepath.Join(t.TempDir(), "cell.pcapng")
		var b bytes.Buffer
		if err := capture.WritePcapng(&b, capture.Meta{Start: time.Now(), Comment: c.ID}, e.Packets, keylog); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, b.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
		out, err := exec.CommandContext(t.Context(), tshark, append([]string{"-r", file}, args...)...).Output()
		if err != nil {
			t.Fatalf("tshark %q: %v", args, err)
		}
		return string(out)
	}
	if out := read(e.KeyLog, "-Y", "http.request.method == GET"); !strings.Contains(out, "GET /") {
		t.Errorf("application data is not decrypted: %q", out)
	}
	if out := read(nil, "-Y", "http"); out != "" {
		t.Errorf("decrypted without keys: %q", out)
	}
	if out := read(e.KeyLog, "-Y", "frame.comment", "-T", "fields", "-e", "frame.comment"); !strings.Contains(out, "loss-nth") {
		t.Errorf("the drop is not commented: %q", out)
	}
}
