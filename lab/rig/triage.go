package rig

import (
	"strings"

	"hybridlab/lab/triage"
)

// Field is what triage knows of the peers, links and boxes of a run.
func Field(known Catalogue, links Links, boxes Boxes) triage.Field {
	return triage.Field{Known: known, CleanLink: links.Clean, Settings: known.Settings, Remedy: func(culprit string) string {
		if box, ok := strings.CutPrefix(culprit, "box "); ok {
			return boxes.Fix(box)
		}
		return ""
	}}
}
