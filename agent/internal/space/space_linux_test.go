package space_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"handrail/agent/internal/space"
	"handrail/signaling"
	"handrail/signaling/tool/tooltest"
)

// fill writes a file that takes its size on the disk.
func fill(t *testing.T, name string, size int) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(strings.Repeat("x", size)), 0o600); err != nil {
		t.Fatal(err)
	}
}

// paths gives the nodes their whole paths, and what they take.
func paths(m signaling.SpaceTree) map[string]signaling.SpaceNode {
	out, names := map[string]signaling.SpaceNode{}, make([]string, len(m.Nodes))
	for i, n := range m.Nodes {
		if names[i] = n.Name; n.Parent >= 0 {
			names[i] = names[n.Parent] + "/" + n.Name
		}
		out[names[i]] = n
	}
	return out
}

func walk(t *testing.T, dir string) signaling.SpaceTree {
	t.Helper()
	v := tooltest.Serve(t, space.New().Serve, signaling.Diagnostics)
	v.Say(signaling.TypeSpaceWalk, "", signaling.SpaceWalk{Path: dir, Seconds: 600})
	return tooltest.Await(v, "the whole tree", func(m signaling.SpaceTree) bool { return m.Done })
}

// TestWalk: what takes the most is found, and counted as the disk counts: a file of two names once, a
// hole not at all, and nothing behind a link or on another file system.
func TestWalk(t *testing.T) {
	dir := t.TempDir()
	fill(t, dir+"/log/journal/big", 3<<20)
	fill(t, dir+"/log/small", 100)
	fill(t, dir+"/cache/a\nb\xff\x1b", 1<<20)
	fill(t, dir+"/one", 1<<20)
	if err := os.Link(dir+"/one", dir+"/other name of one"); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("/", dir+"/everything"); err != nil {
		t.Fatal(err)
	}
	hole, err := os.Create(dir + "/hole")
	if err != nil {
		t.Fatal(err)
	}
	defer hole.Close()
	if err := hole.Truncate(1 << 40); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mkfifo(dir+"/fifo", 0o600); err != nil {
		t.Fatal(err)
	}
	if os.Getuid() == 0 {
		if err := os.Mkdir(dir+"/elsewhere", 0o700); err != nil {
			t.Fatal(err)
		}
		if err := unix.Mount("tmpfs", dir+"/elsewhere", "tmpfs", 0, "size=8m"); err != nil {
			t.Fatal(err)
		}
		defer func() { _ = unix.Unmount(dir+"/elsewhere", 0) }()
		fill(t, dir+"/elsewhere/large", 4<<20)
	}
	m := walk(t, dir)
	if !m.Whole || m.Unreadable != 0 || m.Nodes[0].Parent != -1 || m.Nodes[0].Name != dir {
		t.Errorf("tree %+v", m)
	}
	all := paths(m)
	if n := m.Nodes[0]; n.Bytes < 5<<20 || n.Bytes > 6<<20 || n.Files != 7 {
		t.Errorf("all is %+v, want 5 MiB in 7 files", n)
	}
	for name, least := range map[string]int64{"/log": 3 << 20, "/log/journal": 3 << 20, "/log/journal/big": 3 << 20, "/cache": 1 << 20, `/cache/a\u000ab\xff\u001b`: 1 << 20} {
		if n := all[dir+name]; n.Bytes < least || n.Bytes > least+(64<<10) {
			t.Errorf("%s is %+v, want %d bytes; there are %v", name, n, least, all)
		}
	}
	for name := range all {
		if strings.Contains(name, "elsewhere") || strings.Contains(name, "everything") {
			t.Errorf("%s is told", name)
		}
	}
	for i, n := range m.Nodes {
		if n.Parent >= int64(i) {
			t.Errorf("node %d comes before its parent %d", i, n.Parent)
		}
	}
}

