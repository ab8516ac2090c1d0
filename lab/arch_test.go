package lab

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// arrows: which of our packages a package may import. Imports point one way;
// an arrow that is not here is a design change and belongs in this table
// with its reason.
var arrows = map[string][]string{
	"lab/wire":                nil,                                                    // leaf: bytes to messages
	"lab/capture":             nil,                                                    // leaf: packets to streams and files
	"lab/yaml":                nil,                                                    // leaf: files written by hand
	"lab/stats":               nil,                                                    // leaf: samples of times
	"lab":                     {"lab/wire", "lab/capture", "lab/yaml"},                // vocabulary and pipeline
	"lab/capture/capturetest": {"lab/capture"},                                        // makes packets for tests; see testOnly
	"netem/box":               {"lab/capture", "lab/yaml"},                            // directions and flags; boxes are files. Never lab/wire: the judge shares no code with the judged
	"netem/host":              nil,                                                    // leaf: a TCP end in this process
	"netem":                   {"lab/capture", "lab/yaml", "netem/box", "netem/host"}, // the engine records packets; links are files; boxes are stages, and some end TCP
	"netem/netstack":          {"netem", "netem/host", "netem/box", "lab/capture"},    // feeds the engine
	"netem/tun":               {"netem", "docker/control", "lab/capture"},             // feeds the engine, driven from outside
	"netem/tc":                {"netem"},                                              // what a link says, to the kernel
	"netem/fidelity":          {"netem", "netem/tc", "docker"},                        // the engine against the kernel, which its tests boot in a container
	"peers":                   {"lab", "lab/wire", "peers/agent", "peers/browser", "peers/crafted", "peers/config"},
	"peers/crafted":           {"lab/wire"}, // our own TLS speaks the same code points; the judge does not import it
	"peers/config":            nil,          // leaf: what a configuration file says about TLS
	"peers/agent":             {"docker/control"},
	"peers/browser":           {"lab"},            // what a browser says of a connection is a lab.End
	"docker":                  {"docker/control"}, // knows containers, not TLS or cells
	"docker/control":          nil,
	"docker/golang":           nil,                                                                              // a peer's program, built in its image
	"docker/selftest":         {"docker", "docker/control", "netem", "netem/tun", "peers/agent", "lab/capture"}, // the container fabric's own tests
	"lab/compare":             {"lab", "lab/stats"},                                                             // verdicts of two runs, and nothing else
	"lab/history":             {"lab", "lab/stats"},                                                             // a line for every run, and nothing else
	"lab/gate":                {"lab", "lab/wire", "lab/yaml", "lab/compare", "lab/stats"},                      // a comparison against a policy file
	"lab/evidence":            {"lab", "lab/capture", "lab/triage"},                                             // pure: what of a run a finding rests on, and whether it still does
	"reports":                 {"lab", "lab/wire", "lab/compare", "lab/history", "lab/stats", "lab/gate", "lab/evidence"},
	"fixtures":                nil,                                                                                 // data; the catalogue of boxes is read by the wiring as well as by tests
	"lab/triage":              {"lab", "lab/wire"},                                                                 // pure: what to run next, never how
	"scenarios":               {"fixtures", "lab", "lab/wire", "lab/rig", "lab/triage", "lab/evidence", "reports"}, // fixtures: the lab's known deviations
	"lab/rig":                 {"lab", "lab/triage", "lab/wire", "lab/capture", "lab/yaml", "fixtures", "netem", "netem/box", "netem/netstack", "netem/tun", "netem/tc", "peers", "peers/agent", "docker", "docker/control", "peers/config"},
	"lab/cmd/hybridlab":       {"lab", "lab/wire", "lab/compare", "lab/evidence", "lab/history", "lab/gate", "lab/rig", "lab/triage", "netem/box", "scenarios", "reports", "docker", "netem", "netem/tc", "netem/tun", "peers", "peers/agent"},
}

// testOnly: what any package's tests may import, and only tests.
var testOnly = []string{"fixtures", "lab/capture/capturetest"}

