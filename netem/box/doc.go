// Package box emulates middleboxes that have a bug or a policy. A box is data:
//
//   - name: panos-11.1-split-hello
//     when: seg1_incomplete_record
//     do: drop(flow)
//
// `when` is what it takes, conditions joined by "&&" (conditions.go lists
// them), and `do` is what then happens, actions joined by "+" (actions.go).
// Code exists only for the conditions and actions; what breaks in the field is
// one entry of a file each. The file is strict: what is unknown,
// contradictory or of no effect is an error that names line and key.
//
// # Where a box acts
//
// layer: packet, the default, is a box that looks at packets going by, and
// drops, changes or adds some. Its functions are pure: a Flow takes a packet
// and the time and says what becomes of it; what carries packets (package
// netem) does it.
//
// # What a box understands
//
// A box reads TLS as cheap boxes do: the bytes in the order of their sequence
// numbers, up to a bound, and of these the two hellos. Its reader (sniff.go)
// is naive on purpose and none of the judge's: a box must not be right or wrong
// because the judge is. It never fails; what it cannot read it does not see.
//
// # Chance and time
//
// Time is an argument. What is random is drawn from a number that the carrier
// keys by what the connection is, so that the same seed gives the same fate.
// All state belongs to the connection (Flow) or to the box on this path
// (Machine), none to the rule: a Program may be used by any number of cells at
// once.
package box
