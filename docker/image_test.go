package docker

import (
	"archive/tar"
	"bytes"
	"debug/elf"
	"encoding/binary"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

func TestFolders(t *testing.T) {
	if got := Folders(); !slices.Contains(got, "openssl") || !slices.Contains(got, "go") || !slices.Contains(got, "path") {
		t.Errorf("folders: %q", got)
	}
	for _, folder := range Folders() {
		text, err := folders.ReadFile(folder + "/Dockerfile")
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{"ARG BASE=debian:", "FROM ${BASE}", "ARG SUITE=", "/version.txt"} {
			if !strings.Contains(string(text), want) {
				t.Errorf("docker/%s/Dockerfile has no %q", folder, want)
			}
		}
		for _, newer := range []string{"<<", "--mount", "COPY --link", "# syntax"} {
			if strings.Contains(string(text), newer) {
				t.Errorf("docker/%s/Dockerfile uses %q, which the classic builder does not know", folder, newer)
			}
		}
	}
}

func TestPackNamesWhatGoesIn(t *testing.T) {
	files := fstest.MapFS{"p/Dockerfile": {Data: []byte("FROM x")}, "p/conf/a": {Data: []byte("1")}, "q/Dockerfile": {Data: []byte("FROM x")}}
	ref, context, err := pack(files, "p", "trixie", "sha256:1")
	if err != nil {
		t.Fatal(err)
	}
	if !regexp.MustCompile(`^hybridlab/p-trixie:[0-9a-f]{12}$`).MatchString(ref) {
		t.Errorf("reference %q", ref)
	}
	var names []string
	for tr := tar.NewReader(bytes.NewReader(context)); ; {
		hdr, err := tr.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, hdr.Name)
	}
	if !slices.Equal(names, []string{"Dockerfile", "conf/a"}) {
		t.Errorf("files in the context: %q", names)
	}
	seen := map[string]string{ref: "the first"}
	for name, again := range map[string]func() (string, []byte, error){
		"another suite":  func() (string, []byte, error) { return pack(files, "p", "bookworm", "sha256:1") },
		"another base":   func() (string, []byte, error) { return pack(files, "p", "trixie", "sha256:2") },
		"another folder": func() (string, []byte, error) { return pack(files, "q", "trixie", "sha256:1") },
		"another text": func() (string, []byte, error) {
			return pack(fstest.MapFS{"p/Dockerfile": {Data: []byte("FROM y")}, "p/conf/a": files["p/conf/a"]}, "p", "trixie", "sha256:1")
		},
	} {
		ref, _, err := again()
		if err != nil || seen[ref] != "" {
			t.Errorf("%s: %q is the reference of %q too, %v", name, ref, seen[ref], err)
		}
		seen[ref] = name
	}
	if again, _, _ := pack(files, "p", "trixie", "sha256:1"); again != ref {
		t.Errorf("the same twice: %q and %q", ref, again)
	}
	if _, _, err := pack(files, "none", "trixie", ""); err == nil {
		t.Error("a folder that is not there: no error")
	}
}

func TestReadStream(t *testing.T) {
	for _, tc := range []struct{ in, tail, say string }{
		{`{"stream":"Step 1\n"}{"stream":"done\n"}`, "Step 1\ndone\n", ""},
		{`{"status":"Pulling"}{"aux":{"ID":"sha256:1"}}`, "", ""},
		{`{"stream":"E: no such package\n"}{"errorDetail":{"code":100},"error":"returned a non-zero code: 100"}`, "E: no such package\n", "non-zero code: 100: E: no such package"},
		{`{"stream":"half`, "", "read the daemon's report: unexpected EOF"},
	} {
		tail, err := readStream(strings.NewReader(tc.in))
		if tail != tc.tail || (err == nil) != (tc.say == "") || err != nil && !strings.Contains(err.Error(), tc.say) {
			t.Errorf("%s: %q, %v", tc.in, tail, err)
		}
	}
	long := `{"stream":"` + strings.Repeat("x", 3*maxReport) + `end"}`
	if tail, err := readStream(strings.NewReader(long)); err != nil || len(tail) != maxReport || !strings.HasSuffix(tail, "end") {
		t.Errorf("a long report: %d bytes, %v", len(tail), err)
	}
}

func FuzzReadStream(f *testing.F) {
	f.Add(`{"stream":"a"}{"error":"b"}`)
	f.Fuzz(func(t *testing.T, in string) {
		if tail, _ := readStream(strings.NewReader(in)); len(tail) > maxReport {
			t.Errorf("kept %d bytes", len(tail))
		}
	})
}

// program makes an ELF file with one program header.
func program(t *testing.T, machine elf.Machine, segment elf.ProgType) string {
	t.Helper()
	var buf bytes.Buffer
	head := elf.Header64{
		Ident: [16]byte{0x7f, 'E', 'L', 'F', byte(elf.ELFCLASS64), byte(elf.ELFDATA2LSB), byte(elf.EV_CURRENT)},
		Type:  uint16(elf.ET_EXEC), Machine: uint16(machine), Version: uint32(elf.EV_CURRENT),
		Phoff: 64, Ehsize: 64, Phentsize: 56, Phnum: 1, Shentsize: 64,
	}
	binary.Write(&buf, binary.LittleEndian, head)
	binary.Write(&buf, binary.LittleEndian, elf.Prog64{Type: uint32(segment)})
	file := filepath.Join(t.TempDir(), "program")
	if err := os.WriteFile(file, buf.Bytes(), 0o755); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestCheckBinary(t *testing.T) {
	d := &Daemon{Arch: "amd64"}
	for _, tc := range []struct{ name, file, say string }{
		{"static", program(t, elf.EM_X86_64, elf.PT_LOAD), ""},
		{"dynamic", program(t, elf.EM_X86_64, elf.PT_INTERP), "build with CGO_ENABLED=0"},
		{"for another processor", program(t, elf.EM_AARCH64, elf.PT_LOAD), "build with GOARCH=amd64"},
		{"not a program", "image_test.go", "bad magic number"},
		{"not there", "/nowhere", "no such file"},
	} {
		err := d.checkBinary(tc.file)
		if (err == nil) != (tc.say == "") || err != nil && !strings.Contains(err.Error(), tc.say) {
			t.Errorf("%s: %v", tc.name, err)
		}
	}
}
