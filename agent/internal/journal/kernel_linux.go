package journal

import (
	"context"
	"errors"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"handrail/signaling"
)

// kernelFile is what the kernel's own buffer is called among the files.
const (
	kernelFile   = "kernel"
	kernelDevice = "/dev/kmsg"
)

const noWait = syscall.O_NONBLOCK

// kernel is the kernel's buffer (Documentation/ABI/testing/dev-kmsg): small, and of this run only.
type kernel struct{}

// records reads the buffer from its beginning; with wait it goes on until ctx ends.
func (kernel) records(ctx context.Context, wait bool, tell func(seq int64, l signaling.JournalLine)) error {
	f, err := os.OpenFile(kernelDevice, os.O_RDONLY|noWait, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	stop := context.AfterFunc(ctx, func() { _ = f.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	if !wait {
		return drain(f, tell)
	}
	buf := make([]byte, 16<<10)
	for {
		n, err := f.Read(buf)
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, syscall.EPIPE): // the buffer went round; the next is the oldest there is
			continue
		case err != nil:
			return err
		}
		if seq, l, ok := parseRecord(string(buf[:n])); ok {
			tell(seq, l)
		}
	}
}

// drain reads what is there now, past Go's own waiting for more.
func drain(f *os.File, tell func(seq int64, l signaling.JournalLine)) error {
	raw, err := f.SyscallConn()
	if err != nil {
		return err
	}
	buf := make([]byte, 16<<10)
	var failed error
	if err := raw.Control(func(fd uintptr) {
		for {
			n, err := unix.Read(int(fd), buf)
			switch {
			case errors.Is(err, unix.EPIPE) || errors.Is(err, unix.EINTR):
				continue
			case errors.Is(err, unix.EAGAIN):
				return
			case err != nil:
				failed = err
				return
			}
			if seq, l, ok := parseRecord(string(buf[:n])); ok {
				tell(seq, l)
			}
		}
	}); err != nil {
		return err
	}
	return failed
}

// parseRecord reads "prefix,sequence,microseconds,…;text" and the lines that continue it.
func parseRecord(s string) (seq int64, l signaling.JournalLine, ok bool) {
	head, text, ok := strings.Cut(s, ";")
	f := strings.Split(head, ",")
	if !ok || len(f) < 3 {
		return 0, l, false
	}
	text, _, _ = strings.Cut(text, "\n")
	priority, err1 := strconv.ParseInt(f[0], 10, 32)
	seq, err2 := strconv.ParseInt(f[1], 10, 64)
	micros, err3 := strconv.ParseInt(f[2], 10, 64)
	if err1 != nil || err2 != nil || err3 != nil {
		return 0, l, false
	}
	l.Priority = priority & 7
	l.Unit = "kernel"
	if priority>>3 != 0 { // a program wrote it there
		l.Unit = "kernel log"
	}
	l.TimeMS = started().Add(time.Duration(micros) * time.Microsecond).UnixMilli()
	l.Text, l.Cut = clean([]byte(unescape(text)))
	return seq, l, true
}

// started is when the kernel's clock of its log began.
func started() time.Time {
	var up unix.Timespec
	if unix.ClockGettime(unix.CLOCK_MONOTONIC, &up) != nil {
		return time.Time{}
	}
	return time.Now().Add(-time.Duration(up.Nano()))
}

// unescape undoes \x0a and the like.
func unescape(s string) string {
	if !strings.Contains(s, `\x`) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+3 < len(s) && s[i+1] == 'x' {
			if n, err := strconv.ParseUint(s[i+2:i+4], 16, 8); err == nil {
				b.WriteByte(byte(n))
				i += 3
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// Kernel returns what the kernel's buffer holds, oldest first. It fails where it may not be read.
func Kernel() ([]signaling.JournalLine, error) {
	var out []signaling.JournalLine
	err := kernel{}.records(context.Background(), false, func(_ int64, l signaling.JournalLine) { out = append(out, l) })
	return out, err
}

func (k kernel) page(ctx context.Context, q signaling.JournalOpen, at string, n int) (list []entry, reached string, begin bool, err error) {
	before, _ := strconv.ParseInt(at, 10, 64)
	err = k.records(ctx, false, func(seq int64, l signaling.JournalLine) {
		if (at == "" || seq < before) && fits(q, l, l.Text) {
			list = append(list, entry{l, strconv.FormatInt(seq, 10)})
		}
	})
	begin = len(list) <= n
	list = slices.Clone(list[max(0, len(list)-n):])
	if len(list) > 0 {
		reached = list[0].at
	}
	return list, reached, begin, err
}

func (k kernel) follow(ctx context.Context, q signaling.JournalOpen, at string, tell func(signaling.JournalLine)) error {
	after, err := strconv.ParseInt(at, 10, 64)
	if err != nil {
		after = -1
		if err := k.records(ctx, false, func(seq int64, _ signaling.JournalLine) { after = seq }); err != nil {
			return err
		}
	}
	return k.records(ctx, true, func(seq int64, l signaling.JournalLine) {
		if seq > after && fits(q, l, l.Text) {
			tell(l)
		}
	})
}

// follow implements source: the kernel says when the file changes, or another takes its place.
func (f *textFile) follow(ctx context.Context, q signaling.JournalOpen, at string, tell func(signaling.JournalLine)) error {
	w, err := newWatch(ctx, f.dir, f.name)
	if err != nil {
		return err
	}
	defer w.close()
	file, err := f.open()
	if err != nil {
		return err
	}
	defer func() { file.Close() }()
	info, err := file.Stat()
	if err != nil {
		return err
	}
	offset := info.Size()
	if n, err := strconv.ParseInt(at, 10, 64); err == nil {
		offset = min(n, offset)
	}
	for {
		if now, err := file.Stat(); err == nil && now.Size() < offset {
			offset = 0 // it was emptied
		}
		offset, err = from(file, offset, func(b []byte, over int64) {
			if l, ok := parsed(q, b, over, time.Now()); ok {
				tell(l)
			}
		})
		if err != nil {
			return err
		}
		if next, err := f.open(); err == nil {
			was, err1 := file.Stat()
			is, err2 := next.Stat()
			if err1 == nil && err2 == nil && !os.SameFile(was, is) { // it was moved away, and another began
				file.Close()
				file, offset = next, 0
				w.file(f.dir, f.name)
				continue
			}
			next.Close()
		}
		if err := w.wait(); err != nil {
			if ctx.Err() != nil {
				return nil //nolint:nilerr // it was told to end
			}
			return err
		}
	}
}

// watch is told by the kernel of changes to a file and its directory.
type watch struct {
	f    *os.File
	stop func() bool
}

func newWatch(ctx context.Context, dir, name string) (*watch, error) {
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		return nil, os.NewSyscallError("inotify_init1", err)
	}
	w := &watch{f: os.NewFile(uintptr(fd), "inotify")}
	w.stop = context.AfterFunc(ctx, func() { _ = w.f.SetReadDeadline(time.Unix(1, 0)) })
	path := dir + "/" + name
	if _, err := unix.InotifyAddWatch(fd, path[:strings.LastIndexByte(path, '/')], unix.IN_CREATE|unix.IN_MOVED_TO); err != nil {
		w.close()
		return nil, os.NewSyscallError("inotify_add_watch", err)
	}
	w.file(dir, name)
	return w, nil
}

// file watches the file that has the name now; without it the directory is still watched.
func (w *watch) file(dir, name string) {
	if raw, err := w.f.SyscallConn(); err == nil {
		_ = raw.Control(func(fd uintptr) {
			_, _ = unix.InotifyAddWatch(int(fd), dir+"/"+name, unix.IN_MODIFY|unix.IN_ATTRIB|unix.IN_MOVE_SELF)
		})
	}
}

// wait returns when something changed.
func (w *watch) wait() error {
	buf := make([]byte, 16<<10)
	_, err := w.f.Read(buf)
	return err
}

func (w *watch) close() {
	w.stop()
	w.f.Close()
}
