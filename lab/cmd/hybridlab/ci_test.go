package main

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
)

// What CI systems and clusters are told is code that no compiler reads. Here it
// is read: strictly as YAML, its scripts by a shell, its command lines by the
// flags that there are.

const root = "../../.."

// workflow is as much of GitHub's workflow syntax as is used.
type workflow struct {
	Name        string         `yaml:"name"`
	On          any            `yaml:"on"`
	Permissions map[string]any `yaml:"permissions"`
	Concurrency map[string]any `yaml:"concurrency"`
	Jobs        map[string]job `yaml:"jobs"`
}

type job struct {
	Name     string         `yaml:"name"`
	Needs    string         `yaml:"needs"`
	If       string         `yaml:"if"`
	RunsOn   string         `yaml:"runs-on"`
	Timeout  int            `yaml:"timeout-minutes"`
	Strategy map[string]any `yaml:"strategy"`
	Steps    []step         `yaml:"steps"`
}

type step struct {
	ID       string            `yaml:"id"`
	Name     string            `yaml:"name"`
	If       string            `yaml:"if"`
	Uses     string            `yaml:"uses"`
	With     map[string]any    `yaml:"with"`
	Env      map[string]string `yaml:"env"`
	Run      string            `yaml:"run"`
	Shell    string            `yaml:"shell"`
	Continue bool              `yaml:"continue-on-error"`
}

// action is a composite action.
type action struct {
	Name        string `yaml:"name"`
	Description string `yaml:"description"`
	Inputs      map[string]struct {
		Description string `yaml:"description"`
		Default     string `yaml:"default"`
		Required    bool   `yaml:"required"`
	} `yaml:"inputs"`
	Outputs map[string]struct {
		Description string `yaml:"description"`
		Value       string `yaml:"value"`
	} `yaml:"outputs"`
	Runs struct {
		Using string `yaml:"using"`
		Steps []step `yaml:"steps"`
	} `yaml:"runs"`
}

// manifest is as much of a Kubernetes object as is used.
type manifest struct {
	APIVersion string `yaml:"apiVersion"`
	Kind       string `yaml:"kind"`
	Metadata   struct {
		Name string `yaml:"name"`
	} `yaml:"metadata"`
	Spec struct {
		AccessModes    []string       `yaml:"accessModes"`
		Resources      map[string]any `yaml:"resources"`
		CompletionMode string         `yaml:"completionMode"`
		Completions    int            `yaml:"completions"`
		Parallelism    int            `yaml:"parallelism"`
		BackoffLimit   int            `yaml:"backoffLimit"`
		Template       struct {
			Spec struct {
				RestartPolicy   string         `yaml:"restartPolicy"`
				Token           bool           `yaml:"automountServiceAccountToken"`
				SecurityContext map[string]any `yaml:"securityContext"`
				Containers      []container    `yaml:"containers"`
				Volumes         []struct {
					Name  string `yaml:"name"`
					Claim struct {
						Name string `yaml:"claimName"`
					} `yaml:"persistentVolumeClaim"`
				} `yaml:"volumes"`
			} `yaml:"spec"`
		} `yaml:"template"`
	} `yaml:"spec"`
}

type container struct {
	Name  string `yaml:"name"`
	Image string `yaml:"image"`
	Env   []struct {
		Name  string `yaml:"name"`
		Value string `yaml:"value"`
	} `yaml:"env"`
	Command         []string       `yaml:"command"`
	Args            []string       `yaml:"args"`
	SecurityContext map[string]any `yaml:"securityContext"`
	Resources       map[string]any `yaml:"resources"`
	Mounts          []struct {
		Name string `yaml:"name"`
		Path string `yaml:"mountPath"`
	} `yaml:"volumeMounts"`
}

// strictly reads the documents of a YAML file.
func strictly[T any](t *testing.T, file string) (docs []T) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(root, file))
	if err != nil {
		t.Fatal(err)
	}
	for _, doc := range bytes.Split(b, []byte("\n---\n")) {
		var v T
		if err := yaml.UnmarshalWithOptions(doc, &v, yaml.Strict(), yaml.DisallowUnknownField()); err != nil {
			t.Errorf("%s: %v", file, err)
		}
		docs = append(docs, v)
	}
	return docs
}

