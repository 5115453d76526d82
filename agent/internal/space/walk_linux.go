package space

import (
	"cmp"
	"container/heap"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"slices"
	"sync"

	"golang.org/x/sys/unix"

	"handrail/signaling"
	"handrail/signaling/tool"
)

// Bounds of a walk.
const (
	namesAtOnce = 1024
	keepMany    = 400       // children of one directory that are held before the small ones are let go
	keepFew     = 60        // and how many stay
	keepLeast   = 64 << 10  // bytes, below which nothing is held by itself
	keepShare   = 5000      // nor below this part of everything
	maxDepth    = 200       // directories within one another; each is held open
	maxLinks    = 2_000_000 // files of several names that are remembered
	maxEntries  = 50_000_000
	maxNodes    = 250 // that are told
	nodeBytes   = 80  // that one takes besides its name, at most
)

// node is a directory, or a large file, with all below it. What is small is only counted in it.
type node struct {
	name     string
	bytes    int64 // without active
	files    int64
	dir      bool
	children []*node // those that are finished and not small
	active   *node   // the directory in it that is being walked
}

// walker walks one directory. The goroutine that walks writes it, others look at it, both
// under mu.
type walker struct {
	mu         sync.Mutex
	root       *node
	entries    int64
	unreadable int64
	total      int64
	message    string
	whole      bool

	dir    string
	device uint64
	skip   map[string]map[string]bool
	links  map[uint64]struct{}
}

var errEnough = errors.New("there is too much to look at all of it")

// newWalker begins a walk; nothing is read below the directory yet.
func newWalker(dir string) (*walker, *os.File, error) {
	skip, err := mountsBelow()
	if err != nil {
		return nil, nil, err
	}
	f, err := os.Open(dir)
	if err != nil {
		return nil, nil, err
	}
	var st unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &st); err != nil {
		f.Close()
		return nil, nil, &os.PathError{Op: "stat", Path: dir, Err: err}
	}
	if st.Mode&unix.S_IFMT != unix.S_IFDIR {
		f.Close()
		return nil, nil, fmt.Errorf("%s is no directory", show(dir, 200))
	}
	if resolved, err := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", f.Fd())); err == nil {
		dir = resolved // what is mounted below is known by its path without links
	}
	w := &walker{dir: dir, device: st.Dev, skip: skip, links: map[uint64]struct{}{}, root: &node{name: dir, dir: true, bytes: st.Blocks * 512}}
	w.total = w.root.bytes
	return w, f, nil
}

// run walks to the end, or to that of ctx.
func (w *walker) run(ctx context.Context, f *os.File) {
	err := w.walk(ctx, f, w.dir, w.root, 0)
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case errors.Is(err, errEnough):
		w.message = fmt.Sprintf("There is more below it than %d entries.", w.entries)
	case ctx.Err() != nil:
		w.message = "It was not looked at to the end."
	case w.unreadable > 0:
		w.message = fmt.Sprintf("%d directories could not be read.", w.unreadable)
	default:
		w.whole = true
	}
}

// walk reads one directory, and closes it.
func (w *walker) walk(ctx context.Context, f *os.File, dir string, n *node, depth int) error {
	defer f.Close()
	skip := w.skip[dir]
	fd := int(f.Fd())
	for {
		names, err := f.Readdirnames(namesAtOnce)
		var below []string
		w.mu.Lock()
		for _, name := range names {
			if w.entries++; skip[name] {
				continue
			}
			if w.entry(fd, name, n) {
				below = append(below, name)
			}
		}
		enough := w.entries >= maxEntries
		w.mu.Unlock()
		for _, name := range below {
			if err := w.enter(ctx, fd, dir, name, n, depth); err != nil {
				return err
			}
		}
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case enough:
			return errEnough
		case errors.Is(err, io.EOF) || err == nil && len(names) == 0:
			return nil
		case err != nil:
			w.mu.Lock()
			w.unreadable++
			w.mu.Unlock()
			return nil
		}
	}
}

// entry takes one name into its directory; below says that it is a directory to be walked.
func (w *walker) entry(fd int, name string, n *node) (below bool) {
	var st unix.Stat_t
	if unix.Fstatat(fd, name, &st, unix.AT_SYMLINK_NOFOLLOW|unix.AT_NO_AUTOMOUNT) != nil {
		return false // gone meanwhile
	}
	if st.Dev != w.device {
		return false
	}
	if st.Mode&unix.S_IFMT == unix.S_IFDIR {
		return true
	}
	if st.Nlink > 1 {
		if _, seen := w.links[st.Ino]; seen {
			return false
		}
		if len(w.links) < maxLinks {
			w.links[st.Ino] = struct{}{}
		}
	}
	size := st.Blocks * 512
	n.bytes += size
	n.files++
	w.total += size
	if size >= w.least() {
		n.hold(&node{name: name, bytes: size, files: 1})
	}
	return false
}

