package enforce

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// maxKept bounds a file that is kept to be put back, in bytes.
const maxKept = 64 << 20

// maxLinks is how many links are followed on the way to a path.
const maxLinks = 40

// tempPrefix begins the names of files that are being written. Directories of drop-ins
// pass over names that begin with a dot.
const tempPrefix = ".handrail-"

// Kinds of what is at a path.
const (
	kindAbsent = "absent"
	kindFile   = "file"
	kindLink   = "link"
	kindDir    = "directory"
)

// pathState is what is, or was, at a path.
type pathState struct {
	Kind   string      `json:"kind"`
	Mode   fs.FileMode `json:"mode,omitempty"` // permission bits
	UID    int         `json:"uid,omitempty"`
	GID    int         `json:"gid,omitempty"`
	Sum    string      `json:"sum,omitempty"`    // of a file's content
	Target string      `json:"target,omitempty"` // of a link
}

func join(root, p string) string {
	if root == "" {
		root = "/"
	}
	return filepath.Join(root, filepath.FromSlash(path.Clean("/"+p)))
}

// checkPath says what is wrong with a path of a file to be written.
func checkPath(p string) error {
	switch {
	case !strings.HasPrefix(p, "/") || path.Clean(p) != p || p == "/" || strings.ContainsRune(p, 0):
		return fmt.Errorf("%q is not a plain absolute path", p)
	case len(p) > 1024:
		return errors.New("the path is longer than 1024 bytes")
	}
	for _, tree := range []string{"/proc", "/sys", "/dev"} {
		if p == tree || strings.HasPrefix(p, tree+"/") {
			return fmt.Errorf("%s is the kernel's, not a file to write", p)
		}
	}
	return nil
}

// follow resolves every link of p inside the root. What does not exist stays as it is.
func (s *System) follow(p string) (string, error) { return s.walk(p, true, nil) }

// place resolves where p is to be written: links on the way are followed, inside the root,
// one at the end is not, and each directory passed must be one only root can change, lest
// somebody lead the agent elsewhere.
func (s *System) place(p string) (string, error) {
	if err := checkPath(p); err != nil {
		return "", err
	}
	return s.walk(p, false, func(dir string, info fs.FileInfo) error {
		uid, _ := ownerOf(info)
		if uid > 0 && uid != os.Geteuid() {
			return Conflict("%s belongs to another account (uid %d): the agent writes only where no other account can lead it astray", dir, uid)
		}
		if info.Mode()&fs.ModeSymlink == 0 && info.Mode().Perm()&0o022 != 0 && info.Mode()&fs.ModeSticky == 0 && uid >= 0 {
			return Conflict("%s can be written by other accounts (mode %04o): the agent writes only where no other account can lead it astray", dir, info.Mode().Perm())
		}
		return nil
	})
}

// walk goes along p from the root and returns the path on this machine's disk.
func (s *System) walk(p string, last bool, pass func(string, fs.FileInfo) error) (string, error) {
	root := s.Root
	if root == "" {
		root = "/"
	}
	at, rest, links := "/", strings.TrimPrefix(path.Clean("/"+p), "/"), 0
	for rest != "" {
		var name string
		name, rest, _ = strings.Cut(rest, "/")
		if name == ".." {
			at = path.Dir(at)
			continue
		}
		next := path.Join(at, name)
		if rest == "" && !last {
			return join(root, next), nil
		}
		info, err := os.Lstat(join(root, next))
		if errors.Is(err, fs.ErrNotExist) {
			return join(root, path.Join(next, rest)), nil
		}
		if err != nil {
			return "", err
		}
		if pass != nil {
			if err := pass(next, info); err != nil {
				return "", err
			}
		}
		if info.Mode()&fs.ModeSymlink == 0 {
			at = next
			continue
		}
		if links++; links > maxLinks {
			return "", fmt.Errorf("%s goes through too many links", p)
		}
		target, err := os.Readlink(join(root, next))
		if err != nil {
			return "", err
		}
		if path.IsAbs(target) {
			at = "/"
		}
		rest = strings.Trim(target, "/") + "/" + rest
		rest = strings.TrimSuffix(rest, "/")
	}
	return join(root, at), nil
}

