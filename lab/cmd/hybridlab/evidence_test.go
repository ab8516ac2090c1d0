package main

import (
	"archive/zip"
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"hybridlab/lab/evidence"
)

// unpacked are the files of a bundle.
func unpacked(t *testing.T, file string) []evidence.File {
	t.Helper()
	r, err := zip.OpenReader(file)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	var out []evidence.File
	for _, z := range r.File {
		in, err := z.Open()
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(in)
		if err != nil {
			t.Fatal(err)
		}
		if z.Name != evidence.ManifestFile && z.Name != evidence.SignatureFile {
			out = append(out, evidence.File{Name: z.Name, Data: data})
		}
	}
	return out
}

func write(t *testing.T, dir, name string, data []byte) string {
	t.Helper()
	file := filepath.Join(dir, name)
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// keys are a pair of key files.
func keys(t *testing.T, dir, name string) (private, public string) {
	t.Helper()
	pub, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	private = write(t, dir, name+".pem", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
	if der, err = x509.MarshalPKIXPublicKey(pub); err != nil {
		t.Fatal(err)
	}
	return private, write(t, dir, name+".pub", pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
}

// A finding behind a box is packed and verified where there is no Docker, by
// its number and by its cell; whatever is then changed in the bundle is
// noticed, even by somebody who makes the manifest anew.
func TestEvidence(t *testing.T) {
	t.Setenv("DOCKER_HOST", "unix://"+filepath.Join(t.TempDir(), "none"))
	dir := t.TempDir()
	run, bundle := filepath.Join(dir, "run"), filepath.Join(dir, "bundle.zip")
	if exit, stdout, stderr := do(t, "run", "--fabric", "embedded", "--clients", "go@1.26", "--servers", "go@1.26", "--groups", "x25519mlkem768,x25519", "--links", "clean", "--boxes", "proxysg-rst", "--out", run); exit != exitFindings {
		t.Fatalf("exit %d\n%s%s", exit, stdout, stderr)
	}
	private, public := keys(t, dir, "key")
	_, stranger := keys(t, dir, "stranger")
	const cell = "go@1.26/go@1.26/x25519mlkem768/clean/proxysg-rst"
	if exit, stdout, stderr := do(t, "evidence", run, cell, "-o", bundle, "--sign", private); exit != 0 || !strings.Contains(stdout, "signed, checked") {
		t.Fatalf("exit %d: %s%s", exit, stdout, stderr)
	}
	for _, c := range []struct {
		args []string
		exit int
		want string
	}{
		{[]string{"verify", bundle}, 0, "-     signature: not checked"},
		{[]string{"verify", bundle, "--key", public}, 0, "ok    signature: made with this key"},
		{[]string{"verify", bundle, "--key", public}, 0, "ok    the verdict: judged again it is the same"},
		{[]string{"verify", bundle, "--key", public}, 0, "ok    the account"},
		{[]string{"verify", bundle, "--key", stranger}, exitFindings, "WRONG signature"},
		{[]string{"verify", bundle, "--key", private}, exitUsage, "PUBLIC KEY"},
		{[]string{"verify", filepath.Join(dir, "none.zip")}, exitUsage, "none.zip"},
		{[]string{"evidence", run, "99", "-o", bundle}, exitUsage, "  1 go@1.26/go@1.26/default/clean/proxysg-rst"},
		{[]string{"evidence", run, "go@1.26/go@1.26/x25519mlkem768", "-o", bundle}, exitUsage, "begin so"},
		{[]string{"evidence", run, "go@1.26/go@1.26/x25519/clean/proxysg-rst", "-o", bundle}, exitUsage, "no finding"},
		{[]string{"evidence", run, "", "-o", bundle}, exitUsage, "there is none"},
		{[]string{"evidence", run, "1", "-o", bundle, "--sign", public}, exitUsage, "PRIVATE KEY"},
		{[]string{"evidence", dir, "1"}, exitUsage, "hybridlab run"},
		{[]string{"evidence", run, "1", "-o", filepath.Join(dir, "none", "b.zip")}, exitUsage, "none"},
	} {
		if exit, stdout, stderr := do(t, c.args...); exit != c.exit || !strings.Contains(stdout+stderr, c.want) {
			t.Errorf("%q: exit %d, want %d and %q in\n%s%s", c.args, exit, c.exit, c.want, stdout, stderr)
		}
	}
	again := filepath.Join(dir, "again.zip")
	do(t, "evidence", run, cell, "-o", again, "--sign", private)
	data, err := os.ReadFile(bundle)
	if err != nil {
		t.Fatal(err)
	}
	if second, err := os.ReadFile(again); err != nil || !bytes.Equal(data, second) {
		t.Errorf("packed again it is another: %v", err)
	}
	flipped(t, dir, data)
	forged(t, dir, unpacked(t, bundle))
	scrambled(t, dir, unpacked(t, bundle))
	if exit, _, stderr := do(t, "evidence", run, "1", "-o", again); exit != 0 {
		t.Errorf("by number: exit %d: %s", exit, stderr)
	}
	if files := unpacked(t, again); !slices.ContainsFunc(files, func(f evidence.File) bool {
		return f.Name == "verdict.json" && bytes.Contains(f.Data, []byte(`"cell": "go@1.26/go@1.26/default/clean/proxysg-rst"`))
	}) {
		t.Error("number 1 is not the cell that run names first")
	}
}

// flipped changes bytes all over the bundle, one at a time.
func flipped(t *testing.T, dir string, data []byte) {
	t.Helper()
	for i := 0; i < len(data); i += len(data)/41 + 1 {
		data[i] ^= 1
		if exit, stdout, _ := do(t, "verify", write(t, dir, "flipped.zip", data)); exit != exitFindings || !strings.Contains(stdout, "WRONG") {
			t.Errorf("byte %d of %d: exit %d\n%s", i, len(data), exit, stdout)
		}
		data[i] ^= 1
	}
}

// forged changes what files say and packs them anew, manifest and all.
func forged(t *testing.T, dir string, files []evidence.File) {
	t.Helper()
	for _, c := range []struct{ file, from, to, want string }{
		{"", "", "", ""},
		{"summary.html", "The ClientHello was answered", "The ClientHello was not answered", "WRONG the account: summary.html"},
		{"hello.bin", "\x16\x03\x01", "\x16\x03\x00", "WRONG the account: hello.bin"},
		{"run/verdicts.jsonl", `"blame":"box proxysg-rst"`, `"blame":"server"`, "WRONG the verdict"},
		{"run/verdicts.jsonl", `"outcome":"size"`, `"outcome":"failure"`, "WRONG the verdict"},
		{"run/observations.jsonl", `"client_close":"rst-server"`, `"client_close":"fin-server"`, "WRONG"},
		{"run/observations.jsonl", `"segments":2`, `"segments":1`, "WRONG the packets"},
		{"run/report.json", `"seed": 1`, `"seed": 2`, "WRONG the account"},
		{"run/report.json", `"schema"`, `"scheme"`, "WRONG the run"},
		{"verdict.json", `"cell"`, `"call"`, "WRONG"},
		{"packets.txt", "RST", "FIN", "WRONG the account: packets.txt"},
	} {
		changed := slices.Clone(files)
		for i, f := range changed {
			if f.Name == c.file {
				if !bytes.Contains(f.Data, []byte(c.from)) {
					t.Fatalf("no %q in %s", c.from, c.file)
				}
				changed[i].Data = bytes.ReplaceAll(f.Data, []byte(c.from), []byte(c.to))
			}
		}
		data, err := evidence.Pack(changed, nil)
		if err != nil {
			t.Fatal(err)
		}
		exit, stdout, _ := do(t, "verify", write(t, dir, "forged.zip", data))
		if (exit == 0) != (c.want == "") || !strings.Contains(stdout, c.want) {
			t.Errorf("%s with %q: exit %d, want %q in\n%s", c.file, c.to, exit, c.want, stdout)
		}
	}
	more, err := evidence.Pack(append(slices.Clone(files), evidence.File{Name: "more.txt", Data: []byte("x")}), nil)
	if err != nil {
		t.Fatal(err)
	}
	if exit, stdout, _ := do(t, "verify", write(t, dir, "forged.zip", more)); exit != exitFindings || !strings.Contains(stdout, "more.txt is nothing that hybridlab packs") {
		t.Errorf("a file more: exit %d\n%s", exit, stdout)
	}
}

// scrambled changes bytes of what verify reads and packs them anew. It may
// find a change to be sound; it must come to an end, and say so.
func scrambled(t *testing.T, dir string, files []evidence.File) {
	t.Helper()
	for i, f := range files {
		if !strings.HasPrefix(f.Name, "run/") && f.Name != "verdict.json" {
			continue
		}
		for n := range 12 {
			changed := slices.Clone(files)
			data := bytes.Clone(f.Data)
			at := n * len(data) / 12
			switch n % 4 {
			case 0:
				data = data[:at]
			case 1:
				data = append(data[:at:at], data[min(at+37, len(data)):]...)
			default:
				data[at] = "0\"9"[n%3]
			}
			changed[i].Data = data
			bundle, err := evidence.Pack(changed, nil)
			if err != nil {
				t.Fatal(err)
			}
			if exit, stdout, stderr := do(t, "verify", write(t, dir, "scrambled.zip", bundle)); exit > exitFindings || (exit == exitFindings) != strings.Contains(stdout, "WRONG") {
				t.Errorf("%s, change %d: exit %d\n%s%s", f.Name, n, exit, stdout, stderr)
			}
		}
	}
}
