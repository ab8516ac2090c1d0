package docker

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/moby/moby/client"
)

// fakeDaemon answers as much of the API as a test needs; every request is
// remembered as "METHOD /path".
type fakeDaemon struct {
	mu       sync.Mutex
	requests []string
	answers  map[string]func(w http.ResponseWriter, body map[string]any)
}

func (f *fakeDaemon) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path := r.URL.Path
	if i := strings.Index(path[1:], "/"); strings.HasPrefix(path, "/v1.") && i > 0 {
		path = path[i+1:]
	}
	w.Header().Set("Api-Version", "1.41")
	if path == "/_ping" {
		return
	}
	sent, err := io.ReadAll(r.Body)
	if err != nil { // an upload that broke off
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	var body map[string]any
	json.Unmarshal(sent, &body) // not every body is JSON
	f.mu.Lock()
	f.requests = append(f.requests, r.Method+" "+path)
	answer := f.answers[r.Method+" "+path]
	f.mu.Unlock()
	if answer == nil {
		w.WriteHeader(http.StatusNotFound)
		fmt.Fprintf(w, `{"message":"no such thing: %s"}`, path)
		return
	}
	answer(w, body)
}

func says(code int, text string) func(http.ResponseWriter, map[string]any) {
	return func(w http.ResponseWriter, _ map[string]any) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(code)
		fmt.Fprint(w, text)
	}
}

func (f *fakeDaemon) start(t *testing.T) *Daemon {
	t.Helper()
	srv := httptest.NewServer(f)
	t.Cleanup(srv.Close)
	cli, err := client.New(client.WithHost("tcp://" + srv.Listener.Addr().String()))
	if err != nil {
		t.Fatal(err)
	}
	return &Daemon{cli: cli, Arch: "amd64"}
}

func (f *fakeDaemon) asked(prefix string) (n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, r := range f.requests {
		if strings.HasPrefix(r, prefix) {
			n++
		}
	}
	return n
}

func TestCreateNetworkTakesAnotherSubnetWhenItLostARace(t *testing.T) {
	var subnets []any
	f := &fakeDaemon{}
	f.answers = map[string]func(http.ResponseWriter, map[string]any){
		"GET /networks": says(200, `[{"IPAM":{"Config":[{"Subnet":"172.16.0.0/13"}]}}]`),
		"POST /networks/create": func(w http.ResponseWriter, body map[string]any) {
			subnets = append(subnets, body["IPAM"].(map[string]any)["Config"].([]any)[0].(map[string]any)["Subnet"])
			labels := body["Labels"].(map[string]any)
			if labels["hybridlab"] != "r1" || labels["hybridlab.owner"] == nil || body["EnableIPv6"] != true {
				t.Errorf("asked for %v", body)
			}
			if len(subnets) < 3 {
				says(403, `{"message":"Pool overlaps with other one on this address space"}`)(w, body)
				return
			}
			says(201, `{"Id":"n1"}`)(w, body)
		},
	}
	n, err := f.start(t).CreateNetwork(t.Context(), "r1")
	if err != nil || n.ID != "n1" || n.Name != "hybridlab-r1" || fmt.Sprint(subnets[2]) != n.IPv4.String() || len(subnets) != 3 {
		t.Errorf("network %+v, %v; subnets %v", n, err, subnets)
	}
	if overlapsAny(n.IPv4, prefixes("172.16.0.0/13")) {
		t.Errorf("%v is taken", n.IPv4)
	}
}