// look returns what is at a place, and a file's content.
func look(at string) (pathState, []byte, error) {
	info, err := os.Lstat(at)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, errNotDir) {
		return pathState{Kind: kindAbsent}, nil, nil
	}
	if err != nil {
		return pathState{}, nil, err
	}
	st := pathState{Mode: info.Mode().Perm()}
	st.UID, st.GID = ownerOf(info)
	switch {
	case info.Mode()&fs.ModeSymlink != 0:
		st.Kind, st.Mode = kindLink, 0
		st.Target, err = os.Readlink(at)
		return st, nil, err
	case info.IsDir():
		st.Kind = kindDir
		return st, nil, nil
	case !info.Mode().IsRegular():
		return st, nil, Conflict("%s is neither a file nor a directory (%s)", at, info.Mode().Type())
	case info.Size() > maxKept:
		return st, nil, Conflict("%s holds %d bytes, more than is kept to be put back (%d)", at, info.Size(), maxKept)
	}
	b, err := readSame(at, info)
	if err != nil {
		return st, nil, err
	}
	st.Kind, st.Sum = kindFile, sum(b)
	return st, b, nil
}

// readSame reads the file that info is of. Where other accounts may put things, as in /tmp,
// another may be in its place by now: a link to a file of root's is not followed.
func readSame(at string, info fs.FileInfo) ([]byte, error) {
	f, err := os.OpenFile(at, os.O_RDONLY|noFollow|noWait, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if now, err := f.Stat(); err != nil || !os.SameFile(info, now) {
		return nil, errors.Join(err, Conflict("%s was replaced while it was looked at", at))
	}
	b, err := io.ReadAll(io.LimitReader(f, maxKept+1))
	if err == nil && len(b) > maxKept {
		err = Conflict("%s holds more than is kept to be put back (%d)", at, maxKept)
	}
	return b, err
}

func sum(b []byte) string {
	h := sha256.Sum256(b)
	return hex.EncodeToString(h[:])
}

// wanted is the state a plan's file asks for.
func (f File) wanted() pathState {
	uid, gid := f.UID, f.GID
	if os.Geteuid() != 0 && uid == 0 { // a test without root: what root would own is ours
		uid, gid = os.Geteuid(), os.Getegid()
	}
	switch {
	case f.Absent:
		return pathState{Kind: kindAbsent}
	case f.Link != "":
		return pathState{Kind: kindLink, UID: uid, GID: gid, Target: f.Link}
	case f.Directory:
		return pathState{Kind: kindDir, Mode: orMode(f.Mode, 0o755), UID: uid, GID: gid}
	}
	return pathState{Kind: kindFile, Mode: orMode(f.Mode, 0o644), UID: uid, GID: gid, Sum: sum(f.Content)}
}

func orMode(m, otherwise fs.FileMode) fs.FileMode {
	if m.Perm() == 0 {
		return otherwise
	}
	return m.Perm()
}

// put makes what is at a place be as st says, content being that of a file: what was there
// is replaced in one step. Directories on the way must exist.
func put(at string, st pathState, content []byte) error {
	switch st.Kind {
	case kindAbsent:
		if err := os.Remove(at); err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, errNotDir) {
			return err
		}
	case kindDir:
		if err := os.Mkdir(at, st.Mode); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
		if err := dirAttributes(at, st); err != nil {
			return err
		}
	case kindLink:
		return replace(at, func(temp string) error { return os.Symlink(st.Target, temp) })
	case kindFile:
		return replace(at, func(temp string) error { return writeNew(temp, st, content) })
	}
	return syncDir(filepath.Dir(at))
}