func workflows(t *testing.T) map[string]workflow {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(root, ".github/workflows/*.yml"))
	if err != nil || len(files) < 2 {
		t.Fatalf("%v, %v: want two workflows or more", files, err)
	}
	out := map[string]workflow{}
	for _, f := range files {
		rel := ".github/workflows/" + filepath.Base(f)
		out[rel] = strictly[workflow](t, rel)[0]
	}
	return out
}

const actionFile = ".github/actions/hybridlab/action.yml"

// steps are all steps of CI, by where they are; each list is one job's.
func steps(t *testing.T) map[string][]step {
	t.Helper()
	out := map[string][]step{actionFile: strictly[action](t, actionFile)[0].Runs.Steps}
	for file, w := range workflows(t) {
		for name, j := range w.Jobs {
			out[file+" "+name] = j.Steps
			if j.RunsOn == "" || j.Timeout == 0 || len(j.Steps) == 0 {
				t.Errorf("%s %s: job %+v has no machine, no limit or nothing to do", file, name, j)
			}
		}
	}
	return out
}

// scripts are all shell scripts of CI and cluster, by where they are.
func scripts(t *testing.T) map[string]string {
	t.Helper()
	out := map[string]string{}
	for where, list := range steps(t) {
		for i, s := range list {
			if s.Run != "" {
				out[fmt.Sprintf("%s step %d", where, i+1)] = s.Run
			}
		}
	}
	for _, file := range []string{"docker/k8s/shards.yaml", "docker/k8s/merge.yaml"} {
		for _, m := range strictly[manifest](t, file) {
			for _, c := range m.Spec.Template.Spec.Containers {
				out[file] = strings.Join(c.Args, "\n")
			}
		}
	}
	return out
}

func TestScriptsOfCIAreShell(t *testing.T) {
	all := scripts(t)
	if len(all) < 8 {
		t.Fatalf("only %d scripts: this test looks at nothing", len(all))
	}
	for where, script := range all {
		cmd := exec.Command("bash", "-n")
		cmd.Stdin = strings.NewReader(expressions.ReplaceAllString(script, "X"))
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%s: %v: %s", where, err, out)
		}
	}
}

var expressions = regexp.MustCompile(`\$\{\{.*?\}\}`)

// TestCommandLines: every hybridlab command line that CI, cluster and README
// tell is one that hybridlab takes.
func TestCommandLines(t *testing.T) {
	lines := map[string][]string{} // by where they are
	for where, script := range scripts(t) {
		lines[where] = commandLines(script)
	}
	for _, file := range []string{"README.md", ".ci/run"} {
		b, err := os.ReadFile(filepath.Join(root, file))
		if err != nil {
			t.Fatal(err)
		}
		lines[file] = commandLines(comments.ReplaceAllString(string(b), "$1"))
	}
	if n := len(lines["README.md"]); n < 15 {
		t.Errorf("only %d command lines in the README: this test looks at nothing", n)
	}
	seen := map[string]bool{}
	for where, list := range lines {
		for _, line := range list {
			name, err := accepted(line)
			if err != nil {
				t.Errorf("%s: hybridlab %s: %v", where, line, err)
			}
			seen[name] = true
		}
	}
	for _, name := range []string{"run", "merge", "report", "diff", "history"} {
		if !seen[name] {
			t.Errorf("no command line with hybridlab %s was found", name)
		}
	}
}

// comments of the README stand two spaces or more behind a command line.
var comments = regexp.MustCompile(`(?m)(^    bin/hybridlab \S.*?)   *[^ ].*$`)

// called is hybridlab where a command begins: in CI by its path, in a container
// by its name.
var called = regexp.MustCompile(`(?m)(?:\bbin/hybridlab|^\s*hybridlab) ((?:[^\n'"|&;<>#` + "`" + `]|'[^']*'|"[^"]*")+)`)

