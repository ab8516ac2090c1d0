package lab

import "strings"

// Cause is the closed list of what went wrong, most specific first: the
// first that fits the evidence names the finding.
type Cause string

const (
	CausePMTUBlackhole            Cause = "pmtu-blackhole"             // packets over the MTU dropped, no ICMP told the sender
	CauseFragmentsDropped         Cause = "fragments-dropped"          // IP fragments did not pass
	CausePacketLoss               Cause = "packet-loss"                // the link lost what the handshake needed
	CauseCorruption               Cause = "corruption"                 // the link changed bytes
	CauseHelloRewritten           Cause = "hello-rewritten"            // the server saw another hello than the client sent
	CauseShareMalformed           Cause = "share-malformed"            // a key share that cannot be of its group, by its size or its bytes
	CauseLegsDiffer               Cause = "legs-differ"                // the server's leg of a connection encrypted twice came out weaker
	CauseHRRIgnored               Cause = "hrr-ignored"                // HelloRetryRequest sent, no second ClientHello came
	CauseServerPreferredClassical Cause = "server-preferred-classical" // a classical share beat a common post-quantum group
	CauseClientPreferredClassical Cause = "client-preferred-classical" // the client's own order or shares made it classical
	CauseTLS12                    Cause = "tls12-negotiated"           // an old version has no post-quantum groups
	CausePQInTLS12                Cause = "pq-group-in-tls12"          // TLS 1.2 came out with a group that only TLS 1.3 has
	CauseRSTAfterHello            Cause = "rst-after-hello"
	CauseFINAfterHello            Cause = "fin-after-hello"
	CauseSilentAfterHello         Cause = "silent-after-hello"
	CauseSilentMidHandshake       Cause = "silent-mid-handshake" // ServerHello came, the handshake then stalled
	CauseClosedMidHandshake       Cause = "closed-mid-handshake"
	CauseNoApplicationData        Cause = "no-application-data" // handshake done, data did not cross
	CauseNoConnection             Cause = "no-connection"       // TCP did not connect
	CauseNoServer                 Cause = "server-not-started"  // it ended, or was not ready in time, instead of listening
	CauseNoHello                  Cause = "no-hello"            // connected, and the client sent nothing
	CauseWrongServer              Cause = "wrong-server"
	CauseClaimDiffers             Cause = "claim-differs-from-wire"
	CauseUnexpectedGroup          Cause = "unexpected-group"   // completed with a group the rules do not predict
	CauseUnexpectedSuccess        Cause = "unexpected-success" // completed where a refusal was predicted
	CauseUnexpectedHRR            Cause = "unexpected-hrr"     // a round trip more, or one fewer, than predicted
	CauseHelloSizeDiffers         Cause = "hello-size-differs" // as predicted, but for a hello's size
	CauseTooSlow                  Cause = "too-slow"
)

// causeAlert prefixes the causes that carry an alert's name.
const causeAlert = "alert-"

// CauseOfAlert is the cause "alert-<name>", with the name's underscores as dashes.
func CauseOfAlert(name string) Cause {
	return Cause(causeAlert + strings.ReplaceAll(name, "_", "-"))
}