func TestCreateNetworkGivesUp(t *testing.T) {
	f := &fakeDaemon{answers: map[string]func(http.ResponseWriter, map[string]any){
		"GET /networks":         says(200, `[]`),
		"POST /networks/create": says(500, `{"message":"no space left on device"}`),
	}}
	d := f.start(t)
	if _, err := d.CreateNetwork(t.Context(), "r1"); err == nil || !strings.Contains(err.Error(), "no space left") || f.asked("POST") != 1 {
		t.Errorf("%v after %d tries", err, f.asked("POST"))
	}
	f.answers["POST /networks/create"] = says(403, `{"message":"Pool overlaps with other one on this address space"}`)
	if _, err := d.CreateNetwork(t.Context(), "r1"); err == nil || !strings.Contains(err.Error(), "overlaps") || f.asked("POST") != 1+networkTries {
		t.Errorf("%v after %d tries", err, f.asked("POST"))
	}
	for _, bad := range []string{"", "R1", "a/b", "-a", "a b", strings.Repeat("a", 42)} {
		if _, err := d.CreateNetwork(t.Context(), bad); err == nil || !strings.Contains(err.Error(), "run id") {
			t.Errorf("run id %q: %v", bad, err)
		}
	}
}

// sweepable has, of a live lab, of a dead one, and of one on another machine,
// a container and a network each.
func sweepable(t *testing.T) *fakeDaemon {
	t.Helper()
	me, err := self("/proc")
	if err != nil {
		t.Fatal(err)
	}
	dead, far := me, me
	dead.start, far.host, far.pid = "1", "elsewhere", 1<<22
	var containers, networks []map[string]any
	answers := map[string]func(http.ResponseWriter, map[string]any){}
	for run, o := range map[string]owner{"live": me, "dead": dead, "far": far} {
		labels := map[string]string{runLabel: run, ownerLabel: o.String()}
		containers = append(containers, map[string]any{"Id": "c-" + run, "Names": []string{"/peer-" + run}, "Labels": labels})
		networks = append(networks, map[string]any{"Id": "n-" + run, "Name": "net-" + run, "Labels": labels})
		answers["DELETE /containers/c-"+run] = says(204, "")
		answers["DELETE /networks/n-"+run] = says(204, "")
	}
	list := func(items any) func(http.ResponseWriter, map[string]any) {
		text, err := json.Marshal(items)
		if err != nil {
			t.Fatal(err)
		}
		return says(200, string(text))
	}
	answers["GET /containers/json"], answers["GET /networks"] = list(containers), list(networks)
	return &fakeDaemon{answers: answers}
}

func names(items []Item) (names []string) {
	for _, i := range items {
		names = append(names, i.Name)
	}
	slices.Sort(names)
	return names
}

func TestSweep(t *testing.T) {
	for _, tc := range []struct {
		name string
		in   Scope
		want []string
	}{
		{"orphans", Orphans, []string{"net-dead", "peer-dead"}},
		{"one run", OfRun("live"), []string{"net-live", "peer-live"}},
		{"no such run", OfRun("other"), nil},
		{"everything", Everything, []string{"net-dead", "net-far", "net-live", "peer-dead", "peer-far", "peer-live"}},
	} {
		f := sweepable(t)
		removed, err := f.start(t).Sweep(t.Context(), tc.in)
		if err != nil || !slices.Equal(names(removed), tc.want) || f.asked("DELETE") != len(tc.want) {
			t.Errorf("%s: %q, %v, %d removals", tc.name, names(removed), err, f.asked("DELETE"))
		}
		order := slices.IndexFunc(f.requests, func(r string) bool { return strings.HasPrefix(r, "DELETE /networks") })
		if order >= 0 && slices.ContainsFunc(f.requests[order:], func(r string) bool { return strings.HasPrefix(r, "DELETE /containers") }) {
			t.Errorf("%s: a network before a container: %q", tc.name, f.requests)
		}
	}
}

func TestSweepGoesOnAfterAnError(t *testing.T) {
	f := sweepable(t)
	f.answers["DELETE /containers/c-dead"] = says(500, `{"message":"device or resource busy"}`)
	f.answers["DELETE /containers/c-live"] = says(409, `{"message":"removal of container c-live is already in progress"}`)
	tries := 0
	f.answers["DELETE /networks/n-live"] = func(w http.ResponseWriter, body map[string]any) {
		if tries++; tries < 3 {
			says(403, `{"message":"network n-live has active endpoints"}`)(w, body)
			return
		}
		says(204, "")(w, body)
	}
	delete(f.answers, "DELETE /networks/n-far") // gone by itself
	removed, err := f.start(t).Sweep(t.Context(), Everything)
	if err == nil || !strings.Contains(err.Error(), "remove container peer-dead") || len(removed) != 5 || tries != 3 {
		t.Errorf("%q, %v, %d tries", names(removed), err, tries)
	}
}

