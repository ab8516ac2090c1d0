package docker

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/build"
	"github.com/moby/moby/client"
)

// folders are in the binary, so that an installed lab can build its images
// anywhere. A peer that needs more than a Dockerfile adds its pattern here.
//
//go:embed */Dockerfile */peer*
var folders embed.FS

// imageLabel marks the images that are ours; its value is the folder.
const imageLabel = "hybridlab.image"

// Image is a local image.
type Image struct {
	Ref    string // "hybridlab/openssl-trixie:0123456789ab"
	ID     string // "sha256:...": the digest that names exactly this image
	Folder string // docker/<folder> it was built from; "base"; empty: not ours
	Size   int64  // bytes
	// Of an image found by Find, what it says of itself: the program it
	// starts, with arguments, and its labels.
	Entry  []string
	Labels map[string]string
}

// Folders lists the folders that images can be built from.
func Folders() []string {
	var names []string
	files, _ := fs.Glob(folders, "*/Dockerfile") // the pattern is fine
	for _, f := range files {
		names = append(names, path.Dir(f))
	}
	return names
}

// Build returns the image of docker/<folder> on the base of a Debian suite.
// It is built when it is not there: its tag is a digest of the folder and of
// the base, so a change of either is a new image. With fresh it is built
// again without any cache, for newer packages from the archive.
func (d *Daemon) Build(ctx context.Context, folder, suite string, fresh bool) (Image, error) {
	if !slices.Contains(Folders(), folder) {
		return Image{}, fmt.Errorf("build image: no folder docker/%s (there are: %s)", folder, strings.Join(Folders(), ", "))
	}
	base, err := d.Base(ctx, suite)
	if err != nil {
		return Image{}, err
	}
	baseID, err := d.ImageID(ctx, base)
	if err != nil {
		return Image{}, err
	}
	ref, buildContext, err := pack(folders, folder, suite, baseID)
	if err != nil {
		return Image{}, fmt.Errorf("build image of docker/%s: %w", folder, err)
	}
	id, err := d.ImageID(ctx, ref)
	if fresh || cerrdefs.IsNotFound(err) {
		if err := d.build(ctx, ref, buildContext, map[string]string{"BASE": base, "SUITE": suite}, folder, fresh); err != nil {
			return Image{}, fmt.Errorf("build image %s: %w", ref, err)
		}
		id, err = d.ImageID(ctx, ref)
	}
	return Image{Ref: ref, ID: id, Folder: folder}, err
}

func (d *Daemon) build(ctx context.Context, ref string, buildContext []byte, args map[string]string, folder string, fresh bool) error {
	d.say("building %s", ref)
	answer, err := d.cli.ImageBuild(ctx, bytes.NewReader(buildContext), client.ImageBuildOptions{
		Tags: []string{ref}, BuildArgs: buildArgs(args), Labels: map[string]string{imageLabel: folder},
		NoCache: fresh, Remove: true, ForceRemove: true, Version: build.BuilderV1,
	})
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	_, err = readStream(answer.Body)
	return err
}

// buildArgs adds the proxies of the environment, which Docker passes to a
// build without an ARG for them.
func buildArgs(args map[string]string) map[string]*string {
	all := map[string]*string{}
	for key, value := range args {
		all[key] = &value
	}
	for _, key := range []string{"http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"} {
		if value := os.Getenv(key); value != "" {
			all[key] = &value
		}
	}
	return all
}

// pack makes the build context of a folder, and from all that goes into the
// image the reference it gets.
func pack(fsys fs.FS, folder, suite, baseID string) (ref string, buildContext []byte, err error) {
	var buf bytes.Buffer
	tw := tar.NewWriter(&buf)
	err = fs.WalkDir(fsys, folder, func(name string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		data, err := fs.ReadFile(fsys, name)
		if err != nil {
			return err
		}
		// Not the file's own mode and time: those differ between checkouts.
		hdr := &tar.Header{Name: strings.TrimPrefix(name, folder+"/"), Mode: 0o755, Size: int64(len(data))}
		if err := tw.WriteHeader(hdr); err != nil {
			return err
		}
		_, err = tw.Write(data)
		return err
	})
	if err = errors.Join(err, tw.Close()); err != nil {
		return "", nil, err
	}
	sum := sha256.New()
	fmt.Fprintf(sum, "%s\n%s\n%s\n", folder, suite, baseID)
	sum.Write(buf.Bytes())
	return fmt.Sprintf("hybridlab/%s-%s:%x", folder, suite, sum.Sum(nil)[:6]), buf.Bytes(), nil
}

// ImageID returns the digest ("sha256:...") of a local image. For an image
// that is not here the error is a "not found" of the daemon.
func (d *Daemon) ImageID(ctx context.Context, ref string) (string, error) {
	got, err := d.cli.ImageInspect(ctx, ref)
	if err != nil {
		return "", fmt.Errorf("look up image %q: %w", ref, err)
	}
	return got.ID, nil
}

// Find looks up an image that is not ours, and pulls it where it is not here.
func (d *Daemon) Find(ctx context.Context, ref string) (Image, error) {
	got, err := d.cli.ImageInspect(ctx, ref)
	if cerrdefs.IsNotFound(err) {
		if pullErr := d.pull(ctx, ref); pullErr != nil {
			return Image{}, fmt.Errorf("find image %q: it is not here, and: %w (docker images lists those that are)", ref, pullErr)
		}
		got, err = d.cli.ImageInspect(ctx, ref)
	}
	if err != nil {
		return Image{}, fmt.Errorf("find image %q: %w", ref, err)
	}
	img := Image{Ref: ref, ID: got.ID, Size: got.Size}
	if c := got.Config; c != nil {
		img.Entry, img.Labels = slices.Concat(c.Entrypoint, c.Cmd), c.Labels
	}
	return img, nil
}

// Images lists the images that are ours, by reference.
func (d *Daemon) Images(ctx context.Context) ([]Image, error) {
	got, err := d.cli.ImageList(ctx, client.ImageListOptions{Filters: make(client.Filters).Add("label", imageLabel)})
	if err != nil {
		return nil, fmt.Errorf("list images: %w", err)
	}
	var images []Image
	for _, i := range got.Items {
		// What is left over from a rebuild has no name, or before API 1.43 this one.
		refs := slices.DeleteFunc(i.RepoTags, func(ref string) bool { return ref == "<none>:<none>" })
		if len(refs) == 0 {
			refs = []string{i.ID}
		}
		for _, ref := range refs {
			images = append(images, Image{Ref: ref, ID: i.ID, Folder: i.Labels[imageLabel], Size: i.Size})
		}
	}
	slices.SortFunc(images, func(a, b Image) int { return strings.Compare(a.Ref, b.Ref) })
	return images, nil
}

// RemoveImages removes every image that is ours and returns the references
// of those removed. One that a container still uses is an error; the others
// are removed all the same.
func (d *Daemon) RemoveImages(ctx context.Context) (removed []string, err error) {
	images, err := d.Images(ctx)
	if err != nil {
		return nil, err
	}
	var errs []error
	for _, i := range images {
		_, err := d.cli.ImageRemove(ctx, i.Ref, client.ImageRemoveOptions{PruneChildren: true})
		switch {
		case err == nil:
			removed = append(removed, i.Ref)
		case !cerrdefs.IsNotFound(err):
			errs = append(errs, fmt.Errorf("remove image %s: %w", i.Ref, err))
		}
	}
	return removed, errors.Join(errs...)
}
