package scenarios

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/rpc"
	"net/rpc/jsonrpc"
	"os"
	"path/filepath"
	"strings"
	"testing"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"hybridlab/lab"
	"hybridlab/lab/rig"
)

// The suite's axes are flags of the test binary: go test ./scenarios -args
// -level quick -fabric containers. The defaults are small and need neither
// root nor Docker.
var (
	flags = struct {
		fabric, level, links, boxes, boxFile, clients, servers, groups, out *string
		seed                                                                *uint64
	}{
		flag.String("fabric", "embedded", "embedded, containers or auto"),
		flag.String("level", "smoke", LevelsHelp()),
		flag.String("links", "", "comma separated; empty: the level's"),
		flag.String("boxes", "", "comma separated chains a+b of middleboxes; empty: none"),
		flag.String("box-file", "", "YAML file with boxes of your own"),
		flag.String("clients", "", "comma separated; empty: the level's"),
		flag.String("servers", "", "comma separated; empty: the level's"),
		flag.String("groups", "", "comma separated; empty: the level's"),
		flag.String("out", "", "run directory to create; empty: a temporary one"),
		flag.Uint64("seed", 1, "seed of everything random"),
	}
	chosen Selection
)

// TestMain lets the test binary be copied into containers as the agent, the
// path and the Go peer, as the command can.
func TestMain(m *testing.M) {
	if exit, ok := rig.Hidden(os.Args[1:]); ok {
		os.Exit(exit)
	}
	os.Exit(m.Run())
}

// TestScenarios builds the tree before anything runs: the plan is pure, so
// every parallel process builds the same one.
func TestScenarios(t *testing.T) {
	a := Axes{Fabric: *flags.fabric, Level: *flags.level, Links: split(*flags.links), Boxes: split(*flags.boxes), BoxFile: *flags.boxFile, Clients: split(*flags.clients), Servers: split(*flags.servers), Groups: split(*flags.groups)}
	var err error
	if chosen, err = a.Choose(context.Background()); err != nil {
		t.Fatal(err)
	}
	describe(chosen.Plan)
	RegisterFailHandler(Fail)
	RunSpecs(t, fmt.Sprintf("hybridlab, %s fabric", chosen.Fabric))
}

func split(s string) []string {
	if s == "" {
		return nil
	}
	return lab.SplitNames(s)
}

// describe makes one It per cell, labelled by its axes.
func describe(p lab.Plan) {
	Describe("cells", func() {
		for _, c := range p.Cells {
			It(c.ID, Label("client:"+string(c.Client), "server:"+string(c.Server), "link:"+c.Link, "boxes:"+cmp.Or(strings.ReplaceAll(strings.Join(c.Boxes, " then "), ",", " "), NoBox), label("offer:", c.Offer), label("accept:", c.Accept)), func(ctx SpecContext) {
				v, err := verdict(ctx, c)
				Expect(err).NotTo(HaveOccurred())
				AddReportEntry(string(v.Outcome), ReportEntryVisibilityFailureOrVerbose, v.Why)
				Expect(v.Cell).To(Equal(c.ID))
				Expect(v.Outcome).NotTo(Equal(lab.Fault), v.Why)
				if want, ok := Expected(c, chosen.Peers); ok {
					Expect(want).To(ContainElement(v.Outcome), "%s\n%s", v.Why, v.Capture)
				}
			})
		}
	})
}

// label spells a group list in the characters Ginkgo allows in a label.
func label(axis string, o lab.Offer) string {
	return axis + strings.NewReplacer("+", " and ", ">", " before ", "~", "withheld ", "*", "sent ").Replace(o.String())
}

// Desk is how the parallel processes share one fabric: process 1 owns it and
// judges, the others ask. However many processes, one set of containers.
type Desk struct {
	ctx     context.Context
	session *Session
	cells   map[string]lab.Cell
}

// Verdict runs one cell of the plan.
func (d *Desk) Verdict(id string, v *lab.Verdict) (err error) {
	c, ok := d.cells[id]
	if !ok {
		return fmt.Errorf("run cell %q: it is not in the plan", id)
	}
	*v, err = d.session.Cell(d.ctx, c)
	return err
}

var (
	desk   *rpc.Client
	close1 func() error // process 1 only
)

func verdict(ctx context.Context, c lab.Cell) (lab.Verdict, error) {
	var v lab.Verdict
	call := desk.Go("Desk.Verdict", c.ID, &v, make(chan *rpc.Call, 1))
	select {
	case <-call.Done:
		return v, call.Error
	case <-ctx.Done():
		return v, ctx.Err()
	}
}

var _ = SynchronizedBeforeSuite(func() []byte {
	addr, err := openDesk()
	Expect(err).NotTo(HaveOccurred())
	b, err := json.Marshal(addr)
	Expect(err).NotTo(HaveOccurred())
	return b
}, func(b []byte) {
	var addr string
	Expect(json.Unmarshal(b, &addr)).To(Succeed())
	var err error
	desk, err = jsonrpc.Dial("unix", addr)
	Expect(err).NotTo(HaveOccurred())
})

var _ = SynchronizedAfterSuite(func() {
	if desk != nil {
		desk.Close()
	}
}, func() {
	if close1 != nil {
		Expect(close1()).To(Succeed())
	}
})

// openDesk starts the fabric in process 1 and listens on a private socket.
func openDesk() (string, error) {
	dir, err := os.MkdirTemp("", "hybridlab-suite-")
	if err != nil {
		return "", err
	}
	out := *flags.out
	if out == "" {
		out = filepath.Join(dir, "run")
	}
	ctx, stop := context.WithCancel(context.Background())
	session, err := Start(ctx, chosen, Options{Out: out, Seed: *flags.seed, Attempts: 2, Command: strings.Join(os.Args, " "), Progress: GinkgoWriter})
	if err != nil {
		stop()
		return "", err
	}
	addr := filepath.Join(dir, "desk")
	l, err := net.Listen("unix", addr)
	close1 = func() error {
		err := session.Prove(ctx)
		for _, m := range session.Recorder.Report.Missed() {
			err = errors.Join(err, errors.New(m))
		}
		stop()
		if l != nil {
			l.Close()
		}
		return errors.Join(err, session.End(), os.RemoveAll(dir))
	}
	if err != nil {
		return "", err
	}
	d := &Desk{ctx: ctx, session: session, cells: map[string]lab.Cell{}}
	for _, c := range chosen.Plan.Cells {
		d.cells[c.ID] = c
	}
	ahead(d)
	return addr, serve(l, d)
}

// ahead starts on the whole plan when one process runs all of it, so that
// cells which wait in vain wait side by side.
func ahead(d *Desk) {
	suite, _ := GinkgoConfiguration()
	if suite.ParallelTotal > 1 || suite.LabelFilter != "" || len(suite.FocusStrings)+len(suite.SkipStrings) > 0 {
		return
	}
	go d.session.Run(d.ctx, chosen.Plan.Cells, chosen.InFlight())
}

func serve(l net.Listener, d *Desk) error {
	s := rpc.NewServer()
	if err := s.Register(d); err != nil {
		return err
	}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go s.ServeCodec(jsonrpc.NewServerCodec(c))
		}
	}()
	return nil
}
