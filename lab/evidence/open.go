package evidence

import (
	"archive/zip"
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"regexp"
	"slices"
	"strings"

	"hybridlab/lab"
	"hybridlab/lab/triage"
)

// Check is one thing about a bundle that was looked at.
type Check struct {
	What   string
	Err    error  // nil: it is right
	Note   string // what was found
	Passed bool   // false without Err: it could not be checked, and Note says why
}

func passed(what, format string, args ...any) Check {
	return Check{What: what, Note: fmt.Sprintf(format, args...), Passed: true}
}

func failed(what string, err error) Check { return Check{What: what, Err: err} }

// Wrong reports whether any of the checks failed.
func Wrong(checks []Check) bool {
	return slices.ContainsFunc(checks, func(c Check) bool { return c.Err != nil })
}

// Bundle is one that is sound: it is a zip as Pack makes it.
type Bundle struct {
	files map[string][]byte
	zip   *zip.Reader
}

// Open reads a bundle and checks what needs no knowledge of what is in it: the
// zip, the manifest and, with a key, the signature. The bundle is nil where
// there is nothing to read.
func Open(data []byte, key ed25519.PublicKey) (*Bundle, []Check) {
	files, err := unzipped(data)
	if err != nil {
		return nil, []Check{failed("the zip", fmt.Errorf("read bundle: %w", err))}
	}
	b := &Bundle{files: map[string][]byte{}}
	for _, f := range files {
		b.files[f.Name] = f.Data
	}
	if b.zip, err = zip.NewReader(bytes.NewReader(data), int64(len(data))); err != nil {
		return nil, []Check{failed("the zip", err)}
	}
	checks := []Check{passed("the zip", "%d files, %d bytes, packed as hybridlab does", len(files), len(data))}
	return b, append(append(checks, b.manifest()...), b.signature(key))
}

// File is a file of the bundle; nil: it has none of that name.
func (b *Bundle) File(name string) []byte { return b.files[name] }

// manifest holds the files against what it says of them, a check for each.
func (b *Bundle) manifest() []Check {
	listed, err := parseManifest(b.files[ManifestFile])
	if err != nil {
		return []Check{failed(ManifestFile, err)}
	}
	checks := []Check{passed(ManifestFile, "lists %d files", len(listed))}
	for _, l := range listed {
		data, ok := b.files[l.name]
		switch sum := sha256.Sum256(data); {
		case !ok:
			checks = append(checks, failed(l.name, errors.New("it is missing")))
		case hex.EncodeToString(sum[:]) != l.sum:
			checks = append(checks, failed(l.name, fmt.Errorf("it is not the file that the manifest lists: its SHA-256 is %x", sum)))
		default:
			checks = append(checks, passed(l.name, "SHA-256 as listed"))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(b.files)) {
		own := name == ManifestFile || name == SignatureFile
		if !own && !slices.ContainsFunc(listed, func(l entry) bool { return l.name == name }) {
			checks = append(checks, failed(name, errors.New("the manifest does not list it")))
		}
	}
	return checks
}

// entry is a line of the manifest.
type entry struct{ sum, name string }

var manifestLine = regexp.MustCompile(`^([0-9a-f]{64})  (.{1,100})$`)

// parseManifest reads a manifest that hash wrote, in order of names.
func parseManifest(data []byte) ([]entry, error) {
	if len(data) == 0 {
		return nil, errors.New("it is missing: this is no bundle of hybridlab")
	}
	if !bytes.HasSuffix(data, []byte("\n")) {
		return nil, errors.New("it is cut off")
	}
	var out []entry
	for line := range strings.Lines(string(data)) {
		m := manifestLine.FindStringSubmatch(strings.TrimSuffix(line, "\n"))
		switch {
		case m == nil || !goodName.MatchString(m[2]):
			return nil, fmt.Errorf("line %d: want a SHA-256 and a file name", len(out)+1)
		case len(out) > 0 && out[len(out)-1].name >= m[2]:
			return nil, fmt.Errorf("line %d: %q is out of order or listed twice", len(out)+1, m[2])
		}
		out = append(out, entry{m[1], m[2]})
	}
	return out, nil
}

func (b *Bundle) signature(key ed25519.PublicKey) Check {
	sig, signed := b.files[SignatureFile]
	switch {
	case !signed && key == nil:
		return Check{What: "signature", Note: "there is none: the manifest shows damage, and not who made it"}
	case !signed:
		return failed("signature", errors.New("a key was given, and the bundle is not signed"))
	case key == nil:
		return Check{What: "signature", Note: "not checked: give the signer's public key with --key"}
	case len(sig) != ed25519.SignatureSize || !ed25519.Verify(key, b.files[ManifestFile], sig):
		return failed("signature", errors.New("it is not this key's signature of this manifest"))
	}
	return passed("signature", "made with this key")
}

// Run opens the run directory in the bundle and names the finding's cell.
func (b *Bundle) Run() (d *lab.RunDir, cell string, err error) {
	sub, err := fs.Sub(b.zip, strings.TrimSuffix(runDir, "/"))
	if err != nil {
		return nil, "", err
	}
	if d, err = lab.OpenPacked(sub, runDir); err != nil {
		return nil, "", err
	}
	var v lab.Verdict
	if err := json.Unmarshal(b.files[VerdictFile], &v); err != nil {
		return nil, "", fmt.Errorf("read %s: %w", VerdictFile, err)
	}
	return d, v.Cell, nil
}

// Follow judges the observations of the run again and reports whether the
// verdicts still follow from them.
func Follow(d *lab.RunDir, field triage.Field) error {
	now, err := lab.Rejudge(d, field.Known, field.CleanLink)
	if err != nil {
		return err
	}
	rep := d.Report
	known := rep.Deviations()
	rep.Recount(known, now)
	if err := triage.Replay(field, d, now); err != nil {
		return err
	}
	rep.Recount(known, now)
	i := 0
	for old, err := range d.Verdicts() {
		if err != nil {
			return err
		}
		if err := same(old, now[i]); err != nil {
			return err
		}
		i++
	}
	return nil
}

// same compares what two verdicts say.
func same(old, now lab.Verdict) error {
	was, err := json.Marshal(old)
	if err != nil {
		return err
	}
	is, err := json.Marshal(now)
	if err != nil {
		return err
	}
	if !bytes.Equal(was, is) {
		return fmt.Errorf("judged again it is another: %s %s, blame %s: %s", now.Outcome, now.Cause, now.Blame, now.Why)
	}
	return nil
}

// Account compares what is in the bundle with what is made of its run.
func (b *Bundle) Account(made []File) error {
	own := map[string]bool{ManifestFile: true, SignatureFile: true}
	for _, f := range made {
		own[f.Name] = true
		if data, ok := b.files[f.Name]; !ok || !bytes.Equal(data, f.Data) {
			return fmt.Errorf("%s is not what the evidence makes it", f.Name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(b.files)) {
		if !own[name] {
			return fmt.Errorf("%s is nothing that hybridlab packs", name)
		}
	}
	return nil
}
