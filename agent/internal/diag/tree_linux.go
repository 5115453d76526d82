package diag

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

// NewTreeCollector returns a collector of the system whose files are below root: what it
// would be if it ran, as far as files tell. Network and processor are those of the machine
// it is on.
func NewTreeCollector(root, version string) (*Collector, error) {
	l, err := newTree(root)
	if err != nil {
		return nil, err
	}
	return newCollector(l, version), nil
}

// errTree is why a program is not asked.
var errTree = errors.New("this is a tree of files: no program runs there")

func newTree(root string) (*linux, error) {
	at, err := os.OpenRoot(root) // links do not lead out of it
	if err != nil {
		return nil, fmt.Errorf("tree of a system: %w", err)
	}
	l := newLinux()
	l.tree, l.root = root, at.FS()
	l.statfs = func(dir string) (uint64, uint64, error) { return statfs(filepath.Join(root, dir)) }
	l.hostname = func() (string, error) { return l.text("etc/hostname"), nil }
	own := int64(os.Geteuid())
	l.owner = func(info fs.FileInfo) (uid, gid int64) {
		if uid, gid = ownerOf(info); uid == own { // who made the tree is root in it
			return 0, 0
		}
		return uid, gid
	}
	l.open = func(name string) (fs.File, error) {
		return at.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK|syscall.O_NOFOLLOW|syscall.O_CLOEXEC, 0)
	}
	l.run = func(ctx context.Context, name string, args ...string) ([]byte, error) {
		if path.Base(name) != "apt-config" {
			return nil, errTree
		}
		return aptOf(ctx, root, name, args)
	}
	l.unsynced = func() (bool, error) { return false, errTree }
	l.nvmeLog = func(string) ([]byte, error) { return nil, errTree }
	return l, nil
}

// aptOf runs one of this machine's programs of apt on the tree's configuration.
func aptOf(ctx context.Context, root, name string, args []string) ([]byte, error) {
	f, err := os.CreateTemp("", "handrail-apt-*.conf")
	if err != nil {
		return nil, err
	}
	defer os.Remove(f.Name())
	_, err = fmt.Fprintf(f, "Dir \"%s\";\n", root)
	if err = errors.Join(err, f.Close()); err != nil {
		return nil, err
	}
	return runProgram(ctx, "/usr/bin/env", append([]string{"APT_CONFIG=" + f.Name(), name}, args...)...)
}

// atStart puts what sysctl.d(5) says over the kernel's own values, as a start of the tree's
// system would; of files of one name the first directory's counts.
func (l *linux) atStart(values map[string]string) {
	files := map[string]string{}
	for _, dir := range []string{"usr/lib/sysctl.d", "run/sysctl.d", "etc/sysctl.d"} {
		for _, name := range l.dir(dir) {
			if strings.HasSuffix(name, ".conf") {
				files[name] = path.Join(dir, name)
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		lines(l.read(files[name]), "=", func(key, value string) {
			key = strings.TrimPrefix(key, "-")
			if _, known := values[key]; known {
				values[key] = strings.Join(strings.Fields(value), " ")
			}
		})
	}
}
