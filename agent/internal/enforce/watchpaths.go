package enforce

import (
	"context"
	"path/filepath"
	"slices"
	"time"

	"github.com/fsnotify/fsnotify"
)

// WatchPaths calls changed when something has happened to one of the paths, whether they are
// there yet or not, and it is quiet again, until ctx ends. It is for enforcers whose settings end up in files of
// many owners, which no plan lists.
func WatchPaths(ctx context.Context, sys *System, changed func(), paths ...string) error {
	w, err := fsnotify.NewWatcher()
	if err != nil {
		return err
	}
	defer w.Close()
	at := make([]string, len(paths))
	for i, p := range paths {
		at[i] = sys.Abs(p)
	}
	if err := watchParents(w, at); err != nil {
		return err
	}
	quiet := time.NewTimer(time.Hour)
	quiet.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-quiet.C:
			changed()
		case e := <-w.Events:
			if e.Op == fsnotify.Chmod {
				continue
			}
			if slices.Contains(at, e.Name) {
				quiet.Reset(settle)
			}
			if e.Has(fsnotify.Create) || e.Has(fsnotify.Remove) { // of a directory on the way
				before := len(w.WatchList())
				if err := watchParents(w, at); err != nil {
					return err
				}
				if len(w.WatchList()) > before {
					quiet.Reset(settle) // what is in it may have come before the watch
				}
			}
		case err := <-w.Errors:
			return err
		}
	}
}

// watchParents watches the directory of each path, or the nearest above it that is there.
func watchParents(w *fsnotify.Watcher, paths []string) error {
	for _, p := range paths {
		if dir := nearest(filepath.Dir(p)); !slices.Contains(w.WatchList(), dir) {
			if err := w.Add(dir); err != nil {
				return err
			}
		}
	}
	return nil
}
