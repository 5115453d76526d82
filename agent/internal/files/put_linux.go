package files

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"os"
	"path"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"handrail/signaling"
	"handrail/signaling/file"
)

const (
	// ackEvery is how much is written between two acknowledgements.
	ackEvery = 4 * file.MaxBlock
	// lockWithin is how long a put waits for the one before it, whose channel may not know yet that it is gone.
	lockWithin = 20 * time.Second
	// mostKept is how many names "name (2)" are tried.
	mostKept = 1000
)

// partName is the hidden file that a put writes to. It is the same for the same put: that is how one
// goes on after a cut, whoever was cut.
func partName(p signaling.FilesPut) string {
	h := sha256.New()
	fmt.Fprintf(h, "%q %d %d", p.Name.Bytes(), p.Size, p.ModifiedMS)
	return ".handrail-" + hex.EncodeToString(h.Sum(nil)[:10]) + ".part"
}

// put is a file that is being written.
type put struct {
	*job
	req  signaling.FilesPut
	d    dir
	name string       // to be
	old  *unix.Stat_t // what is replaced; nil where nothing is
	part string       // name of the hidden file
	f    *os.File     // the hidden file
	sum  hash.Hash    // of what is written
	at   int64        // bytes written
	last int64        // of them acknowledged
	end  string       // the sum that the viewer says
}

// put writes a file.
func (j *job) put(req signaling.FilesPut) error {
	name := req.Name.Bytes()
	if !isName(name) {
		return errName
	}
	d, err := j.tree.open(req.Folder.Bytes())
	if err != nil {
		return err
	}
	defer d.close()
	p := &put{job: j, req: req, d: d, name: name, part: partName(req), sum: sha256.New()}
	if err := p.conflict(); err != nil {
		return err
	}
	if err := p.open(); err != nil {
		return p.failed(err)
	}
	defer p.f.Close()
	begun := p.at
	if err := p.tell(signaling.TypeFilesReady, signaling.FilesReady{Job: p.id, Offset: p.at}); err != nil {
		return p.stopped(err)
	}
	if err := p.receive(); err != nil {
		return p.stopped(err)
	}
	e, err := p.finish()
	if err != nil {
		return p.stopped(err)
	}
	sum := p.hex()
	p.conn.Note(p.note(sum, begun))
	return p.done(signaling.FilesDone{Count: 1, Bytes: p.at, SHA256: sum, Entry: &e})
}

func (p *put) hex() string { return hex.EncodeToString(p.sum.Sum(nil)) }

func (p *put) note(sum string, begun int64) string {
	what := "uploaded"
	switch {
	case p.old != nil && p.req.Version != "":
		what = "edited"
	case p.old != nil:
		what = "uploaded, in place of the one before,"
	}
	note := fmt.Sprintf("%s %s (%s, SHA-256 %s)", what, quoted(path.Join(p.d.path, p.name)), sized(p.at), sum)
	if p.old != nil {
		note += ", before " + sized(p.old.Size)
	}
	if begun > 0 {
		note += ", resumed at " + sized(begun)
	}
	return note
}

// conflict looks at what has the name already.
func (p *put) conflict() error {
	st, err := p.d.look(p.name)
	if errors.Is(err, unix.ENOENT) {
		if p.req.Version != "" {
			return faultf(signaling.FaultChanged, "the file is gone; save it under its name again, as a new one, or leave it")
		}
		return nil
	}
	if err != nil {
		return err
	}
	e, err := p.entry(p.d, p.name)
	if err != nil {
		return err
	}
	switch {
	case p.req.Conflict == signaling.ConflictKeep:
		return nil // finish finds another name
	case st.Mode&unix.S_IFMT != unix.S_IFREG:
		return &fault{code: signaling.FaultKind, words: "something that is not a file has that name; it is not replaced", entry: &e}
	case p.req.Conflict == signaling.ConflictAsk:
		return &fault{code: signaling.FaultExists, words: "a file of that name is there already", entry: &e}
	case p.req.Version != "" && p.req.Version != version(&st):
		return &fault{code: signaling.FaultChanged, words: "the file has changed since it was opened", entry: &e}
	case unix.Faccessat(p.d.fd, p.name, unix.W_OK, unix.AT_EACCESS) != nil:
		return faultf(signaling.FaultDenied, "this user may not write that file")
	case !isRoot() && int(st.Uid) != os.Geteuid():
		return faultf(signaling.FaultDenied, "the file belongs to %s, and would not once it is replaced", e.Owner)
	}
	p.old = &st
	return nil
}