// replace makes something beside at and renames it over at.
func replace(at string, create func(temp string) error) error {
	var salt [8]byte
	rand.Read(salt[:])
	temp := filepath.Join(filepath.Dir(at), tempPrefix+hex.EncodeToString(salt[:])+".tmp")
	err := create(temp)
	if err == nil {
		err = os.Rename(temp, at)
	}
	if err != nil {
		os.Remove(temp)
		return err
	}
	return syncDir(filepath.Dir(at))
}

func writeNew(temp string, st pathState, content []byte) error {
	f, err := os.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	if err == nil {
		err = attributes(f, st)
	}
	if err == nil {
		err = f.Sync()
	}
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	return err
}

// dirAttributes gives the directory at a place its owner and mode, and nothing that a link
// there leads to.
func dirAttributes(at string, st pathState) error {
	info, err := os.Lstat(at)
	if err != nil || !info.IsDir() {
		return errors.Join(err, Conflict("%s is there and is not a directory", at))
	}
	d, err := os.OpenFile(at, os.O_RDONLY|noFollow|noWait, 0)
	if err != nil {
		return err
	}
	defer d.Close()
	if now, err := d.Stat(); err != nil || !os.SameFile(info, now) {
		return errors.Join(err, Conflict("%s was replaced while it was looked at", at))
	}
	return attributes(d, st)
}

// attributes gives what is open its owner, then its mode: the other way round would drop
// bits. By its name another account could have put something else in its place.
func attributes(f *os.File, st pathState) error {
	if os.Geteuid() == 0 && st.UID >= 0 {
		if err := f.Chown(st.UID, st.GID); err != nil {
			return err
		}
	}
	return setMode(f, st.Mode)
}

// makeParents makes the missing directories above a place, which place has resolved: a link
// among them was put there since, by somebody who may write where we are about to.
func (s *System) makeParents(at string) error {
	var missing []string
	for dir := filepath.Dir(at); dir != join(s.Root, "/"); dir = filepath.Dir(dir) {
		info, err := os.Lstat(dir)
		if errors.Is(err, fs.ErrNotExist) {
			missing = append([]string{dir}, missing...)
			continue
		}
		if err != nil {
			return err
		}
		if !info.IsDir() {
			return Conflict("%s is not a directory", dir)
		}
		if uid, _ := ownerOf(info); uid > 0 && uid != os.Geteuid() {
			return Conflict("%s belongs to another account (uid %d)", dir, uid)
		}
		break
	}
	for _, dir := range missing {
		if err := os.Mkdir(dir, 0o755); errors.Is(err, fs.ErrExist) { //nolint:gosec // directories of the system are for everybody
			return Conflict("%s was made by somebody else just now", dir)
		} else if err != nil {
			return err
		}
		if err := os.Chmod(dir, 0o755); err != nil { //nolint:gosec // whatever the umask is; ours, so nobody else can replace it
			return err
		}
		if err := syncDir(filepath.Dir(dir)); err != nil {
			return err
		}
	}
	return nil
}

// sweep removes what a killed agent left half written beside a place.
func sweep(at string) {
	entries, err := os.ReadDir(filepath.Dir(at))
	if err != nil {
		return
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), tempPrefix) && strings.HasSuffix(e.Name(), ".tmp") {
			os.Remove(filepath.Join(filepath.Dir(at), e.Name()))
		}
	}
}

// isOurs reports whether content says itself that it is ours: then it is not what was there
// before, even where the journal was lost.
func isOurs(content []byte) bool {
	return bytes.Contains(content[:min(len(content), 512)], []byte(markerText))
}

// Put makes one path be as f says, as safely as the engine writes a plan's files, but
// without the journal: for the rare file of many owners of which an enforcer changes a
// line, in Apply and Remove, and remembers in Plan.Before what that line was.
func (s *System) Put(f File) error {
	at, err := s.place(f.Path)
	if err != nil {
		return err
	}
	if !f.Absent {
		if err := s.makeParents(at); err != nil {
			return err
		}
	}
	if err := put(at, f.wanted(), f.Content); err != nil {
		return fmt.Errorf("write %s: %w", f.Path, err)
	}
	return nil
}