// least is below what nothing is held by itself: so what is held stays bounded, however much there is.
func (w *walker) least() int64 { return max(keepLeast, w.total/keepShare) }

// hold keeps a child that is finished; of very many the largest.
func (n *node) hold(child *node) {
	n.children = append(n.children, child)
	if len(n.children) >= keepMany {
		slices.SortFunc(n.children, func(a, b *node) int { return cmp.Compare(b.bytes, a.bytes) })
		clear(n.children[keepFew:])
		n.children = n.children[:keepFew]
	}
}

// enter walks a directory in another.
func (w *walker) enter(ctx context.Context, fd int, dir, name string, n *node, depth int) error {
	if depth >= maxDepth {
		w.mu.Lock()
		w.unreadable++
		w.mu.Unlock()
		return nil
	}
	child, opened := -1, error(unix.EINTR)
	for errors.Is(opened, unix.EINTR) {
		child, opened = unix.Openat(fd, name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	}
	var st unix.Stat_t
	if opened == nil {
		if opened = unix.Fstat(child, &st); opened != nil || st.Dev != w.device {
			_ = unix.Close(child)
			return nil // another was mounted there meanwhile
		}
	}
	w.mu.Lock()
	if opened != nil {
		w.unreadable++
		w.mu.Unlock()
		return nil
	}
	in := &node{name: name, dir: true, bytes: st.Blocks * 512}
	w.total += in.bytes
	n.active = in
	w.mu.Unlock()
	failed := w.walk(ctx, os.NewFile(uintptr(child), name), path.Join(dir, name), in, depth+1)
	w.mu.Lock()
	defer w.mu.Unlock()
	n.active = nil
	n.bytes += in.bytes
	n.files += in.files
	if in.bytes >= w.least() {
		n.hold(in)
	}
	return failed
}

// size is what a directory takes, with what is being walked in it.
func (n *node) size() (bytes, files int64) {
	for ; n != nil; n = n.active {
		bytes += n.bytes
		files += n.files
	}
	return bytes, files
}

// candidate is a node that may be told.
type candidate struct {
	n      *node
	parent int64
	bytes  int64
	files  int64
}

// largest is candidates, the largest first; a container/heap.
type largest []candidate

func (l largest) Len() int           { return len(l) }
func (l largest) Less(i, j int) bool { return l[i].bytes > l[j].bytes }
func (l largest) Swap(i, j int)      { l[i], l[j] = l[j], l[i] }

// Push implements heap.Interface.
func (l *largest) Push(x any) { *l = append(*l, x.(candidate)) } //nolint:forcetypeassert // only those are pushed

// Pop implements heap.Interface.
func (l *largest) Pop() any {
	x := (*l)[len(*l)-1]
	*l = (*l)[:len(*l)-1]
	return x
}

// tree returns what was found so far: the largest of it, as much as one message holds.
func (w *walker) tree(limit int) signaling.SpaceTree {
	w.mu.Lock()
	defer w.mu.Unlock()
	t := signaling.SpaceTree{Path: show(w.root.name, 4096), Whole: w.whole, Entries: w.entries, Unreadable: w.unreadable, Message: w.message, Nodes: []signaling.SpaceNode{}}
	open := &largest{}
	push := func(n *node, parent int64) {
		bytes, files := n.size()
		heap.Push(open, candidate{n, parent, bytes, files})
	}
	push(w.root, -1)
	room := tool.Room - 4096
	type sum struct{ bytes, files int64 } // of a node's children that are told
	var told []sum
	for open.Len() > 0 && len(t.Nodes) < limit {
		c := heap.Pop(open).(candidate) //nolint:forcetypeassert // only those are pushed
		name := show(c.n.name, 300)
		if room -= 2*nodeBytes + tool.Weight(name); room < 0 {
			break
		}
		at := int64(len(t.Nodes))
		t.Nodes = append(t.Nodes, signaling.SpaceNode{Parent: c.parent, Name: name, Bytes: c.bytes, Files: c.files, Dir: c.n.dir})
		told = append(told, sum{})
		if c.parent >= 0 {
			told[c.parent].bytes += c.bytes
			told[c.parent].files += c.files
		}
		for _, child := range c.n.children {
			push(child, at)
		}
		if c.n.active != nil {
			push(c.n.active, at)
		}
	}
	for i, s := range told {
		if rest := t.Nodes[i].Bytes - s.bytes; s.bytes > 0 && rest > 0 {
			t.Nodes = append(t.Nodes, signaling.SpaceNode{Parent: int64(i), Bytes: rest, Files: max(t.Nodes[i].Files-s.files, 0), Dir: true})
		}
	}
	return t
}