// sole importers: a dependency kept behind one door can be replaced, and its
// weaknesses stay in one place.
var soleImporters = []struct {
	module string
	who    []string
	why    string
}{
	{"github.com/testcontainers/testcontainers-go", []string{"docker"}, "containers are one package's business"},
	{"github.com/moby/", []string{"docker"}, "the same daemon, the same door"},
	{"github.com/google/gopacket", []string{"lab/capture"}, "it panics on hostile packets; one recover covers it"},
	{"github.com/gopacket/gopacket", []string{"lab/capture"}, "pcapng only"},
	{"github.com/cloudflare/circl", []string{"peers/crafted"}, "KEMs for the peer we wrote, never for the judge"},
	{"gvisor.dev/gvisor", []string{"netem", "netem/host", "netem/netstack"}, "headers for the engine, stacks for the embedded fabric and for boxes that end TCP"},
	{"github.com/vishvananda/netlink", []string{"netem/tun", "netem/tc", "netem/fidelity", "peers/agent"}, "only code inside a container configures a network, and the kernel driver when it is asked to"},
	{"github.com/onsi/", []string{"scenarios"}, "testing elsewhere"},
	{"github.com/goccy/go-yaml", []string{"lab/yaml", "lab/cmd/hybridlab"}, "one strict decoder; and the tests of what CI is told, which is other people's syntax"},
	{"golang.org/x/perf", []string{"lab/stats"}, "tests and intervals"},
	{"github.com/aclements/go-moremath", []string{"lab/stats"}, "what x/perf computes with; it has the binomial"},
	{"github.com/spf13/cobra", []string{"lab/cmd/hybridlab"}, "only the command line parses flags"},
	{"github.com/jedib0t/go-pretty", []string{"reports"}, "tables"},
	{"github.com/schollz/progressbar", []string{"lab/cmd/hybridlab"}, "progress"},
	{"github.com/chromedp/", []string{"reports"}, "the page's tests in a browser"},
	{"github.com/santhosh-tekuri/jsonschema", []string{"reports"}, "schema tests"},
	{"github.com/prometheus/common", []string{"reports"}, "tests: what is written for Prometheus is read by its own parser"},
	{"go.opentelemetry.io/proto", []string{"reports"}, "tests: what is written for OpenTelemetry is read by its own types"},
}

const module = "hybridlab/"

// source is one Go file: the package folder and what it imports.
type source struct {
	file, pkg string
	test      bool
	doc       bool
	imports   []string
}

func sources(t *testing.T) []source {
	t.Helper()
	root := ".."
	var out []source
	err := filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(p, ".go") || strings.Contains(p, "/testdata/") {
			return err
		}
		f, err := parser.ParseFile(token.NewFileSet(), p, nil, parser.ImportsOnly|parser.ParseComments)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, p)
		s := source{file: rel, pkg: path.Dir(filepath.ToSlash(rel)), test: strings.HasSuffix(p, "_test.go"), doc: f.Doc != nil}
		for _, i := range f.Imports {
			name, _ := strconv.Unquote(i.Path.Value)
			s.imports = append(s.imports, name)
		}
		out = append(out, s)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(out) < 20 {
		t.Fatalf("only %d Go files found below %s: this test looks at nothing", len(out), root)
	}
	return out
}

func TestImportsPointOneWay(t *testing.T) {
	for _, s := range sources(t) {
		allowed, known := arrows[s.pkg]
		if !known {
			t.Errorf("%s: package %s is not in the table of arrows", s.file, s.pkg)
			continue
		}
		for _, i := range s.imports {
			ours, ok := strings.CutPrefix(i, module)
			if !ok || ours == s.pkg || slices.Contains(allowed, ours) || s.test && slices.Contains(testOnly, ours) {
				continue
			}
			t.Errorf("%s imports %s; %s may import %v", s.file, ours, s.pkg, allowed)
		}
	}
}

func TestSoleImporters(t *testing.T) {
	used := map[string]bool{}
	for _, s := range sources(t) {
		for _, i := range s.imports {
			for _, rule := range soleImporters {
				if !strings.HasPrefix(i, rule.module) {
					continue
				}
				used[rule.module] = true
				if !slices.Contains(rule.who, s.pkg) {
					t.Errorf("%s imports %s; only %v may: %s", s.file, i, rule.who, rule.why)
				}
			}
		}
	}
	for _, rule := range soleImporters {
		if !used[rule.module] {
			t.Errorf("nobody imports %s: the rule is stale", rule.module)
		}
	}
}

func TestEveryPackageSaysWhatItIs(t *testing.T) {
	docs := map[string]bool{}
	for _, s := range sources(t) {
		docs[s.pkg] = docs[s.pkg] || s.doc && !s.test
	}
	for pkg, ok := range docs {
		if !ok {
			t.Errorf("package %s has no package comment", pkg)
		}
	}
}

// parsers are the packages that read bytes from peers, packets or people.
var parsers = []string{"lab", "lab/history", "lab/wire", "lab/capture", "lab/evidence", "lab/yaml", "netem", "netem/box", "netem/tc", "peers", "peers/agent", "peers/browser", "peers/crafted", "docker/control"}

func TestEveryParserIsFuzzed(t *testing.T) {
	fuzzed := map[string]bool{}
	for _, s := range sources(t) {
		if s.test {
			b, err := os.ReadFile(filepath.Join("..", s.file))
			if err != nil {
				t.Fatal(err)
			}
			fuzzed[s.pkg] = fuzzed[s.pkg] || strings.Contains(string(b), "\nfunc Fuzz")
		}
	}
	for _, p := range parsers {
		if !fuzzed[p] {
			t.Errorf("package %s parses bytes and has no fuzz test", p)
		}
	}
}

func TestFilesStayReadable(t *testing.T) {
	for _, s := range sources(t) {
		b, err := os.ReadFile(filepath.Join("..", s.file))
		if err != nil {
			t.Fatal(err)
		}
		if n := strings.Count(string(b), "\n"); n > 600 {
			t.Errorf("%s has %d lines; the most is 600", s.file, n)
		}
	}
}
