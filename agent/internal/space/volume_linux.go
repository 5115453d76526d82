package space

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"handrail/signaling"
)

// answerWithin is how long a file system may take to say how full it is.
const answerWithin = 2 * time.Second

const maxVolumes = 200

// Kinds of file systems that are shown besides those on block devices.
var (
	remoteKinds = []string{"nfs", "nfs4", "cifs", "smb3", "smbfs", "ceph", "glusterfs", "fuse.sshfs", "fuse.rclone", "fuse.glusterfs", "afs", "davfs", "fuse.davfs2"}
	deviceless  = []string{"zfs", "btrfs", "9p", "virtiofs", "bcachefs"}
)

// mount is a line of /proc/self/mountinfo (proc(5)).
type mount struct {
	device   string // its number, as 8:1
	root     string // in its file system
	dir      string
	options  string
	kind     string
	source   string
	readOnly bool
}

func mounts() ([]mount, error) {
	b, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil, err
	}
	return parseMounts(b), nil
}

func parseMounts(b []byte) []mount {
	var out []mount
	lines := bufio.NewScanner(bytes.NewReader(b))
	for lines.Scan() {
		before, after, ok := strings.Cut(lines.Text(), " - ")
		f, g := strings.Fields(before), strings.Fields(after)
		if !ok || len(f) < 6 || len(g) < 2 {
			continue
		}
		m := mount{device: f[2], root: unescape(f[3]), dir: unescape(f[4]), options: f[5], kind: g[0], source: unescape(g[1])}
		m.readOnly = slices.Contains(strings.Split(m.options, ","), "ro")
		if len(g) > 2 {
			m.readOnly = m.readOnly || slices.Contains(strings.Split(g[2], ","), "ro")
		}
		out = append(out, m)
	}
	return out
}

// unescape undoes what proc(5) does to names: \040 is a space.
func unescape(s string) string {
	if !strings.Contains(s, `\`) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+3 < len(s) {
			if n, err := strconv.ParseUint(s[i+1:i+4], 8, 8); err == nil {
				b.WriteByte(byte(n))
				i += 3
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

func (m mount) isRemote() bool {
	return slices.Contains(remoteKinds, m.kind) || strings.HasPrefix(m.kind, "fuse.") && strings.Contains(m.source, ":")
}

func (m mount) isShown() bool {
	switch {
	case m.dir == "/", m.isRemote(), slices.Contains(deviceless, m.kind):
		return true
	case m.kind == "tmpfs":
		return !strings.HasPrefix(m.dir, "/sys/") && !strings.HasPrefix(m.dir, "/proc/")
	}
	return strings.HasPrefix(m.source, "/dev/") && m.kind != "squashfs" && m.kind != "iso9660" // those are full by nature
}

// asker asks file systems how full they are; what hangs is not asked again while it does.
type asker struct {
	mu    sync.Mutex
	stuck map[string]bool // directories of which no answer has come yet
}

// statfs asks within the limit; ok is false where there was no answer.
func (a *asker) statfs(ctx context.Context, dir string) (st unix.Statfs_t, err error, ok bool) { //nolint:revive // the error is the answer
	a.mu.Lock()
	if a.stuck == nil {
		a.stuck = map[string]bool{}
	}
	if a.stuck[dir] {
		a.mu.Unlock()
		return st, nil, false
	}
	a.stuck[dir] = true
	a.mu.Unlock()
	type answer struct {
		st  unix.Statfs_t
		err error
	}
	got := make(chan answer, 1)
	go func() { // may stay for as long as the server is gone: nothing ends a system call that hangs
		var n answer
		n.err = unix.Statfs(dir, &n.st)
		a.mu.Lock()
		delete(a.stuck, dir)
		a.mu.Unlock()
		got <- n
	}()
	limit := time.NewTimer(answerWithin)
	defer limit.Stop()
	select {
	case n := <-got:
		return n.st, n.err, true
	case <-limit.C:
	case <-ctx.Done():
	}
	return st, nil, false
}

// Volumes returns the file systems that hold files of people and programs, in the order of
// their directories. It takes a few seconds where one does not answer.
func (t *Tool) Volumes(ctx context.Context) ([]signaling.SpaceVolume, error) {
	all, err := mounts()
	if err != nil {
		return nil, fmt.Errorf("the mounted file systems cannot be read: %w", err)
	}
	shown := map[string]mount{} // by device: of what is mounted several times, the shortest path
	for _, m := range all {
		key := m.device
		if m.kind == "btrfs" {
			key = m.source
		}
		was, seen := shown[key]
		if m.isShown() && (!seen || len(m.dir) < len(was.dir)) {
			shown[key] = m
		}
	}
	out := make([]signaling.SpaceVolume, 0, len(shown))
	var asks sync.WaitGroup
	var mu sync.Mutex
	for _, m := range shown {
		asks.Go(func() {
			if v, ok := t.volume(ctx, m); ok {
				mu.Lock()
				defer mu.Unlock()
				out = append(out, v)
			}
		})
	}
	asks.Wait()
	slices.SortFunc(out, func(a, b signaling.SpaceVolume) int { return strings.Compare(a.Mount, b.Mount) })
	return out[:min(len(out), maxVolumes)], nil
}

func (t *Tool) volume(ctx context.Context, m mount) (signaling.SpaceVolume, bool) {
	v := signaling.SpaceVolume{
		Mount: show(m.dir, 1024), Device: show(m.source, 256), Kind: show(m.kind, 32), ReadOnly: m.readOnly, Remote: m.isRemote(), Memory: m.kind == "tmpfs" || m.kind == "ramfs",
	}
	st, err, ok := t.ask.statfs(ctx, m.dir)
	if !ok {
		v.Stuck = true
		return v, true
	}
	if err != nil || st.Blocks == 0 {
		return v, false // nothing can be kept there
	}
	unit := st.Frsize
	if unit == 0 {
		unit = st.Bsize
	}
	used, free := int64(st.Blocks-st.Bfree), int64(st.Bavail)        //nolint:gosec // blocks of one disk
	v.Bytes, v.Used = (used+free)*unit, used*unit                    // as df has it: what is kept for root counts as neither
	v.Files, v.FilesUsed = int64(st.Files), int64(st.Files-st.Ffree) //nolint:gosec // as above
	return v, true
}

// mountsBelow returns, for each directory, the names in it that something is mounted on. Those
// are not even looked at: it could be a server that is gone.
func mountsBelow() (map[string]map[string]bool, error) {
	all, err := mounts()
	if err != nil {
		return nil, err
	}
	out := map[string]map[string]bool{}
	for _, m := range all {
		dir, name := path.Split(m.dir)
		dir = path.Clean(dir)
		if out[dir] == nil {
			out[dir] = map[string]bool{}
		}
		out[dir][name] = true
	}
	return out, nil
}

// show makes a name fit to be shown: what is no text, or acts on a terminal, is written as numbers.
func show(name string, limit int) string {
	var b strings.Builder
	for i, r := range name {
		if b.Len() > limit-8 {
			b.WriteString("…")
			break
		}
		switch {
		case r == '\uFFFD':
			fmt.Fprintf(&b, `\x%02x`, name[i])
		case r < ' ' || r >= 0x7f && r < 0xa0 || r >= 0x200b && r <= 0x200f || r >= 0x202a && r <= 0x202e || r >= 0x2060 && r <= 0x206f || r == 0xfeff:
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}
