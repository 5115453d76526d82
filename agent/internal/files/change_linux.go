package files

import (
	"errors"
	"fmt"
	"os"
	"os/user"
	"path"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"handrail/signaling"
)

// make makes a folder and those above it that are missing.
func (j *job) make(m signaling.FilesMake) error {
	names, err := parts(m.Path.Bytes())
	if err != nil {
		return err
	}
	d, err := j.tree.top()
	if err != nil {
		return err
	}
	made := int64(0)
	for _, name := range names {
		err := unix.Mkdirat(d.fd, name, 0o777)
		if err == nil {
			made++
		} else if _, lerr := d.look(name); lerr != nil { // what is there already may be gone through, whatever else
			d.close()
			return err
		}
		if d, err = d.into(name); err != nil {
			return err
		}
	}
	defer d.close()
	if made == 0 {
		return unix.EEXIST
	}
	j.conn.Note("made the folder " + quoted(d.path))
	return j.done(signaling.FilesDone{Count: made})
}

// move gives something another name or place.
func (j *job) move(m signaling.FilesMove) error {
	from, name, err := j.tree.above(m.From.Bytes())
	if err != nil {
		return err
	}
	defer from.close()
	to, other, err := j.tree.above(m.To.Bytes())
	if err != nil {
		return err
	}
	defer to.close()
	flags := uint(unix.RENAME_NOREPLACE)
	if m.Replace {
		flags = 0
	}
	if err := unix.Renameat2(from.fd, name, to.fd, other, flags); err != nil {
		if errors.Is(err, unix.EEXIST) {
			if e, lerr := j.entry(to, other); lerr == nil {
				return &fault{code: signaling.FaultExists, words: "something of that name is there already", entry: &e}
			}
		}
		return err
	}
	j.conn.Note("moved " + quoted(path.Join(from.path, name)) + " to " + quoted(path.Join(to.path, other)))
	e, err := j.entry(to, other)
	if err != nil {
		return j.done(signaling.FilesDone{Count: 1})
	}
	return j.done(signaling.FilesDone{Count: 1, Entry: &e})
}

// progressEvery is how often a job says how far it is.
const progressEvery = 250 * time.Millisecond

// sweep goes through folders and all that is in them, changing or deleting. What cannot be done is
// counted, and the rest is done.
type sweep struct {
	*job
	count, bytes int64
	failed       int64
	first        error  // what failed first
	firstAt      string // and where
	told         time.Time
}

func (w *sweep) did(bytes int64) error {
	w.count++
	w.bytes += bytes
	if time.Since(w.told) < progressEvery {
		return w.ctx.Err()
	}
	w.told = time.Now()
	return w.tell(signaling.TypeFilesProgress, signaling.FilesProgress{Job: w.id, Count: w.count, Bytes: w.bytes})
}

// missed notes a failure. A job that was cancelled ends.
func (w *sweep) missed(at string, err error) error {
	if w.ctx.Err() != nil {
		return w.ctx.Err()
	}
	w.failed++
	if w.first == nil {
		w.first, w.firstAt = err, at
	}
	return nil
}

// end ends the job: well, or with what was and what was not done.
func (w *sweep) end(did string, paths []signaling.FileName, err error) error {
	what := quoted(paths[0].Bytes())
	if len(paths) > 1 {
		what = fmt.Sprintf("%s and %d others", what, len(paths)-1)
	}
	note := fmt.Sprintf("%s %s: %s, %s", did, what, counted(w.count), sized(w.bytes))
	if err == nil && w.first != nil {
		err = w.first
		note += fmt.Sprintf("; %s not: %s", counted(w.failed), failed(w.id, err).Message)
	} else if err != nil {
		note += "; stopped before the end"
	}
	w.conn.Note(note)
	if err == nil {
		return w.done(signaling.FilesDone{Count: w.count, Bytes: w.bytes})
	}
	f := failed(w.id, err)
	f.Count = w.count
	if w.first != nil {
		f.Message = fmt.Sprintf("%s could not be done, the first of them %s: %s", counted(w.failed), quoted(w.firstAt), f.Message)
	}
	return &failure{f}
}

func (j *job) delete(req signaling.FilesDelete) error {
	w := &sweep{job: j, told: time.Now()}
	for _, p := range req.Paths {
		if err := w.deleteAt(p.Bytes()); err != nil {
			return w.end("deleted", req.Paths, err)
		}
	}
	return w.end("deleted", req.Paths, nil)
}

func (w *sweep) deleteAt(p string) error {
	d, name, err := w.tree.above(p)
	if err != nil {
		return w.missed(p, err)
	}
	defer d.close()
	st, err := d.look(name)
	if err != nil {
		return w.missed(p, err)
	}
	return w.remove(d, name, &st, 0)
}

// errMounted keeps a delete on the disk that it began on.
var errMounted = errors.New("another disk is mounted there, which is not deleted along with a folder")

func (w *sweep) remove(d dir, name string, st *unix.Stat_t, depth int) error {
	at := path.Join(d.path, name)
	if st.Mode&unix.S_IFMT != unix.S_IFDIR {
		if err := unix.Unlinkat(d.fd, name, 0); err != nil {
			return w.missed(at, err)
		}
		return w.did(st.Blocks * 512)
	}
	if depth > maxDepth {
		return w.missed(at, errDeep)
	}
	if err := w.empty(d, name, st, depth); err != nil {
		return err
	}
	if err := unix.Unlinkat(d.fd, name, unix.AT_REMOVEDIR); err != nil {
		return w.missed(at, err)
	}
	return w.did(0)
}

