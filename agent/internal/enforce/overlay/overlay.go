// Package overlay runs programs of the system that look at fixed paths, with files of our
// own in the place of the system's: candidates that are not written yet, or a scratch tree.
// The program runs in a mount namespace of its own, so nothing outside it sees a difference.
package overlay

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"

	"handrail/agent/internal/enforce"
)

// maxFiles bounds how many files a directory that is laid over may have.
const maxFiles = 4096

// Overlay is a tree whose directories take the place of the system's.
type Overlay struct {
	dir  string
	over []string // directories of the device
}

// New returns an overlay in which the directories, which have to be on the device's tree, are as
// on sys, with the staged files over them. Close removes it.
func New(sys *enforce.System, staged *enforce.Staged, directories ...string) (*Overlay, error) {
	dir, err := os.MkdirTemp("", "handrail-overlay-")
	if err != nil {
		return nil, err
	}
	o := &Overlay{dir: dir}
	for _, d := range directories {
		at := filepath.Join(dir, filepath.FromSlash(d))
		err := os.MkdirAll(at, 0o755) //nolint:gosec // programs that run as others read it
		if err == nil {
			err = copyTree(at, sys.Abs(d))
		}
		if err == nil && staged != nil {
			err = copyTree(at, staged.Path(d))
		}
		if err != nil {
			return nil, errors.Join(fmt.Errorf("lay over %s: %w", d, err), o.Close())
		}
		o.over = append(o.over, d)
	}
	return o, os.Chmod(dir, 0o755) //nolint:gosec // as above
}

// Path is where a path of the device is in the overlay.
func (o *Overlay) Path(p string) string { return filepath.Join(o.dir, filepath.FromSlash(p)) }

// Close removes the overlay's files.
func (o *Overlay) Close() error { return os.RemoveAll(o.dir) }

// bindAll mounts each directory that is there over its place, and becomes the program.
const bindAll = `over=$1; shift; while [ "$1" != -- ]; do mount --bind "$over$1" "$1" || exit 125; shift; done; shift; exec "$@"`

// Run runs a program with the overlay's directories in the place of the system's.
func (o *Overlay) Run(ctx context.Context, sys *enforce.System, p enforce.Program) (enforce.Result, error) {
	unshare, err := sys.Tool("unshare", "util-linux")
	if err != nil {
		return enforce.Result{}, err
	}
	if _, err := sys.Tool("mount", "mount"); err != nil {
		return enforce.Result{}, err
	}
	args := []string{"--mount", "--propagation", "private", "--", "/bin/sh", "-c", bindAll, "sh", o.dir}
	for _, d := range o.over {
		args = append(args, path.Clean(d))
	}
	args = append(append(args, "--", p.Path), p.Args...)
	p.Path, p.Args = unshare, args
	return sys.Run(ctx, p)
}

// copyTree copies directories, plain files and links below from to at, whose owners are
// kept as far as we may. A tree that is not there is empty.
func copyTree(at, from string) error {
	n := 0
	err := filepath.WalkDir(from, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if n++; n > maxFiles {
			return fmt.Errorf("more than %d files below %s", maxFiles, from)
		}
		rel, err := filepath.Rel(from, p)
		if err != nil {
			return err
		}
		to := filepath.Join(at, rel)
		info, err := d.Info()
		if err != nil {
			return err
		}
		switch {
		case d.IsDir():
			err = os.MkdirAll(to, 0o755) //nolint:gosec // chmod follows
			if err == nil {
				err = os.Chmod(to, info.Mode().Perm())
			}
		case d.Type()&fs.ModeSymlink != 0:
			var target string
			if target, err = os.Readlink(p); err == nil {
				_ = os.Remove(to)
				err = os.Symlink(target, to)
			}
		case d.Type().IsRegular():
			var b []byte
			if b, err = os.ReadFile(p); err == nil { //nolint:gosec // a file of the system
				_ = os.Remove(to)
				err = os.WriteFile(to, b, info.Mode().Perm())
			}
		}
		if err == nil {
			err = keepOwner(to, info)
		}
		return err
	})
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
