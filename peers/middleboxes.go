package peers

import (
	"slices"
	"strings"
)

// middleboxes has one entry per program, way of use and version, sorted by id.
var middleboxes = inSuites([]middleboxRow{
	{Middlebox{
		ID: "go-sni-router", Folder: "go",
		About:   "a small router of ours reads once, and routes by the SNI in what that gave",
		Fix:     "read on until the ClientHello is complete",
		Others:  OthersDecoyed,
		command: goSNIRouter,
		says:    []string{Binary, middleboxName, "version"},
	}, "trixie"},
	{Middlebox{
		ID: "haproxy-sni", Folder: "haproxy",
		About:   "HAProxy in TCP mode routes by SNI once a whole hello is there",
		Others:  OthersDecoyed,
		command: haproxyRouter("tcp-request inspect-delay 5s\n  tcp-request content accept if { req.ssl_hello_type 1 }"),
		says:    sh("haproxy -v | head -n 1"),
	}, "bookworm forky trixie"},
	{Middlebox{
		ID: "haproxy-sni-norule", Folder: "haproxy",
		About:   "HAProxy in TCP mode routes by SNI without a rule that waits for the hello",
		Fix:     "add to the frontend: tcp-request content accept if { req.ssl_hello_type 1 }",
		Others:  OthersDecoyed,
		command: haproxyRouter("tcp-request inspect-delay 5s"),
		says:    sh("haproxy -v | head -n 1"),
	}, "bookworm forky trixie"},
	{Middlebox{
		ID: "nginx-preread", Folder: "nginx",
		About:   "nginx's stream module routes by the SNI that ssl_preread finds",
		Others:  OthersDecoyed,
		command: nginxPreread,
		says:    sh("nginx -v 2>&1"),
	}, "bookworm forky trixie"},
})

// middleboxRow is one program in one way of use, in the Debian suites whose
// versions are of interest.
type middleboxRow struct {
	Middlebox
	suites string
}

// inSuites are the rows, once for every suite.
func inSuites(rows []middleboxRow) (all []Middlebox) {
	for _, r := range rows {
		for suite := range strings.FieldsSeq(r.suites) {
			m := r.Middlebox
			m.ID, m.Suite = m.ID+"@"+suite, suite
			all = append(all, m)
		}
	}
	slices.SortFunc(all, func(a, b Middlebox) int { return strings.Compare(a.ID, b.ID) })
	return all
}

func sh(script string) []string { return []string{"sh", "-c", script} }
