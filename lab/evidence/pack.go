package evidence

import (
	"archive/zip"
	"bytes"
	"cmp"
	"crypto/ed25519"
	"errors"
	"fmt"
	"hash/crc32"
	"regexp"
	"slices"
	"strings"
)

// What a bundle's own bookkeeping is called.
const (
	ManifestFile  = "MANIFEST"     // as sha256sum writes it, and "sha256sum -c MANIFEST" checks it
	SignatureFile = "manifest.sig" // ed25519 of MANIFEST, 64 bytes
)

// Limits of a bundle.
const (
	MostBytes = 64 << 20 // in all
	mostFiles = 256
	mostName  = 100
)

// Pack makes the zip: the files, their manifest and, with a key, its
// signature. The same files and key give the same bytes.
func Pack(files []File, key ed25519.PrivateKey) ([]byte, error) {
	files = slices.Clone(files)
	byName(files)
	var manifest bytes.Buffer
	for _, f := range files {
		hash(&manifest, f)
	}
	files = append(files, File{ManifestFile, manifest.Bytes()})
	if key != nil {
		files = append(files, File{SignatureFile, ed25519.Sign(key, manifest.Bytes())})
	}
	if err := proper(files); err != nil {
		return nil, fmt.Errorf("pack bundle: %w", err)
	}
	out, err := zipped(files)
	if err != nil {
		return nil, fmt.Errorf("pack bundle: %w", err)
	}
	return out, nil
}

func byName(files []File) {
	slices.SortFunc(files, func(a, b File) int { return cmp.Compare(a.Name, b.Name) })
}

// zipped is the one form that a bundle of these files has. Nothing in it is
// compressed, so that its bytes depend on no compressor and it unpacks to no
// more than it is.
func zipped(files []File) ([]byte, error) {
	files = slices.Clone(files)
	byName(files)
	var out bytes.Buffer
	w := zip.NewWriter(&out)
	for _, f := range files {
		h := &zip.FileHeader{
			Name: f.Name, Method: zip.Store, CRC32: crc32.ChecksumIEEE(f.Data),
			CompressedSize64: uint64(len(f.Data)), UncompressedSize64: uint64(len(f.Data)),
			CreatorVersion: 3<<8 | 20, ReaderVersion: 20, ExternalAttrs: 0o100644 << 16,
		}
		//lint:ignore SA1019 a raw header is written from this field; it is 1 January 1980, as zip knows no "no time"
		h.ModifiedDate = 1<<5 | 1
		to, err := w.CreateRaw(h)
		if err != nil {
			return nil, err
		}
		if _, err := to.Write(f.Data); err != nil {
			return nil, err
		}
	}
	err := w.Close()
	return out.Bytes(), err
}

var goodName = regexp.MustCompile(`^([A-Za-z0-9][A-Za-z0-9._-]*/)*[A-Za-z0-9][A-Za-z0-9._-]*$`)

// proper refuses names that could be anything but a file below where a bundle
// is unpacked, and what is there twice.
func proper(files []File) error {
	seen := map[string]bool{}
	size := 0
	for _, f := range files {
		folded := strings.ToLower(f.Name) // some disks do not tell them apart
		switch size += len(f.Data); {
		case len(f.Name) > mostName || !goodName.MatchString(f.Name):
			return fmt.Errorf("file name %.120q: want letters, digits, dots, dashes and slashes, and no way out", f.Name)
		case seen[folded]:
			return fmt.Errorf("file %q is there twice", f.Name)
		case size > MostBytes:
			return fmt.Errorf("more than %d MiB in all", MostBytes>>20)
		}
		seen[folded] = true
	}
	if len(files) > mostFiles {
		return fmt.Errorf("%d files: a bundle has at most %d", len(files), mostFiles)
	}
	return nil
}

// unzipped reads a bundle back. What zipped would not have written, to the
// byte, is refused.
func unzipped(data []byte) ([]File, error) {
	if len(data) > MostBytes {
		return nil, fmt.Errorf("it is larger than %d MiB", MostBytes>>20)
	}
	r, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		return nil, err
	}
	if len(r.File) > mostFiles {
		return nil, fmt.Errorf("%d files: a bundle has at most %d", len(r.File), mostFiles)
	}
	var files []File
	left := uint64(len(data))
	for _, z := range r.File {
		at, err := z.DataOffset()
		switch {
		case err != nil:
			return nil, err
		case z.Method != zip.Store || z.CompressedSize64 != z.UncompressedSize64 || z.UncompressedSize64 > left || at < 0 || uint64(at) > uint64(len(data))-z.UncompressedSize64:
			return nil, fmt.Errorf("file %.120q is compressed or larger than the zip: a bundle's are stored as they are", z.Name)
		}
		left -= z.UncompressedSize64
		files = append(files, File{z.Name, data[at : uint64(at)+z.UncompressedSize64]})
	}
	if err := proper(files); err != nil {
		return nil, err
	}
	if again, err := zipped(files); err != nil || !bytes.Equal(again, data) {
		return nil, errors.Join(errors.New("it is not as hybridlab packs one: it is damaged, or was packed anew or added to"), err)
	}
	return files, nil
}