func TestBuildOfWhatIsThere(t *testing.T) {
	f := &fakeDaemon{}
	f.answers = map[string]func(http.ResponseWriter, map[string]any){
		"GET /images/debian:trixie-slim/json": says(200, `{"Id":"sha256:base"}`),
	}
	ref, _, err := pack(folders, "go", "trixie", "sha256:base")
	if err != nil {
		t.Fatal(err)
	}
	d := f.start(t)
	f.answers["POST /build"] = func(w http.ResponseWriter, body map[string]any) {
		f.mu.Lock()
		f.answers["GET /images/"+ref+"/json"] = says(200, `{"Id":"sha256:built"}`)
		f.mu.Unlock()
		says(200, `{"stream":"Successfully built"}`)(w, body)
	}
	for i, tc := range []struct {
		fresh  bool
		builds int
	}{{false, 1}, {false, 1}, {true, 2}} {
		image, err := d.Build(t.Context(), "go", "trixie", tc.fresh)
		if err != nil || image.ID != "sha256:built" || image.Ref != ref || f.asked("POST /build") != tc.builds {
			t.Errorf("build %d: %+v, %v, %d builds", i, image, err, f.asked("POST /build"))
		}
	}
	f.answers["POST /build"] = says(200, `{"stream":"E: Unable to fetch\n"}{"error":"exit code 100"}`)
	if _, err := d.Build(t.Context(), "go", "trixie", true); err == nil || !strings.Contains(err.Error(), "Unable to fetch") {
		t.Errorf("a build that fails: %v", err)
	}
	if _, err := d.Build(t.Context(), "no-such-peer", "trixie", false); err == nil || !strings.Contains(err.Error(), "openssl") {
		t.Errorf("a folder that is not there: %v; want the names of those that are", err)
	}
	if _, err := d.Build(t.Context(), "go", "../x", false); err == nil || !strings.Contains(err.Error(), "not a Debian suite") {
		t.Errorf("a suite that is none: %v", err)
	}
}

func TestFind(t *testing.T) {
	const there = `{"Id":"sha256:vendor","Size":7,"Config":{"Entrypoint":["/peer"],"Cmd":["-v"],"Labels":{"hybridlab.roles":"client"}}}`
	f := &fakeDaemon{answers: map[string]func(http.ResponseWriter, map[string]any){
		"GET /images/vendor:1/json": says(200, there),
		"POST /images/create":       says(500, `{"message":"dial tcp: lookup registry: no such host"}`),
	}}
	d := f.start(t)
	img, err := d.Find(t.Context(), "vendor:1")
	if err != nil || img.ID != "sha256:vendor" || !slices.Equal(img.Entry, []string{"/peer", "-v"}) || img.Labels["hybridlab.roles"] != "client" || f.asked("POST") != 0 {
		t.Errorf("one that is here: %+v, %v", img, err)
	}
	_, err = d.Find(t.Context(), "vendor:2")
	if err == nil || !strings.Contains(err.Error(), `"vendor:2"`) || !strings.Contains(err.Error(), "no such host") {
		t.Errorf("one that is nowhere: %v", err)
	}
	f.answers["POST /images/create"] = func(w http.ResponseWriter, body map[string]any) {
		f.mu.Lock()
		f.answers["GET /images/vendor:2/json"] = says(200, there)
		f.mu.Unlock()
		says(200, `{"status":"Downloaded"}`)(w, body)
	}
	if img, err := d.Find(t.Context(), "vendor:2"); err != nil || img.ID != "sha256:vendor" {
		t.Errorf("one a registry has: %+v, %v", img, err)
	}
}

