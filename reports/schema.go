package reports

import _ "embed"

// The published formats, as JSON Schema (draft 2020-12). A field that is not
// in them is an error on purpose: whoever reads these files may rely on the
// names, and a name enters by being added here.
var (
	// VerdictSchema describes one line of verdicts.jsonl.
	//go:embed verdict.schema.json
	VerdictSchema []byte

	// ReportSchema describes report.json.
	//go:embed report.schema.json
	ReportSchema []byte
)
