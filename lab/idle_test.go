package lab

import (
	"strings"
	"testing"
)

// TestClassifyIdle: where a peer did nothing on the wire, no control has a
// say, and whoever did nothing is to blame.
func TestClassifyIdle(t *testing.T) {
	for _, tt := range []struct {
		name           string
		client, server End
		cause          Cause
		blame, why     string
	}{
		{"claims success", End{Done: true, Data: true}, End{}, CauseNoConnection, blameClient, "sent no packet and claims success"},
		{"fails", End{Exit: 3, Error: "no route"}, End{}, CauseNoConnection, blameClient, `exit code 3 (it says "no route")`},
		{"hangs", End{Exit: 137, TimedOut: true}, End{}, CauseNoConnection, blameClient, "until its time was up"},
		{"server does not start", End{}, End{Exit: 1, Error: "bind"}, CauseNoServer, blameServer, `did not start (it says "bind")`},
	} {
		for _, controls := range [][]ControlTaken{nil, ran(Hybrid, Classical), ran("", Failure), ran(Failure, Failure)} {
			o := seen(t, "go", "go", pqList, pqList, "mtu1280", "", func(o *Observation) {
				*o = Observation{Cell: o.Cell, Attempt: 1, Client: tt.client, Server: tt.server}
			})
			var k catalogue
			v := Classify(o, Predict(o.Cell, k.Rules("go"), k.Rules("go")), k.Rules("go"), controls)
			if v.Outcome != Failure || v.Cause != tt.cause || v.Blame != tt.blame || !strings.Contains(v.Why, tt.why) {
				t.Errorf("%s, controls %v: %s %s %s: %s", tt.name, controls, v.Outcome, v.Cause, v.Blame, v.Why)
			}
		}
	}
}
