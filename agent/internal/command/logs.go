package command

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
	"time"

	"handrail/mdm/command"
)

// usualLogs are the files of a bundle for which none were named, below /var/log.
var usualLogs = []string{
	"syslog", "messages", "kern.log", "auth.log", "secure", "daemon.log", "dpkg.log", "apt/history.log", "apt/term.log",
	"dnf.log", "unattended-upgrades/*.log", "Xorg.0.log", "boot.log", "cloud-init.log",
}

const (
	logRoot    = "/var/log"
	perLogFile = 4 << 20 // bytes: the end of a longer file
	maxLogs    = 200     // files
	bundleRest = 64 << 10
)

var errBundleFull = errors.New("the bundle is full")

// bundle is a tar archive being made, never longer than its limit: no more is put in than
// would fit if nothing could be compressed.
type bundle struct {
	file  *os.File
	zip   *gzip.Writer
	tar   *tar.Writer
	limit int64
	said  strings.Builder // what is in it and what is not
	files int
}

func newBundle(dir string, limit int64) (*bundle, error) {
	f, err := os.CreateTemp(dir, "handrail-logs-*")
	if err != nil {
		return nil, err
	}
	z := gzip.NewWriter(f)
	return &bundle{file: f, zip: z, tar: tar.NewWriter(z), limit: limit}, nil
}

// room is how many bytes may still be put in.
func (b *bundle) room() (int64, error) {
	if err := errors.Join(b.tar.Flush(), b.zip.Flush()); err != nil {
		return 0, err
	}
	at, err := b.file.Seek(0, io.SeekCurrent)
	return max(b.limit-bundleRest-at, 0), err
}

// add puts n bytes of r in.
func (b *bundle) add(name string, at time.Time, n int64, r io.Reader) error {
	if err := b.tar.WriteHeader(&tar.Header{Name: name, Mode: 0o600, Size: n, ModTime: at, Format: tar.FormatPAX}); err != nil {
		return err
	}
	// A file that shrinks meanwhile is filled up: its header has been written.
	_, err := io.CopyN(b.tar, io.MultiReader(io.LimitReader(r, n), zeros{}), n)
	b.files++
	return err
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

func (b *bundle) close() error {
	text := b.said.String()
	err := b.add("contents.txt", time.Now(), int64(len(text)), strings.NewReader(text))
	return errors.Join(err, b.tar.Close(), b.zip.Close(), b.file.Sync())
}

func (b *bundle) say(format string, args ...any) { fmt.Fprintf(&b.said, format+"\n", args...) }

// collectLogs makes a bundle and uploads it.
func (j *job) collectLogs(ctx context.Context, p command.Logs) outcome {
	if j.e.cfg.Upload == nil {
		return failed(fmt.Errorf("%s: %w", j.record.Kind, ErrUnsupported))
	}
	if err := j.begin(""); err != nil {
		return failed(err)
	}
	b, err := newBundle(j.e.cfg.Scratch, p.MaxBytes)
	if err != nil {
		return failed(err)
	}
	defer func() {
		_ = b.file.Close()
		_ = os.Remove(b.file.Name())
	}()
	err = errors.Join(j.addJournal(ctx, b, p), addFiles(b, j.e.cfg.LogRoot, p.Files))
	if err = errors.Join(err, b.close()); err != nil {
		return failed(fmt.Errorf("logs: %w", err))
	}
	info, err := b.file.Stat()
	if err != nil {
		return failed(err)
	}
	if info.Size() > command.MaxFile {
		return failed(fmt.Errorf("the bundle came to %d bytes, at most %d", info.Size(), command.MaxFile))
	}
	if err := j.upload(ctx, b.file.Name()); err != nil {
		return failed(fmt.Errorf("the bundle could not be sent: %w", err))
	}
	return done("%d files, %d bytes", b.files-1, info.Size())
}

// upload tries until it is through or the command's time is over: the link comes and goes.
func (j *job) upload(ctx context.Context, path string) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Minute)
	defer cancel()
	pause := j.e.cfg.RetryMin
	for {
		err := j.e.cfg.Upload(ctx, j.record.ID, path)
		var final interface{ IsFinal() bool }
		if err == nil || errors.As(err, &final) && final.IsFinal() {
			return err
		}
		t := time.NewTimer(pause)
		select {
		case <-ctx.Done():
			t.Stop()
			return err
		case <-t.C:
		}
		pause = min(2*pause, j.e.cfg.RetryMax)
	}
}