func commandLines(script string) (lines []string) {
	script = strings.ReplaceAll(expressions.ReplaceAllString(script, "X"), "\\\n", " ")
	for _, m := range called.FindAllStringSubmatch(script, -1) {
		lines = append(lines, m[1])
	}
	return lines
}

var word = regexp.MustCompile(`(?:[^\s'"]|'[^']*'|"[^"]*")+`)

// accepted has the command line read as hybridlab reads it, without running
// it. A bare variable stands for any number of words.
func accepted(line string) (command string, err error) {
	var args []string
	for _, w := range word.FindAllString(line, -1) {
		if !strings.HasPrefix(w, "$") {
			args = append(args, strings.NewReplacer("'", "", `"`, "").Replace(w))
		}
	}
	cmd, rest, err := rootCommand().Find(args)
	if err != nil {
		return "", err
	}
	if !cmd.Runnable() {
		return "", fmt.Errorf("there is no such command")
	}
	if err := cmd.ParseFlags(rest); err != nil {
		return "", err
	}
	if err := cmd.ValidateArgs(cmd.Flags().Args()); err != nil {
		return "", err
	}
	return cmd.Name(), cmd.ValidateRequiredFlags()
}

// The control: what hybridlab does not take is noticed, wherever it stands.
func TestCommandLinesControl(t *testing.T) {
	for _, tt := range []struct {
		script string
		wrong  bool
	}{
		{"bin/hybridlab run --level full --out x || rc=$?", false},
		{"\"$ROOT\"/bin/hybridlab run $ARGS --shard \"$SHARD\"", false},
		{"  hybridlab merge /runs/shard-* --out \"$night\" || rc=$?", false},
		{"bin/hybridlab run \\\n  --links 'clean{mtu=9000}' > log", false},
		{"x=$(bin/hybridlab runn)", true},
		{"bin/hybridlab run --levell full", true},
		{"bin/hybridlab run --level full stray", true},
		{"bin/hybridlab run \\\n  --bogus", true},
		{"bin/hybridlab merge --out x", true},
		{"if ! bin/hybridlab gate --before x; then", true},
		{"bin/hybridlab run --seed one", true},
	} {
		lines := commandLines(tt.script)
		if len(lines) != 1 {
			t.Errorf("%q: found %q, want one command line", tt.script, lines)
			continue
		}
		if name, err := accepted(lines[0]); (err != nil) != tt.wrong {
			t.Errorf("%q: command %q, %v; it is wrong: %t", tt.script, name, err, tt.wrong)
		}
	}
}

// TestExpressions: every input, output and step that CI refers to is there.
func TestExpressions(t *testing.T) {
	a := strictly[action](t, actionFile)[0]
	refs := 0
	for where, list := range steps(t) {
		inputs := slices.Collect(namesIn(a.Inputs))
		if file, _, ok := strings.Cut(where, " "); ok {
			inputs = dispatchInputs(workflows(t)[file])
		}
		outputs := map[string][]string{}
		for _, s := range list {
			text := fmt.Sprintln(s.If, s.With, s.Env, s.Run)
			for _, m := range regexp.MustCompile(`\binputs\.([a-z-]+)`).FindAllStringSubmatch(text, -1) {
				if refs++; !slices.Contains(inputs, m[1]) {
					t.Errorf("%s: input %q is none of %v", where, m[1], inputs)
				}
			}
			checkOutputs(t, where, text, outputs)
			if s.ID != "" {
				for _, m := range regexp.MustCompile(`echo "([a-z-]+)=.*" >> "\$GITHUB_OUTPUT"`).FindAllStringSubmatch(s.Run, -1) {
					outputs[s.ID] = append(outputs[s.ID], m[1])
				}
			}
			if s.Uses == "./.github/actions/hybridlab" {
				for key := range s.With {
					if _, ok := a.Inputs[key]; !ok {
						t.Errorf("%s: the action has no input %q", where, key)
					}
				}
			}
		}
		if where == actionFile {
			for name, o := range a.Outputs {
				if o.Description == "" {
					t.Errorf("output %s says nothing", name)
				}
				checkOutputs(t, where, o.Value, outputs)
			}
		}
	}
	if refs < 10 {
		t.Errorf("only %d references to inputs: this test looks at nothing", refs)
	}
}