// open opens the hidden file, and takes the sum of what is in it from before a cut.
func (p *put) open() error {
	flags := unix.O_RDWR | unix.O_CREAT | unix.O_EXCL | unix.O_NOFOLLOW | unix.O_CLOEXEC
	fd, err := unix.Openat(p.d.fd, p.part, flags, 0o600)
	switch {
	case err == nil:
		p.f = os.NewFile(uintptr(fd), p.part)
	case errors.Is(err, unix.EEXIST):
		if err := p.reopen(); err != nil {
			return err
		}
	default:
		return err
	}
	if err := p.lock(); err != nil {
		_ = p.f.Close()
		return err
	}
	if err := p.resume(); err != nil {
		_ = p.f.Close()
		return err
	}
	if _, free := p.d.space(); free < p.req.Size-p.at {
		_ = p.f.Close()
		if p.at == 0 {
			p.drop()
		}
		return unix.ENOSPC
	}
	return nil
}

func (p *put) reopen() error {
	f, st, err := p.d.file(p.part, unix.O_RDWR)
	if err != nil {
		return err
	}
	if int(st.Uid) != os.Geteuid() || st.Nlink != 1 { // somebody put it there for us to write to
		_ = f.Close()
		return faultf(signaling.FaultDenied, "the file for what has not come yet, %s, belongs to somebody else; delete it first", p.part)
	}
	p.f = f
	return nil
}

