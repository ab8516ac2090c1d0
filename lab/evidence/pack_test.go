package evidence

import (
	"archive/zip"
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"hash/crc32"
	"io"
	"strings"
	"testing"
)

// little is a bundle small enough to flip every byte of it.
var little = []File{{"b/two.bin", []byte{0, 1, 2, 255}}, {"a.txt", []byte("one\n")}, {"b/empty", nil}}

func TestPackAndOpen(t *testing.T) {
	data := packed(t, little)
	b, checks := Open(data, nil)
	if Wrong(checks) || len(checks) != 6 || string(b.File("a.txt")) != "one\n" || b.File("nothing") != nil {
		t.Errorf("%+v", checks)
	}
	if turned := packed(t, []File{little[2], little[1], little[0]}); !bytes.Equal(data, turned) {
		t.Error("the order of files shows")
	}
	r, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range r.File {
		in, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(in); err != nil || !bytes.Equal(got, b.File(f.Name)) || f.Mode() != 0o644 {
			t.Errorf("%s, %v: %v", f.Name, f.Mode(), err)
		}
	}
}

// Whatever byte of a bundle is changed, and wherever it ends too early: it
// shows. There is no byte that does not count, those of the zip included.
func TestEveryByteCounts(t *testing.T) {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	data, err := Pack(little, key)
	if err != nil {
		t.Fatal(err)
	}
	pub := key.Public().(ed25519.PublicKey)
	if _, checks := Open(data, pub); Wrong(checks) {
		t.Fatalf("%+v", checks)
	}
	for i := range data {
		for _, bit := range []byte{1, 0x20, 0x80, 0xff} {
			data[i] ^= bit
			if _, checks := Open(data, pub); !Wrong(checks) {
				t.Errorf("byte %d of %d changed by %#x is not noticed", i, len(data), bit)
			}
			data[i] ^= bit
		}
		if _, checks := Open(data[:i], pub); !Wrong(checks) {
			t.Errorf("the first %d of %d bytes pass", i, len(data))
		}
	}
	for _, more := range []string{"\x00", "PK\x05\x06" + strings.Repeat("\x00", 18)} {
		if _, checks := Open(append(bytes.Clone(data), more...), pub); !Wrong(checks) {
			t.Errorf("%q behind it is not noticed", more)
		}
	}
}

// A bundle that somebody made anew says what is wrong with which file.
func TestManifest(t *testing.T) {
	sum := func(files ...File) File {
		var b bytes.Buffer
		for _, f := range files {
			hash(&b, f)
		}
		return File{ManifestFile, b.Bytes()}
	}
	a, b := File{"a", []byte("1")}, File{"b", []byte("2")}
	for name, c := range map[string]struct {
		files []File
		want  string // in the check of
		what  string
	}{
		"right":        {[]File{a, b, sum(a, b)}, "", ""},
		"none":         {[]File{a}, "no bundle", ManifestFile},
		"missing":      {[]File{a, sum(a, b)}, "missing", "b"},
		"extra":        {[]File{a, b, sum(a)}, "does not list", "b"},
		"changed":      {[]File{{"a", []byte("3")}, b, sum(a, b)}, "not the file", "a"},
		"out of order": {[]File{a, b, sum(b, a)}, "out of order", ManifestFile},
		"twice":        {[]File{a, sum(a, a)}, "twice", ManifestFile},
		"itself":       {[]File{a, sum(File{ManifestFile, nil}, a)}, "not the file", ManifestFile},
		"cut":          {[]File{a, {ManifestFile, sum(a).Data[:66]}}, "cut off", ManifestFile},
		"a line":       {[]File{a, {ManifestFile, append(sum(a).Data, "\n"...)}}, "line 2", ManifestFile},
		"a path":       {[]File{a, sum(File{"../a", nil}, a)}, "line 1", ManifestFile},
	} {
		data, err := zipped(c.files)
		if err != nil {
			t.Fatal(err)
		}
		_, checks := Open(data, nil)
		found := c.want == ""
		for _, check := range checks {
			if c.want == "" && check.Err != nil {
				t.Errorf("%s: %+v", name, check)
			}
			found = found || check.Err != nil && check.What == c.what && strings.Contains(check.Err.Error(), c.want)
		}
		if !found {
			t.Errorf("%s: no %q at %s in %+v", name, c.want, c.what, checks)
		}
	}
}