// TestMany: very many files and directories give a tree that fits one message, and adds up.
func TestMany(t *testing.T) {
	dir := t.TempDir()
	for i := range 120 {
		for j := range 60 {
			fill(t, fmt.Sprintf("%s/%s%03d/%d", dir, strings.Repeat("<", 200), i, j), 4096)
		}
	}
	m := walk(t, dir)
	if m.Nodes[0].Files != 7200 || m.Entries < 7320 || !m.Whole {
		t.Errorf("%+v", m.Nodes[0])
	}
	var below int64
	for _, n := range m.Nodes {
		if n.Parent == 0 {
			below += n.Bytes
		}
	}
	if below != m.Nodes[0].Bytes {
		t.Errorf("the parts take %d bytes, the whole %d", below, m.Nodes[0].Bytes)
	}
}

// TestEnds: a walk is ended by the viewer, by its time, and by another.
func TestEnds(t *testing.T) {
	v := tooltest.Serve(t, space.New().Serve, signaling.Diagnostics)
	v.Say(signaling.TypeSpaceWalk, "", signaling.SpaceWalk{Path: "/", Seconds: 600})
	v.Say(signaling.TypeSpaceStop, "", signaling.SpaceStop{})
	tooltest.Await(v, "the end", func(m signaling.SpaceTree) bool { return m.Done && m.Path == "/" })
	v.Say(signaling.TypeSpaceWalk, "", signaling.SpaceWalk{Path: "/", Seconds: 600})
	v.Say(signaling.TypeSpaceWalk, "", signaling.SpaceWalk{Path: t.TempDir(), Seconds: 600})
	tooltest.Await(v, "the end of the first", func(m signaling.SpaceTree) bool { return m.Done && m.Path == "/" })
	tooltest.Await(v, "the end of the second", func(m signaling.SpaceTree) bool { return m.Done && m.Path != "/" && m.Whole })
	if m := space.New().Walk(t.Context(), "/", time.Nanosecond); !m.Done || m.Whole || m.Message == "" {
		t.Errorf("without time: %+v", m)
	}
	for _, path := range []string{"/none", "/etc/passwd"} {
		v.Say(signaling.TypeSpaceWalk, "", signaling.SpaceWalk{Path: path, Seconds: 5})
		tooltest.Await(v, "why not", func(m signaling.SpaceTree) bool { return m.Done && m.Path == path && m.Message != "" })
	}
	v.Say(signaling.TypeSpaceWalk, "", signaling.SpaceWalk{Path: "/", Seconds: 600})
	v.Leave()
	if err := v.End(); err == nil {
		t.Error("the tool does not notice that the viewer is gone")
	}
}

// TestVolumes: the file system of the root is there once, with figures that fit each other; one that is
// full is seen to be.
func TestVolumes(t *testing.T) {
	full := ""
	if os.Getuid() == 0 {
		full = t.TempDir()
		if err := unix.Mount("tmpfs", full, "tmpfs", 0, "size=1m"); err != nil {
			t.Fatal(err)
		}
		defer func() { _ = unix.Unmount(full, 0) }()
		fill(t, full+"/x", 1<<20)
	}
	v := tooltest.Serve(t, space.New().Serve, signaling.Diagnostics)
	v.Say(signaling.TypeSpaceAsk, "", signaling.SpaceAsk{})
	m := tooltest.Await[signaling.SpaceVolumes](v, "volumes", nil)
	at := func(mount string) signaling.SpaceVolume {
		i := slices.IndexFunc(m.Volumes, func(v signaling.SpaceVolume) bool { return v.Mount == mount })
		if i < 0 {
			t.Fatalf("%s is not in %+v", mount, m.Volumes)
		}
		return m.Volumes[i]
	}
	if r := at("/"); r.Bytes <= 0 || r.Used <= 0 || r.Used > r.Bytes || r.Stuck || r.Memory {
		t.Errorf("the root is %+v", r)
	}
	if full != "" {
		if f := at(full); f.Used != f.Bytes || f.Bytes != 1<<20 || !f.Memory {
			t.Errorf("the full one is %+v", f)
		}
	}
}