// lock keeps two channels from writing the same file. The one before may not know yet that its
// viewer is gone.
func (p *put) lock() error {
	until := time.Now().Add(lockWithin)
	for {
		err := unix.Flock(int(p.f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil || !errors.Is(err, unix.EWOULDBLOCK) {
			return err
		}
		if time.Now().After(until) {
			return faultf(signaling.FaultFailed, "the same file is being uploaded already")
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-p.ctx.Done():
			return p.ctx.Err()
		}
	}
}

func (p *put) resume() error {
	var st unix.Stat_t
	if err := unix.Fstat(int(p.f.Fd()), &st); err != nil {
		return err
	}
	named, err := p.d.look(p.part)
	if err != nil || named.Ino != st.Ino {
		return faultf(signaling.FaultFailed, "the same upload has just ended; try again")
	}
	if p.req.Fresh || st.Size > p.req.Size {
		return p.f.Truncate(0)
	}
	if err := copyN(p.job, p.sum, p.f, 0, st.Size); err != nil {
		return err
	}
	p.at, p.last = st.Size, st.Size
	return nil
}

// receive writes blocks until the viewer says that there are no more.
func (p *put) receive() error {
	for {
		var m any
		select {
		case m = <-p.in:
		case <-p.ctx.Done():
			return p.ctx.Err()
		}
		switch m := m.(type) {
		case file.Block:
			if m.Offset != p.at || p.at+int64(len(m.Data)) > p.req.Size {
				return faultf(signaling.FaultSum, "a block came that does not follow the one before")
			}
			n, err := p.f.WriteAt(m.Data, p.at)
			p.sum.Write(m.Data[:n])
			p.at += int64(n)
			if err != nil {
				return err
			}
			if p.at-p.last < ackEvery && p.at < p.req.Size {
				continue
			}
			p.last = p.at
			if err := p.tell(signaling.TypeFilesAck, signaling.FilesAck{Job: p.id, Offset: p.at}); err != nil {
				return err
			}
		case signaling.FilesEnd:
			p.end = strings.ToLower(m.SHA256)
			return nil
		}
	}
}

// finish checks the sum and gives the file its name.
func (p *put) finish() (signaling.FileEntry, error) {
	var none signaling.FileEntry
	if p.at != p.req.Size || p.hex() != p.end {
		p.drop()
		p.at = 0
		return none, faultf(signaling.FaultSum, "what came is not what was sent (SHA-256 differs); nothing of it was kept. Try again")
	}
	if err := p.dress(); err != nil {
		return none, err
	}
	if err := p.f.Sync(); err != nil {
		return none, err
	}
	var err error
	switch {
	case p.old != nil:
		err = p.replace()
	case p.req.Conflict == signaling.ConflictKeep:
		err = p.beside()
	default:
		err = unix.Renameat2(p.d.fd, p.part, p.d.fd, p.name, unix.RENAME_NOREPLACE)
	}
	if errors.Is(err, unix.EEXIST) {
		e, lerr := p.entry(p.d, p.name)
		if lerr == nil {
			return none, &fault{code: signaling.FaultExists, words: "a file of that name has come meanwhile", entry: &e}
		}
	}
	if err != nil {
		return none, err
	}
	return p.entry(p.d, p.name)
}

// dress gives the hidden file the mode, owner and time it is to have.
func (p *put) dress() error {
	fd := int(p.f.Fd())
	mode := 0o666 &^ umask()
	if p.old != nil {
		mode = p.old.Mode & 0o7777
		if err := unix.Fchown(fd, int(p.old.Uid), int(p.old.Gid)); err != nil {
			return err
		}
	}
	if err := unix.Fchmod(fd, mode); err != nil {
		return err
	}
	if p.req.ModifiedMS == 0 || p.req.Version != "" {
		return nil
	}
	at := time.UnixMilli(bounded(p.req.ModifiedMS))
	return os.Chtimes(handlePath(fd), at, at)
}

// replace puts the new file in the old one's place. The two change places first: what the old one
// was at that moment can then be looked at in peace.
func (p *put) replace() error {
	err := unix.Renameat2(p.d.fd, p.part, p.d.fd, p.name, unix.RENAME_EXCHANGE)
	if errors.Is(err, unix.EINVAL) { // a file system that does not know how
		return unix.Renameat(p.d.fd, p.part, p.d.fd, p.name)
	}
	if err != nil {
		return err
	}
	st, err := p.d.look(p.part)
	isOld := err == nil && st.Ino == p.old.Ino && (p.req.Version == "" || version(&st) == p.req.Version)
	if !isOld {
		if err := unix.Renameat2(p.d.fd, p.part, p.d.fd, p.name, unix.RENAME_EXCHANGE); err != nil {
			return err
		}
		return faultf(signaling.FaultChanged, "the file has changed meanwhile")
	}
	return unix.Unlinkat(p.d.fd, p.part, 0)
}

// beside gives the new file a name that is free: "name (2).txt".
func (p *put) beside() error {
	ext := path.Ext(p.name)
	stem := strings.TrimSuffix(p.name, ext)
	if stem == "" {
		stem, ext = p.name, ""
	}
	for n := 1; n <= mostKept; n++ {
		if n > 1 {
			number := " (" + strconv.Itoa(n) + ")"
			room := max(0, unix.NAME_MAX-len(number)-len(ext))
			p.name = stem[:min(len(stem), room)] + number + ext
			if !isName(p.name) {
				return unix.ENAMETOOLONG
			}
		}
		err := unix.Renameat2(p.d.fd, p.part, p.d.fd, p.name, unix.RENAME_NOREPLACE)
		if !errors.Is(err, unix.EEXIST) {
			return err
		}
	}
	return unix.EEXIST
}

// umask is what this process leaves out of the mode of new files.
func umask() uint32 {
	const plain = 0o022
	b, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return plain
	}
	for line := range strings.Lines(string(b)) {
		if v, ok := strings.CutPrefix(line, "Umask:"); ok {
			if m, err := strconv.ParseUint(strings.TrimSpace(v), 8, 32); err == nil {
				return uint32(m) & 0o777
			}
		}
	}
	return plain
}

func (p *put) drop() { _ = unix.Unlinkat(p.d.fd, p.part, 0) }

// stopped ends a put that has begun: what has come stays for another try, unless the viewer wants none.
func (p *put) stopped(err error) error {
	p.mu.Lock()
	unwanted := p.cancelled && !p.keep
	p.mu.Unlock()
	if unwanted {
		p.drop()
		p.at = 0
	}
	why := failed(p.id, err).Message
	p.conn.Note(fmt.Sprintf("upload of %s stopped: %s; %s of %s are kept", quoted(path.Join(p.d.path, p.name)), why, sized(p.at), sized(p.req.Size)))
	return p.failed(err)
}

// failed adds to a failure what it left.
func (p *put) failed(err error) error {
	f := failed(p.id, err)
	f.Kept = p.at
	_, f.Free = p.d.space()
	if f.Fault == signaling.FaultFull {
		f.Message = fmt.Sprintf("%s: %s more are needed, %s are free. What has come is kept: make room and try again", f.Message, sized(p.req.Size-p.at), sized(f.Free))
	}
	return &failure{f}
}