// bent is a zip that somebody else's program wrote.
func bent(t *testing.T, method uint16, change func(*zip.FileHeader), names ...string) []byte {
	t.Helper()
	var out bytes.Buffer
	w := zip.NewWriter(&out)
	for _, n := range names {
		h := &zip.FileHeader{Name: n, Method: method, CRC32: crc32.ChecksumIEEE([]byte("x")), CompressedSize64: 1, UncompressedSize64: 1}
		if change != nil {
			change(h)
		}
		to, err := w.CreateRaw(h)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := to.Write([]byte("x")); err != nil && !strings.HasSuffix(n, "/") {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func TestZipTricks(t *testing.T) {
	many := make([]string, mostFiles+1)
	for i := range many {
		many[i] = fmt.Sprint("f", i)
	}
	for name, c := range map[string]struct {
		data []byte
		want string
	}{
		"up":            {bent(t, zip.Store, nil, "../evil"), "no way out"},
		"up inside":     {bent(t, zip.Store, nil, "a/../../evil"), "no way out"},
		"absolute":      {bent(t, zip.Store, nil, "/etc/passwd"), "no way out"},
		"backslash":     {bent(t, zip.Store, nil, `..\evil`), "no way out"},
		"drive":         {bent(t, zip.Store, nil, "c:evil"), "no way out"},
		"hidden":        {bent(t, zip.Store, nil, ".ssh/config"), "no way out"},
		"nul":           {bent(t, zip.Store, nil, "a\x00b"), "no way out"},
		"bidi":          {bent(t, zip.Store, nil, "a\u202egpj.exe"), "no way out"},
		"long":          {bent(t, zip.Store, nil, strings.Repeat("a", 5000)), "no way out"},
		"folder":        {bent(t, zip.Store, nil, "a/"), "no way out"},
		"empty":         {bent(t, zip.Store, nil, ""), "no way out"},
		"twice":         {bent(t, zip.Store, nil, "a", "a"), "twice"},
		"twice, folded": {bent(t, zip.Store, nil, "MANIFEST", "manifest"), "twice"},
		"compressed":    {bent(t, zip.Deflate, nil, "a"), "compressed"},
		"bomb":          {bent(t, zip.Store, func(h *zip.FileHeader) { h.UncompressedSize64 = 1 << 40 }, "a"), "compressed or larger"},
		"larger":        {bent(t, zip.Store, func(h *zip.FileHeader) { h.UncompressedSize64, h.CompressedSize64 = 1<<40, 1<<40 }, "a"), "larger"},
		"overlapping":   {bent(t, zip.Store, func(h *zip.FileHeader) { h.UncompressedSize64, h.CompressedSize64 = 200, 200 }, "a", "b"), "larger"},
		"link":          {bent(t, zip.Store, func(h *zip.FileHeader) { h.ExternalAttrs = 0o120777 << 16; h.CreatorVersion = 3 << 8 }, "a"), "not as hybridlab packs"},
		"commented":     {bent(t, zip.Store, func(h *zip.FileHeader) { h.Comment = "hello" }, "a"), "not as hybridlab packs"},
		"many":          {bent(t, zip.Store, nil, many...), "at most"},
		"nothing":       {nil, "zip"},
		"no zip":        {[]byte("<html>"), "zip"},
	} {
		b, checks := Open(c.data, nil)
		if b != nil || len(checks) != 1 || checks[0].Err == nil || !strings.Contains(checks[0].Err.Error(), c.want) {
			t.Errorf("%s: want %q, got %+v", name, c.want, checks)
		}
	}
	if _, err := Pack([]File{{Name: "../evil"}}, nil); err == nil {
		t.Error("a bundle with a way out was packed")
	}
}

func TestSignature(t *testing.T) {
	pub, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	other, _, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	signed, err := Pack(little, key)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		data          []byte
		key           ed25519.PublicKey
		passed, wrong bool
		want          string
	}{
		"right":         {signed, pub, true, false, "this key"},
		"another's":     {signed, other, false, true, "not this key"},
		"not asked for": {signed, nil, false, false, "not checked"},
		"none":          {packed(t, little), nil, false, false, "there is none"},
		"none, asked":   {packed(t, little), pub, false, true, "not signed"},
	} {
		_, checks := Open(c.data, c.key)
		last := checks[len(checks)-1]
		if last.What != "signature" || last.Passed != c.passed || (last.Err != nil) != c.wrong || !strings.Contains(fmt.Sprint(last.Note, last.Err), c.want) {
			t.Errorf("%s: %+v", name, last)
		}
	}
}

// Keys are read as openssl writes them, and nothing else is taken for one.
func TestParseKeys(t *testing.T) {
	pub, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	long, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	block := func(typ string, der []byte, err error) []byte {
		if err != nil {
			t.Fatal(err)
		}
		return pem.EncodeToMemory(&pem.Block{Type: typ, Bytes: der})
	}
	private := func(k any) []byte { der, err := x509.MarshalPKCS8PrivateKey(k); return block("PRIVATE KEY", der, err) }
	public := func(k any) []byte { der, err := x509.MarshalPKIXPublicKey(k); return block("PUBLIC KEY", der, err) }
	if got, err := ParsePrivateKey(private(key)); err != nil || !got.Equal(key) {
		t.Error(err)
	}
	if got, err := ParsePublicKey(public(pub)); err != nil || !got.Equal(pub) {
		t.Error(err)
	}
	for _, bad := range [][]byte{nil, []byte("key"), private(long), public(pub), block("PRIVATE KEY", []byte{1}, nil)} {
		if _, err := ParsePrivateKey(bad); err == nil {
			t.Errorf("taken for a private key: %.40q", bad)
		}
	}
	for _, bad := range [][]byte{nil, public(&long.PublicKey), private(key), block("PUBLIC KEY", []byte{1}, nil)} {
		if _, err := ParsePublicKey(bad); err == nil {
			t.Errorf("taken for a public key: %.40q", bad)
		}
	}
}

// Whatever is opened, it does not panic; and what passes is what Pack makes of
// the files in it.
func FuzzOpen(f *testing.F) {
	data, err := Pack(little, nil)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Add(data[:len(data)/2])
	f.Fuzz(func(t *testing.T, data []byte) {
		b, checks := Open(data, nil)
		if b == nil || Wrong(checks) {
			return
		}
		var in []File
		for name, d := range b.files {
			if name != ManifestFile {
				in = append(in, File{name, d})
			}
		}
		if again, err := Pack(in, nil); b.files[SignatureFile] == nil && (err != nil || !bytes.Equal(again, data)) {
			t.Errorf("it passes and is not what is packed: %v", err)
		}
	})
}

// What is read as a manifest is written as it was.
func FuzzManifest(f *testing.F) {
	f.Add([]byte("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad  a/b.txt\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		listed, err := parseManifest(data)
		if err != nil {
			return
		}
		var again bytes.Buffer
		for _, l := range listed {
			fmt.Fprintf(&again, "%s  %s\n", l.sum, l.name)
		}
		if !bytes.Equal(again.Bytes(), data) {
			t.Errorf("%q was read as %q", data, again.Bytes())
		}
	})
}
