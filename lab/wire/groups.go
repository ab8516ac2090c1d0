// Package wire decodes what TLS peers put on the wire.
package wire

import "fmt"

// Group is a TLS NamedGroup code point (RFC 8446 section 4.2.7).
type Group uint16

func (g Group) String() string               { return fmt.Sprintf("0x%04x", uint16(g)) }
func (g Group) Slug() string                 { return fmt.Sprintf("0x%04x", uint16(g)) }
func (g Group) PostQuantum() bool            { return g > 500 }
func LookupGroup(name string) (Group, error) { return 0, nil }