func TestBaseWithoutRegistryAndMmdebstrap(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	f := &fakeDaemon{answers: map[string]func(http.ResponseWriter, map[string]any){
		"POST /images/create": says(500, `{"message":"dial tcp: lookup registry: no such host"}`),
	}}
	_, err := f.start(t).Base(t.Context(), "trixie")
	if err == nil || !strings.Contains(err.Error(), "install the packages mmdebstrap") || !strings.Contains(err.Error(), "no such host") {
		t.Errorf("error: %v", err)
	}
}

func TestBasePrefersWhatIsThere(t *testing.T) {
	for _, ref := range []string{"debian:trixie-slim", "hybridlab-base:trixie"} {
		f := &fakeDaemon{answers: map[string]func(http.ResponseWriter, map[string]any){
			"GET /images/" + ref + "/json": says(200, `{"Id":"sha256:1"}`),
		}}
		if got, err := f.start(t).Base(t.Context(), "trixie"); err != nil || got != ref || f.asked("POST") != 0 {
			t.Errorf("%s: got %s, %v, %d requests to a registry", ref, got, err, f.asked("POST"))
		}
	}
}

// TestBootstrap uses a mmdebstrap of its own: one that works and one that
// breaks off.
func TestBootstrap(t *testing.T) {
	for _, tc := range []struct{ name, script, say string }{
		{"works", "#!/bin/sh\necho the $4 system\n", ""},
		{"breaks off", "#!/bin/sh\necho half\necho E: no keyring >&2\nexit 25\n", "E: no keyring"},
	} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "mmdebstrap"), []byte(tc.script), 0o755); err != nil {
			t.Fatal(err)
		}
		t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
		f := &fakeDaemon{answers: map[string]func(http.ResponseWriter, map[string]any){
			"POST /images/create": says(200, `{"status":"sha256:1"}`),
		}}
		err := f.start(t).bootstrap(t.Context(), "trixie", "hybridlab-base:trixie")
		if (err == nil) != (tc.say == "") || err != nil && !strings.Contains(err.Error(), tc.say) {
			t.Errorf("%s: %v", tc.name, err)
		}
	}
}

func TestConnectNamesTheRemedy(t *testing.T) {
	t.Setenv("DOCKER_HOST", "unix://"+filepath.Join(t.TempDir(), "none.sock"))
	if err := Available(t.Context()); err == nil || !strings.Contains(err.Error(), "install Docker Engine, start it") {
		t.Errorf("no daemon: %v", err)
	}
	t.Setenv("DOCKER_HOST", "nonsense")
	if err := Available(t.Context()); err == nil || !strings.Contains(err.Error(), "DOCKER_HOST") {
		t.Errorf("bad address: %v", err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0") // accepts, and never answers
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	t.Setenv("DOCKER_HOST", "tcp://"+ln.Addr().String())
	ctx, cancel := context.WithTimeout(t.Context(), 1)
	defer cancel()
	if err := Available(ctx); err == nil || !strings.Contains(err.Error(), "no answer") {
		t.Errorf("a silent daemon: %v", err)
	}
}

func TestRemoveImages(t *testing.T) {
	f := &fakeDaemon{answers: map[string]func(http.ResponseWriter, map[string]any){
		"GET /images/json":                     says(200, `[{"Id":"sha256:2","RepoTags":["hybridlab/go-trixie:2"],"Labels":{"hybridlab.image":"go"},"Size":5},{"Id":"sha256:1","RepoTags":["<none>:<none>"],"Labels":{"hybridlab.image":"go"}},{"Id":"sha256:3","RepoTags":["hybridlab/used:3"],"Labels":{"hybridlab.image":"used"}}]`),
		"DELETE /images/hybridlab/go-trixie:2": says(200, `[]`),
		"DELETE /images/sha256:1":              says(200, `[]`),
		"DELETE /images/hybridlab/used:3":      says(409, `{"message":"image is being used by running container c1"}`),
	}}
	removed, err := f.start(t).RemoveImages(t.Context())
	if !slices.Equal(removed, []string{"hybridlab/go-trixie:2", "sha256:1"}) || err == nil || !strings.Contains(err.Error(), "running container c1") {
		t.Errorf("removed %q, %v", removed, err)
	}
}
