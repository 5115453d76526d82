package enforce

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/fsnotify/fsnotify"

	"handrail/mdm/manifest"
)

// watch notices that what was applied changes: by events of the directories of our files,
// and by what enforcers themselves can watch. At rest it costs nothing.
type watch struct {
	e     *Engine
	ctx   context.Context // of Run, for the watchers enforcers start later
	group sync.WaitGroup
	files *fsnotify.Watcher // nil where the system has no such thing: the period is left

	mu      sync.Mutex
	paths   map[string]watched // on this machine's disk
	started map[string]bool    // enforcers, by their first key
}

// watched is a path and how it is to be.
type watched struct {
	id   manifest.ID
	want pathState
}

func newWatch(ctx context.Context, e *Engine) *watch {
	w := &watch{e: e, ctx: ctx, paths: map[string]watched{}, started: map[string]bool{}}
	var err error
	if w.files, err = fsnotify.NewWatcher(); err != nil {
		e.log.Warn("changes of files are looked for by the clock only", "err", err)
		return w
	}
	w.group.Go(func() {
		defer w.files.Close()
		w.run(ctx)
	})
	return w
}

func (w *watch) wait() { w.group.Wait() }

// watchPaths watches what the journal says is ours now.
func (e *Engine) watchPaths() {
	w := e.watch
	if w == nil {
		return
	}
	paths, dirs := map[string]watched{}, map[string]bool{}
	for id, rec := range e.ledger.records {
		for name, want := range rec.Wrote {
			at, err := e.cfg.System.place(name)
			if err != nil {
				continue
			}
			paths[at] = watched{id, want}
			dirs[nearest(filepath.Dir(at))] = true
		}
	}
	w.mu.Lock()
	w.paths = paths
	w.mu.Unlock()
	if w.files != nil {
		for _, dir := range w.files.WatchList() {
			if !dirs[dir] {
				_ = w.files.Remove(dir) // it may be gone already
			}
			delete(dirs, dir)
		}
		for dir := range dirs {
			if err := w.files.Add(dir); err != nil {
				e.log.Warn("a directory cannot be watched; the clock is left", "dir", dir, "err", err)
			}
		}
	}
	e.mu.Lock()
	settings := e.manifest.Settings
	e.mu.Unlock()
	for _, s := range settings {
		w.start(s.ID)
	}
}

// nearest is the directory, or the first above it that is there.
func nearest(dir string) string {
	for {
		if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) || dir == filepath.Dir(dir) {
			return dir
		}
		dir = filepath.Dir(dir)
	}
}

// start runs the watcher of a setting's enforcer, where it has one and none runs yet.
func (w *watch) start(id manifest.ID) {
	enf, err := w.e.enforcer(id)
	if err != nil {
		return
	}
	own, ok := enf.(Watcher)
	if !ok || w.started[enf.Keys()[0]] {
		return
	}
	w.started[enf.Keys()[0]] = true
	changed := func() {
		w.e.mu.Lock()
		defer w.e.mu.Unlock()
		for _, s := range w.e.manifest.Settings {
			if w.e.byKey[s.ID.Key()] == enf {
				w.e.wanted.look[s.ID] = true
			}
		}
		select {
		case w.e.wake <- struct{}{}:
		default:
		}
	}
	w.group.Go(func() {
		if err := own.Watch(w.ctx, &w.e.cfg.System, changed); err != nil && w.ctx.Err() == nil {
			w.e.log.Info("changes are looked for by the clock only", "of", enf.Keys()[0], "err", err)
		}
	})
}

// run gathers events of files and, once they have settled, has those settings looked at
// whose files are not as they must be.
func (w *watch) run(ctx context.Context) {
	touched := map[manifest.ID]bool{}
	quiet := time.NewTimer(time.Hour)
	quiet.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case ev, ok := <-w.files.Events:
			if !ok {
				return
			}
			if w.note(touched, ev.Name) {
				quiet.Reset(settle)
			}
		case err, ok := <-w.files.Errors:
			if !ok {
				return
			}
			w.e.log.Info("events of files were lost; everything is looked at", "err", err)
			w.e.signal(func(s *signals) { s.all = true })
		case <-quiet.C:
			off := w.isOff(touched)
			clear(touched)
			if len(off) > 0 {
				w.e.signal(func(s *signals) {
					for _, id := range off {
						s.look[id] = true
					}
				})
			}
		}
	}
}

// note marks the settings with a file at, or below, a path that changed.
func (w *watch) note(touched map[manifest.ID]bool, name string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if one, ok := w.paths[name]; ok {
		touched[one.id] = true
		return true
	}
	if strings.HasPrefix(filepath.Base(name), tempPrefix) {
		return false
	}
	found := false
	for at, one := range w.paths {
		if strings.HasPrefix(at, name+string(filepath.Separator)) {
			touched[one.id], found = true, true
		}
	}
	return found
}

// isOff returns the touched settings with a file that is not as it must be. Our own
// writes end here.
func (w *watch) isOff(touched map[manifest.ID]bool) []manifest.ID {
	w.mu.Lock()
	defer w.mu.Unlock()
	off := map[manifest.ID]bool{}
	for at, one := range w.paths {
		if touched[one.id] && !off[one.id] {
			if st, _, err := look(at); err != nil || st != one.want {
				off[one.id] = true
			}
		}
	}
	var out []manifest.ID
	for id := range off {
		out = append(out, id)
	}
	return out
}
