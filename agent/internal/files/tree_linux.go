package files

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// mostLinks is how many links lead to one place, as the kernel has it; maxDepth how many directories
// are walked into one another: each is an open handle.
const (
	mostLinks = 40
	maxDepth  = 512
)

// Errors of the tree.
var (
	errName = errors.New("that is not a path")
	errLink = errors.New("a link stands in the way; open the folder again to see where it leads")
	errKind = errors.New("that is neither a file nor a folder, and is not opened")
	errRoot = errors.New("that is where everything begins")
	errDeep = errors.New("folders lie too deep in one another")
)

// tree is what lies below one directory.
type tree struct{ root string }

// dir is an open directory and its path without links, from the tree's root.
type dir struct {
	fd   int
	path string
}

func (d dir) close() { _ = unix.Close(d.fd) }

// parts takes a path apart. It must begin at the root and may not climb: a viewer that wants to go
// up asks for the folder above.
func parts(p string) ([]string, error) {
	if !strings.HasPrefix(p, "/") || strings.ContainsRune(p, 0) || len(p) > unix.PathMax-1 {
		return nil, errName
	}
	var out []string
	for part := range strings.SplitSeq(p, "/") {
		switch {
		case part == "" || part == ".":
		case part == "..", len(part) > unix.NAME_MAX:
			return nil, errName
		default:
			out = append(out, part)
		}
	}
	return out, nil
}

func isName(n string) bool {
	return n != "" && n != "." && n != ".." && len(n) <= unix.NAME_MAX && !strings.ContainsAny(n, "/\x00")
}

const walkFlags = unix.O_PATH | unix.O_DIRECTORY | unix.O_NOFOLLOW | unix.O_CLOEXEC

// open walks to the directory at p, through no link.
func (t tree) open(p string) (dir, error) {
	names, err := parts(p)
	if err != nil {
		return dir{}, err
	}
	d, err := t.top()
	if err != nil {
		return d, err
	}
	for _, name := range names {
		if d, err = d.into(name); err != nil {
			return d, err
		}
	}
	return d, nil
}

func (t tree) top() (dir, error) {
	fd, err := unix.Open(t.root, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return dir{}, err
	}
	return dir{fd, "/"}, nil
}

// into goes on to a directory in d, which it closes.
func (d dir) into(name string) (dir, error) {
	defer d.close()
	fd, err := unix.Openat(d.fd, name, walkFlags, 0)
	if err == unix.ENOTDIR || err == unix.ELOOP {
		if st, lerr := d.look(name); lerr == nil && st.Mode&unix.S_IFMT == unix.S_IFLNK {
			err = errLink
		}
	}
	if err != nil {
		return dir{}, err
	}
	return dir{fd, path.Join(d.path, name)}, nil
}

// above walks to the directory that p is in, and returns p's own name there.
func (t tree) above(p string) (dir, string, error) {
	names, err := parts(p)
	if err != nil {
		return dir{}, "", err
	}
	if len(names) == 0 {
		return dir{}, "", errRoot
	}
	d, err := t.open("/" + strings.Join(names[:len(names)-1], "/"))
	return d, names[len(names)-1], err
}

// follow returns p without links, wherever they lead below the root. Each step is by handle, but the
// result is only a path: to be walked again, by open, which takes no link.
func (t tree) follow(p string) (string, error) {
	todo, err := parts(p)
	if err != nil {
		return "", err
	}
	done := []string{}
	for links := 0; len(todo) > 0; {
		name := todo[0]
		todo = todo[1:]
		if name == ".." {
			done = done[:max(0, len(done)-1)]
			continue
		}
		target, err := t.linkAt(done, name)
		if err != nil {
			return "", err
		}
		if target == "" {
			done = append(done, name)
			continue
		}
		if links++; links > mostLinks {
			return "", unix.ELOOP
		}
		if strings.HasPrefix(target, "/") {
			done = done[:0]
		}
		var more []string
		for part := range strings.SplitSeq(target, "/") {
			if part != "" && part != "." {
				more = append(more, part)
			}
		}
		todo = append(more, todo...)
	}
	return "/" + strings.Join(done, "/"), nil
}

// linkAt returns where the link of that name points; "" where it is none.
func (t tree) linkAt(in []string, name string) (string, error) {
	d, err := t.open("/" + strings.Join(in, "/"))
	if err != nil {
		return "", err
	}
	defer d.close()
	st, err := d.look(name)
	if err != nil || st.Mode&unix.S_IFMT != unix.S_IFLNK {
		return "", err
	}
	return d.readLink(name)
}

func (d dir) readLink(name string) (string, error) {
	b := make([]byte, unix.PathMax)
	n, err := unix.Readlinkat(d.fd, name, b)
	if err != nil {
		return "", err
	}
	return string(b[:n]), nil
}

// look says what stands at a name; a link is a link.
func (d dir) look(name string) (unix.Stat_t, error) {
	var st unix.Stat_t
	err := unix.Fstatat(d.fd, name, &st, unix.AT_SYMLINK_NOFOLLOW)
	return st, err
}

// file opens an ordinary file in d. What else it may be is found out without opening it: to open a
// device or a FIFO is to act on it.
func (d dir) file(name string, flags int) (*os.File, unix.Stat_t, error) {
	var st unix.Stat_t
	fd, err := unix.Openat(d.fd, name, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, st, err
	}
	defer unix.Close(fd)
	if err := unix.Fstat(fd, &st); err != nil {
		return nil, st, err
	}
	if st.Mode&unix.S_IFMT != unix.S_IFREG {
		return nil, st, errKind
	}
	again, err := unix.Open(handlePath(fd), flags|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, st, err
	}
	return os.NewFile(uintptr(again), name), st, nil
}

// handlePath names an open handle, for what the kernel does by path only.
func handlePath(fd int) string { return "/proc/self/fd/" + strconv.Itoa(fd) }

// list opens d for reading its names.
func (d dir) list() (*reading, error) {
	fd, err := unix.Openat(d.fd, ".", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	return &reading{fd: fd, buf: make([]byte, 32<<10)}, nil
}

// named is a name in a directory, and what it is where the file system says so in passing.
type named struct {
	name string
	kind byte // unix.DT_…
}

// reading reads a directory, a little at a time.
type reading struct {
	fd   int
	buf  []byte
	rest []byte
}

func (r *reading) close() { _ = unix.Close(r.fd) }

func (r *reading) again() error {
	r.rest = nil
	_, err := unix.Seek(r.fd, 0, 0)
	return err
}

// next returns the next name; ok is false at the end.
func (r *reading) next() (n named, ok bool, err error) {
	for {
		if len(r.rest) == 0 {
			got, err := unix.ReadDirent(r.fd, r.buf)
			if err != nil || got <= 0 {
				return n, false, err
			}
			r.rest = r.buf[:got]
		}
		// struct linux_dirent64: inode u64, offset u64, length u16, type u8, name with a NUL.
		const fixed = 19
		if len(r.rest) < fixed {
			return n, false, fmt.Errorf("directory entry of %d bytes", len(r.rest))
		}
		size := int(binary.NativeEndian.Uint16(r.rest[16:]))
		if size < fixed || size > len(r.rest) {
			return n, false, fmt.Errorf("directory entry of %d bytes", size)
		}
		name, _, _ := strings.Cut(string(r.rest[fixed:size]), "\x00")
		n = named{name, r.rest[18]}
		r.rest = r.rest[size:]
		if name != "." && name != ".." {
			return n, true, nil
		}
	}
}
