package rig

import (
	"strings"

	"hybridlab/lab"
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

// Recorded is the field of a stored run by what its report says alone: the
// files of links and boxes that it used are not needed.
func Recorded(rep lab.Report) triage.Field {
	known := Recall(rep.Peers)
	return triage.Field{Known: known, CleanLink: func(link string) string {
		for _, l := range rep.Links {
			if l.Name == link && l.IPv6 {
				return cleanV6
			}
		}
		return cleanV4
	}, Settings: known.Settings, Remedy: func(culprit string) string {
		for _, b := range rep.Boxes {
			if culprit == "box "+b.Name {
				return b.Fix
			}
		}
		return ""
	}}
}
