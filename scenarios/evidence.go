package scenarios

import (
	"bytes"
	"crypto/ed25519"
	"encoding/json"
	"fmt"

	"hybridlab/lab"
	"hybridlab/lab/evidence"
	"hybridlab/lab/rig"
	"hybridlab/reports"
)

// Bundle packs a finding of a run, signed where there is a key. What it returns
// was checked as Verify does, so that nobody is sent what does not hold.
func Bundle(d *lab.RunDir, cell string, key ed25519.PrivateKey) ([]byte, error) {
	files, err := bundleFiles(d, cell, rig.ToolVersion())
	if err != nil {
		return nil, err
	}
	data, err := evidence.Pack(files, key)
	if err != nil {
		return nil, err
	}
	for _, c := range Verify(data, nil) {
		if c.Err != nil {
			return nil, fmt.Errorf("check the bundle of %q: %s: %w (hybridlab judge %s judges the run again by today's rules)", cell, c.What, c.Err, d.Dir)
		}
	}
	return data, nil
}

func bundleFiles(d *lab.RunDir, cell, tool string) ([]evidence.File, error) {
	f, err := evidence.Gather(d, cell, rig.Recorded(d.Report))
	if err != nil {
		return nil, err
	}
	files, err := f.Files(tool)
	if err != nil {
		return nil, err
	}
	account, err := reports.Account(f)
	return append(files, account...), err
}

// Verify checks a bundle from the bytes up: zip, manifest and signature; that
// the packets say what was observed and hold no keys but their own; that the
// verdict follows from that by today's rules; and that everything written for
// people is what hybridlab makes of it.
func Verify(data []byte, key ed25519.PublicKey) []evidence.Check {
	b, checks := evidence.Open(data, key)
	if b == nil || evidence.Wrong(checks) {
		return checks // what is not what was packed is not believed any further
	}
	d, cell, err := b.Run()
	if err != nil {
		return append(checks, evidence.Check{What: "the run", Err: err})
	}
	add := func(what, note string, err error) bool {
		checks = append(checks, evidence.Check{What: what, Note: note, Err: err, Passed: err == nil})
		return err == nil
	}
	tool := packedBy(b)
	files, err := bundleFiles(d, cell, tool)
	if !add("the packets", "they say what was observed, and the only keys are those of their own connections", err) {
		return checks
	}
	add("the verdict", "judged again it is the same", evidence.Follow(d, rig.Recorded(d.Report)))
	err = b.Account(files)
	if own := rig.ToolVersion(); err != nil && tool != own {
		return append(checks, evidence.Check{What: "the account", Note: fmt.Sprintf("not compared: hybridlab %s wrote it, this is %s", tool, own)})
	}
	add("the account", "it is what hybridlab makes of the packets", err)
	return checks
}

// packedBy is the version of hybridlab that packed the bundle.
func packedBy(b *evidence.Bundle) string {
	var p evidence.Provenance
	d := json.NewDecoder(bytes.NewReader(b.File(evidence.ProvenanceFile)))
	if d.Decode(&p) != nil {
		return "unknown"
	}
	return p.PackedBy
}
