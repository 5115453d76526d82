package process

import (
	"bytes"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"

	"handrail/agent/internal/socket"
	"handrail/mdm"
	"handrail/signaling"
)

// Bounds of the details, which fit one message together.
const (
	maxArgs       = 100
	maxArg        = 100 // bytes
	maxFiles      = 150
	maxSockets    = 60
	maxEnv        = 150
	maxPath       = 120
	maxDescriptor = 20_000 // looked at
)

// details reads what is known of one process.
func (t *Tool) details(l signaling.ProcessLook) signaling.ProcessDetails {
	d := signaling.ProcessDetails{PID: l.PID, Birth: l.Birth, Command: []string{}, Env: []string{}, Files: []signaling.ProcessFile{}, Sockets: []signaling.ProcessSocket{}}
	gone := d
	gone.Gone = true
	p, err := t.hold(l.PID, l.Birth)
	if err != nil {
		return gone
	}
	defer p.release()
	dir := "/proc/" + strconv.FormatInt(l.PID, 10) + "/"
	for _, arg := range fields(head(dir+"cmdline", 64<<10)) {
		if len(d.Command) == maxArgs {
			break
		}
		d.Command = append(d.Command, mdm.Clean(arg, maxArg))
	}
	d.Exe, d.Dir = linkOf(dir+"exe"), linkOf(dir+"cwd")
	d.Control = control(head(dir+"cgroup", 16<<10))
	d.Read, d.Written = traffic(head(dir+"io", 4<<10))
	for _, v := range fields(head(dir+"environ", 256<<10)) {
		if name, _, ok := strings.Cut(v, "="); ok && len(d.Env) < maxEnv {
			d.Env = append(d.Env, mdm.Clean(name, 64))
		}
	}
	slices.Sort(d.Env)
	t.files(&d, dir)
	if p.look(t.who, l.Birth) != nil { // what was read last may be another's
		return gone
	}
	return d
}

// head reads the beginning of a file; nil where it cannot be read.
func head(name string, limit int64) []byte {
	f, err := os.Open(name)
	if err != nil {
		return nil
	}
	defer f.Close()
	b, _ := io.ReadAll(io.LimitReader(f, limit)) // what came before an error counts
	return b
}

// fields are the texts of a list that ends each with a zero byte.
func fields(b []byte) []string {
	if b = bytes.TrimRight(b, "\x00"); len(b) == 0 {
		return nil
	}
	return strings.Split(string(b), "\x00")
}

func linkOf(link string) string {
	s, err := os.Readlink(link)
	if err != nil {
		return ""
	}
	return mdm.Clean(s, 1024)
}

// control picks the group that names the service: of the one hierarchy of version 2, or of systemd's.
func control(b []byte) string {
	best := ""
	for line := range strings.Lines(string(b)) {
		f := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(f) == 3 && (f[1] == "" || f[1] == "name=systemd" || best == "") && (best == "" || len(f[2]) > len(best)) {
			best = f[2]
		}
	}
	return mdm.Clean(best, 512)
}

func traffic(b []byte) (read, written int64) {
	for line := range strings.Lines(string(b)) {
		key, value, _ := strings.Cut(line, ":")
		n, _ := strconv.ParseInt(strings.TrimSpace(value), 10, 64)
		switch key {
		case "read_bytes":
			read = n
		case "write_bytes":
			written = n
		}
	}
	return read, written
}

// files tells what a process has open.
func (t *Tool) files(d *signaling.ProcessDetails, dir string) {
	open, err := os.ReadDir(dir + "fd")
	if err != nil {
		d.Message = "What it has open cannot be read: " + err.Error()
		return
	}
	d.FileCount = int64(len(open))
	inodes := map[uint64]bool{}
	for _, f := range open[:min(len(open), maxDescriptor)] {
		link, err := os.Readlink(dir + "fd/" + f.Name())
		if err != nil {
			continue
		}
		if inode, ok := socket.InodeOf(link); ok {
			inodes[inode] = true
		}
		if fd, err := strconv.ParseInt(f.Name(), 10, 32); err == nil && len(d.Files) < maxFiles {
			d.Files = append(d.Files, signaling.ProcessFile{FD: fd, Name: mdm.Clean(link, maxPath)})
		}
	}
	slices.SortFunc(d.Files, func(a, b signaling.ProcessFile) int { return int(a.FD - b.FD) })
	if len(inodes) == 0 {
		return
	}
	for _, s := range socket.Read(dir + "net") {
		if inodes[s.Inode] && len(d.Sockets) < maxSockets {
			d.Sockets = append(d.Sockets, signaling.ProcessSocket{Proto: s.Proto, Local: socket.Words(s.Local), Remote: socket.Words(s.Remote), State: s.State})
		}
	}
}