// addJournal puts the system's journal in, the newest line first, as far as it fits.
func (j *job) addJournal(ctx context.Context, b *bundle, p command.Logs) error {
	room, err := b.room()
	if err != nil {
		return err
	}
	spool, err := os.CreateTemp(j.e.cfg.Scratch, "handrail-journal-*")
	if err != nil {
		return err
	}
	defer func() {
		_ = spool.Close()
		_ = os.Remove(spool.Name())
	}()
	err = j.e.cfg.System.Journal(ctx, time.Duration(p.SinceHours)*time.Hour, p.Unit, &upTo{w: spool, left: room})
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.Is(err, errBundleFull):
		b.say("journal: the newest %d bytes", room)
	case err != nil:
		b.say("journal: none: %v", err)
		return nil
	default:
		b.say("journal: the last %d hours", p.SinceHours)
	}
	n, err := spool.Seek(0, io.SeekCurrent)
	if err != nil {
		return err
	}
	if _, err := spool.Seek(0, io.SeekStart); err != nil {
		return err
	}
	return b.add("journal-newest-first.txt", time.Now(), n, spool)
}

// upTo takes so many bytes and refuses the rest.
type upTo struct {
	w    io.Writer
	left int64
}

func (u *upTo) Write(p []byte) (int, error) {
	part := p[:min(int64(len(p)), u.left)]
	n, err := u.w.Write(part)
	u.left -= int64(n)
	if err == nil && n < len(p) {
		err = errBundleFull
	}
	return n, err
}

// addFiles puts files below root in. Links that lead out of root are not followed, so that
// whoever may write there cannot have other files sent.
func addFiles(b *bundle, root string, patterns []string) error {
	dir, err := os.OpenRoot(root)
	if err != nil {
		b.say("files: none: %v", err)
		return nil
	}
	defer dir.Close()
	globs := usualLogs
	if len(patterns) > 0 {
		globs = nil
		for _, p := range patterns {
			globs = append(globs, strings.TrimPrefix(p, logRoot+"/"))
		}
	}
	var names []string
	for _, g := range globs {
		found, err := fs.Glob(dir.FS(), g)
		if err != nil {
			b.say("%s: not a pattern", g)
			continue
		}
		names = append(names, found...)
	}
	slices.Sort(names)
	for _, name := range slices.Compact(names) {
		if b.files >= maxLogs {
			b.say("more than %d files: the rest is left out", maxLogs)
			return nil
		}
		if err := addFile(b, dir, name); err != nil {
			return err
		}
	}
	return nil
}

// addFile puts the end of one file in; one that cannot be read is said so.
func addFile(b *bundle, dir *os.Root, name string) error {
	info, err := dir.Stat(name)
	if err != nil || !info.Mode().IsRegular() {
		b.say("%s: left out, no plain file below %s", name, logRoot)
		return nil
	}
	f, err := dir.Open(name)
	if err != nil {
		b.say("%s: %v", name, err)
		return nil
	}
	defer f.Close()
	room, err := b.room()
	if err != nil {
		return err
	}
	n := min(info.Size(), perLogFile, (room+1)/2) // so that one file does not leave the others out
	if n == 0 && info.Size() > 0 {
		b.say("%s: left out, the bundle is full", name)
		return nil
	}
	if _, err := f.Seek(info.Size()-n, io.SeekStart); err != nil {
		b.say("%s: %v", name, err)
		return nil
	}
	if n < info.Size() {
		b.say("%s: the last %d of %d bytes", name, n, info.Size())
	} else {
		b.say("%s: whole", name)
	}
	return b.add("files/"+name, info.ModTime(), n, f)
}
