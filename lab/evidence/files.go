package evidence

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"time"

	"hybridlab/lab"
	"hybridlab/lab/capture"
)

// File is one file of a bundle. Names are fixed, or made from digests.
type File struct {
	Name string
	Data []byte
}

// Names in a bundle, beside those of a run directory below runDir.
const (
	runDir = "run/"

	ClientSideFile  = "captures/client-side.pcapng"
	ServerSideFile  = "captures/server-side.pcapng"
	BothSidesFile   = "captures/both-sides.pcapng"
	VerdictFile     = "verdict.json"
	ObservationFile = "observation.json"
	ProvenanceFile  = "provenance.json"
	HelloFile       = "hello.bin"
	ControlVerdicts = "controls/verdicts.jsonl"
)

// Run are the files of the reduced run directory.
func (f *Finding) Run() ([]File, error) {
	report, err := indented(f.Report)
	if err != nil {
		return nil, err
	}
	verdicts, err := jsonLines(f.Verdicts)
	if err != nil {
		return nil, err
	}
	observations, err := jsonLines(f.Observations)
	if err != nil {
		return nil, err
	}
	files := []File{{runDir + lab.ReportFile, report}, {runDir + lab.VerdictsFile, verdicts}, {runDir + lab.ObservationsFile, observations}}
	for _, name := range slices.Sorted(maps.Keys(f.captures)) {
		files = append(files, File{runDir + name, f.captures[name].raw})
	}
	return files, nil
}

// Files are the files that are made from the finding without any words: the
// reduced run, the captures side by side, verdict, observation and hello. tool
// is the version of hybridlab that packs them.
func (f *Finding) Files(tool string) ([]File, error) {
	files, err := f.Run()
	if err != nil {
		return nil, err
	}
	for _, part := range []struct {
		name string
		make func() ([]byte, error)
	}{
		{BothSidesFile, func() ([]byte, error) { return f.captures[f.Verdict.Capture].raw, nil }},
		{ClientSideFile, func() ([]byte, error) { return written(f.Capture.On(capture.ClientSide)) }},
		{ServerSideFile, func() ([]byte, error) { return written(f.Capture.On(capture.ServerSide)) }},
		{VerdictFile, func() ([]byte, error) { return indented(f.Verdict) }},
		{ObservationFile, func() ([]byte, error) { return indented(f.Seen) }},
		{ProvenanceFile, func() ([]byte, error) { return indented(f.provenance(tool)) }},
		{ControlVerdicts, func() ([]byte, error) { return jsonLines(f.controlVerdicts()) }},
		{HelloFile, func() ([]byte, error) { return f.Hello.Bytes, nil }},
	} {
		data, err := part.make()
		if err != nil {
			return nil, fmt.Errorf("make %s: %w", part.name, err)
		}
		if len(data) > 0 {
			files = append(files, File{part.name, data})
		}
	}
	return append(files, f.controlCaptures()...), nil
}

func written(c capture.File) ([]byte, error) {
	var b bytes.Buffer
	err := c.Write(&b)
	return b.Bytes(), err
}

func (f *Finding) controlVerdicts() (out []lab.Verdict) {
	for _, c := range f.Controls {
		out = append(out, c.Verdict)
	}
	return out
}

// ControlCapture is the name of the i-th control's capture; empty: it has none.
func (f *Finding) ControlCapture(i int) string {
	if f.Controls[i].Seen.Capture == "" {
		return ""
	}
	return fmt.Sprintf("controls/control-%d.pcapng", i+1)
}

func (f *Finding) controlCaptures() (out []File) {
	for i, c := range f.Controls {
		if name := f.ControlCapture(i); name != "" {
			out = append(out, File{name, f.captures[c.Seen.Capture].raw})
		}
	}
	return out
}

// Provenance is provenance.json: with what the finding was made.
type Provenance struct {
	Run        string    `json:"run"`
	Tool       string    `json:"tool"`      // hybridlab's commit when it was run
	PackedBy   string    `json:"packed_by"` // and when it was packed
	Fabric     string    `json:"fabric"`
	Kernel     string    `json:"kernel"` // whose TCP it was
	Seed       uint64    `json:"seed"`
	Started    time.Time `json:"started"`
	Ended      time.Time `json:"ended"`
	PlanDigest string    `json:"plan_digest"`
	Command    string    `json:"command"` // of the whole run
	Client     PeerTold  `json:"client"`
	Server     PeerTold  `json:"server"`
	SHA256     string    `json:"capture_sha256"` // of captures/both-sides.pcapng, which is the run's own file
}

// PeerTold is which program a peer was.
type PeerTold struct {
	ID      lab.PeerID `json:"id"`
	Version string     `json:"version,omitempty"`
	Image   string     `json:"image,omitempty"` // digest
}

func (f *Finding) provenance(tool string) Provenance {
	r, sum := f.Report, sha256.Sum256(f.captures[f.Verdict.Capture].raw)
	return Provenance{
		Run: r.Run, Tool: r.Tool, PackedBy: tool, Fabric: r.Fabric, Kernel: r.Kernel, Seed: r.Seed, Started: r.Started, Ended: r.Ended,
		PlanDigest: r.PlanDigest, Command: r.Command, Client: f.peer(f.Verdict.Client), Server: f.peer(f.Verdict.Server), SHA256: hex.EncodeToString(sum[:]),
	}
}

func (f *Finding) peer(id lab.PeerID) PeerTold {
	for _, p := range f.Report.Peers {
		if p.ID == id {
			return PeerTold{id, p.Version, p.Image}
		}
	}
	return PeerTold{ID: id}
}

func indented(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	err := e.Encode(v)
	return b.Bytes(), err
}

func jsonLines[T any](list []T) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	for _, v := range list {
		if err := e.Encode(v); err != nil {
			return nil, err
		}
	}
	return b.Bytes(), nil
}

// hash writes a digest as sha256sum does.
func hash(w io.Writer, f File) { fmt.Fprintf(w, "%x  %s\n", sha256.Sum256(f.Data), f.Name) }
