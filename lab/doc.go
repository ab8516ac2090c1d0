// Package lab is the vocabulary and the pipeline of hybridlab: will
// post-quantum hybrid TLS work in this stack, and if not, who breaks it and
// how is that proven?
//
//	Matrix --Expand--> Plan --Run--> Observation --Classify--> Verdict --> Report
//	          pure       |  impure         |          pure          |  pure
//	                   Cell            pcapng + JSON             renderers
//
// Three types are kept apart on purpose. A Prediction is what the rules of
// both stacks allow, computed before anything runs. An Observation is what
// was seen: packets decoded, peers' own words, the link's books. A Verdict is
// the comparison of the two, made by Classify, which reads no clock, no file
// and no network, so that an old run can be judged again after a rule
// changed.
//
// Run is the only impure stage. It drives a Fabric (two netstacks in this
// process, or containers) and writes a run directory. Every planned cell ends
// in exactly one verdict: a failure of the lab itself is the outcome "fault",
// never a silently missing line and never a peer's failure.
//
// The package imports only lab/wire and lab/capture. Peers, links and
// containers reach it through the Fabric interface and as data (Rules).
package lab