// empty deletes what is in a folder, through a handle of it: it may be moved meanwhile, or a link be
// put in its place.
func (w *sweep) empty(d dir, name string, st *unix.Stat_t, depth int) error {
	at := path.Join(d.path, name)
	fd, err := unix.Openat(d.fd, name, walkFlags, 0)
	if err != nil {
		return w.missed(at, err)
	}
	in := dir{fd, at}
	defer in.close()
	var now, above unix.Stat_t
	if err := errors.Join(unix.Fstat(fd, &now), unix.Fstat(d.fd, &above)); err != nil {
		return w.missed(at, err)
	}
	if now.Dev != above.Dev || now.Ino != st.Ino {
		return w.missed(at, errMounted)
	}
	return w.each(in, func(child string, st *unix.Stat_t) error { return w.remove(in, child, st, depth+1) }, true)
}

// each calls f for what is in a folder. Where f takes away, it is read again until nothing is new:
// names that move up while others go may be passed over.
func (w *sweep) each(in dir, f func(string, *unix.Stat_t) error, takes bool) error {
	r, err := in.list()
	if err != nil {
		return w.missed(in.path, err)
	}
	defer r.close()
	for {
		before := w.count
		for {
			n, ok, err := r.next()
			if err != nil {
				return w.missed(in.path, err)
			}
			if !ok {
				break
			}
			st, err := in.look(n.name)
			if errors.Is(err, unix.ENOENT) {
				continue
			}
			if err != nil {
				if err := w.missed(path.Join(in.path, n.name), err); err != nil {
					return err
				}
				continue
			}
			if err := f(n.name, &st); err != nil {
				return err
			}
		}
		if !takes || w.count == before || w.failed > 0 {
			return nil
		}
		if err := r.again(); err != nil {
			return w.missed(in.path, err)
		}
	}
}

// set changes permissions and owner.
func (j *job) set(req signaling.FilesSet) error {
	w := &sweep{job: j, told: time.Now()}
	uid, gid, err := ids(req.Owner, req.Group)
	if err != nil {
		return err
	}
	change := func(fd int, st *unix.Stat_t) error {
		if uid >= 0 || gid >= 0 {
			if err := unix.Fchownat(fd, "", uid, gid, unix.AT_EMPTY_PATH); err != nil {
				return err
			}
		}
		if req.Mode == nil || st.Mode&unix.S_IFMT == unix.S_IFLNK {
			return nil
		}
		return os.Chmod(handlePath(fd), fileMode(*req.Mode))
	}
	for _, p := range req.Paths {
		if err := w.setAt(p.Bytes(), req.Within, change); err != nil {
			return w.end(setNote(req), req.Paths, err)
		}
	}
	return w.end(setNote(req), req.Paths, nil)
}

func setNote(req signaling.FilesSet) string {
	var what []string
	if req.Mode != nil {
		what = append(what, fmt.Sprintf("permissions %04o", *req.Mode))
	}
	if req.Owner != "" {
		what = append(what, "owner "+signaling.PrintableName(req.Owner))
	}
	if req.Group != "" {
		what = append(what, "group "+signaling.PrintableName(req.Group))
	}
	return "set " + strings.Join(what, ", ") + " of"
}

// fileMode is the twelve bits as package os has them.
func fileMode(bits uint32) os.FileMode {
	m := os.FileMode(bits & 0o777)
	for bit, as := range map[uint32]os.FileMode{0o4000: os.ModeSetuid, 0o2000: os.ModeSetgid, 0o1000: os.ModeSticky} {
		if bits&bit != 0 {
			m |= as
		}
	}
	return m
}

func (w *sweep) setAt(p string, within bool, change func(int, *unix.Stat_t) error) error {
	d, name, err := w.tree.above(p)
	if err != nil {
		return w.missed(p, err)
	}
	defer d.close()
	return w.setIn(d, name, within, change, 0)
}

func (w *sweep) setIn(d dir, name string, within bool, change func(int, *unix.Stat_t) error, depth int) error {
	at := path.Join(d.path, name)
	fd, err := unix.Openat(d.fd, name, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return w.missed(at, err)
	}
	in := dir{fd, at}
	defer in.close()
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return w.missed(at, err)
	}
	if within && st.Mode&unix.S_IFMT == unix.S_IFDIR {
		if depth > maxDepth {
			return w.missed(at, errDeep)
		}
		err := w.each(in, func(child string, _ *unix.Stat_t) error { return w.setIn(in, child, true, change, depth+1) }, false)
		if err != nil {
			return err
		}
	}
	if err := change(fd, &st); err != nil {
		return w.missed(at, err)
	}
	return w.did(0)
}

// ids finds the numbers of an owner and a group; -1 leaves one as it is.
func ids(owner, group string) (uid, gid int, err error) {
	uid, gid = -1, -1
	if owner != "" {
		if uid, err = strconv.Atoi(owner); err != nil {
			u, lerr := user.Lookup(owner)
			if lerr != nil {
				return 0, 0, faultf(signaling.FaultName, "this device has no account “%s”", signaling.PrintableName(owner))
			}
			if uid, err = strconv.Atoi(u.Uid); err != nil {
				return 0, 0, err
			}
		}
	}
	if group != "" {
		if gid, err = strconv.Atoi(group); err != nil {
			g, lerr := user.LookupGroup(group)
			if lerr != nil {
				return 0, 0, faultf(signaling.FaultName, "this device has no group “%s”", signaling.PrintableName(group))
			}
			if gid, err = strconv.Atoi(g.Gid); err != nil {
				return 0, 0, err
			}
		}
	}
	return uid, gid, nil
}
