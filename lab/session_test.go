package lab

import (
	"slices"
	"testing"
)

func TestSession(t *testing.T) {
	const pq, ec = "X25519MLKEM768", "x25519"
	for _, tt := range []struct {
		v    Verdict
		want Session
	}{
		{Verdict{Outcome: Hybrid, Group: pq}, SessionHybrid},
		{Verdict{Outcome: Classical, Group: ec}, SessionClassical},
		{Verdict{Outcome: Classical, Group: ec, Fallback: true}, SessionFallback},
		{Verdict{Outcome: Downgrade, Group: ec, Fallback: true}, SessionFallback},
		{Verdict{Outcome: Downgrade, Group: pq}, SessionHybrid}, // weaker than it could be, and still post-quantum
		{Verdict{Outcome: Slow, Group: pq}, SessionHybrid},
		{Verdict{Outcome: Slow, Group: ec}, SessionClassical},
		{Verdict{Outcome: Misreport, Group: "0x11ec"}, SessionHybrid},
		{Verdict{Outcome: Classical}, SessionClassical}, // RSA key exchange has no group
		{Verdict{Outcome: Refused}, SessionRefused},
		{Verdict{Outcome: Failure, Group: pq}, SessionFailed}, // the group was agreed on, and then it broke
		{Verdict{Outcome: Size}, SessionFailed},
		{Verdict{Outcome: Misroute, Group: pq}, SessionFailed},
		{Verdict{Outcome: Unsupported}, SessionUndecided},
		{Verdict{Outcome: Inconclusive}, SessionUndecided},
		{Verdict{Outcome: Flaky, Group: pq}, SessionUndecided},
		{Verdict{Outcome: Fault}, SessionUndecided},
	} {
		if got := tt.v.Session(); got != tt.want {
			t.Errorf("%s %q: %s, want %s", tt.v.Outcome, tt.v.Group, got, tt.want)
		}
	}
	for _, o := range Outcomes {
		if s := (Verdict{Outcome: o}).Session(); !slices.Contains(Sessions, s) {
			t.Errorf("%s is a session of kind %q", o, s)
		}
	}
}