// checkOutputs holds references to outputs against what earlier steps put out.
func checkOutputs(t *testing.T, where, text string, outputs map[string][]string) {
	t.Helper()
	for _, m := range regexp.MustCompile(`\bsteps\.([a-z-]+)\.outputs\.([a-z-]+)`).FindAllStringSubmatch(text, -1) {
		if !slices.Contains(outputs[m[1]], m[2]) {
			t.Errorf("%s: no step %q before has an output %q", where, m[1], m[2])
		}
	}
}

func namesIn[V any](m map[string]V) func(func(string) bool) {
	return func(yield func(string) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}

func dispatchInputs(w workflow) (names []string) {
	on, _ := w.On.(map[string]any)
	dispatch, _ := on["workflow_dispatch"].(map[string]any)
	inputs, _ := dispatch["inputs"].(map[string]any)
	return slices.Collect(namesIn(inputs))
}

// TestNightlyShards: the shards of the night are all the shards of a plan, in
// CI and in a cluster.
func TestNightlyShards(t *testing.T) {
	w := strictly[workflow](t, ".github/workflows/nightly.yml")[0]
	matrix, _ := w.Jobs["shard"].Strategy["matrix"].(map[string]any)
	shards, _ := matrix["shard"].([]any)
	for i, s := range shards {
		if want := fmt.Sprintf("%d/%d", i+1, len(shards)); s != want {
			t.Errorf("shard %v, want %s", s, want)
		}
	}
	if len(shards) < 2 || w.Jobs["merge"].Needs != "shard" || !strings.Contains(w.Jobs["merge"].If, "!cancelled()") {
		t.Errorf("shards %v, then %+v: want a night in shards, merged also where one failed", shards, w.Jobs["merge"])
	}
	docs := strictly[manifest](t, "docker/k8s/shards.yaml")
	job := docs[len(docs)-1]
	c := job.Spec.Template.Spec.Containers[0]
	if n := fmt.Sprint(job.Spec.Completions); job.Kind != "Job" || job.Spec.CompletionMode != "Indexed" || job.Spec.Parallelism != job.Spec.Completions || c.Env[0].Name != "SHARDS" || c.Env[0].Value != n {
		t.Errorf("%+v: want an Indexed Job of as many pods as SHARDS says", job)
	}
	for _, file := range []string{"docker/k8s/shards.yaml", "docker/k8s/merge.yaml"} {
		for _, m := range strictly[manifest](t, file) {
			for _, c := range m.Spec.Template.Spec.Containers {
				v := m.Spec.Template.Spec.Volumes
				if len(v) != 1 || len(c.Mounts) != 1 || c.Mounts[0].Name != v[0].Name || v[0].Claim.Name != docs[0].Metadata.Name || c.Mounts[0].Path != "/runs" {
					t.Errorf("%s: %+v is not on the volume %q", file, c, docs[0].Metadata.Name)
				}
				if strings.ContainsAny(c.Image, "/:") {
					t.Errorf("%s: image %q: where it is kept is the user's to say", file, c.Image)
				}
			}
		}
	}
}

// TestCIFilesAreAllRead: a file that is added is looked at, or this fails.
func TestCIFilesAreAllRead(t *testing.T) {
	known := []string{".github/workflows/ci.yml", ".github/workflows/nightly.yml", actionFile, "docker/k8s/hybridlab.Dockerfile", "docker/k8s/shards.yaml", "docker/k8s/merge.yaml"}
	var found []string
	for _, dir := range []string{".github", "docker/k8s"} {
		err := filepath.WalkDir(filepath.Join(root, dir), func(p string, d fs.DirEntry, err error) error {
			if err == nil && !d.IsDir() {
				rel, _ := filepath.Rel(root, p)
				found = append(found, filepath.ToSlash(rel))
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	slices.Sort(found)
	slices.Sort(known)
	if !slices.Equal(found, known) {
		t.Errorf("files %v, want %v", found, known)
	}
}
