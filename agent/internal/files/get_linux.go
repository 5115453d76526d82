package files

import (
	"archive/zip"
	"compress/flate"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"path"
	"time"
	"unicode/utf8"

	"golang.org/x/sys/unix"

	"handrail/signaling"
	"handrail/signaling/file"
	"handrail/signaling/tool"
)

// The window of a get, in blocks: what may be on its way to the viewer. It is as small as keeps the
// line busy, for what stands in a queue delays keys and pictures.
const (
	leastWindow = 16 // under this a busy machine would be taken for a queue, and waited for
	firstWindow = 16
	// queueing is how much longer than at its best a block may take before the window shrinks.
	queueing = 40 * time.Millisecond
)

// window says how much of a file may be on its way. Not safe for concurrent use.
type window struct {
	blocks float64
	best   time.Duration // the least a block took to be acknowledged
	since  time.Time     // best is of the time since
	sent   []stamp       // on their way, in order
}

type stamp struct {
	end int64 // offset behind the block
	at  time.Time
}

// bestFor is how long a best time counts: a way may get longer or shorter.
const bestFor = 10 * time.Second

func (w *window) full() bool { return len(w.sent) >= int(w.blocks) }

func (w *window) send(end int64, now time.Time) { w.sent = append(w.sent, stamp{end, now}) }

// ack takes blocks off, and makes the window larger or smaller by how long the last of them took.
func (w *window) ack(offset int64, now time.Time) {
	n := 0
	for n < len(w.sent) && w.sent[n].end <= offset {
		n++
	}
	if n == 0 {
		return
	}
	took := now.Sub(w.sent[n-1].at)
	w.sent = append(w.sent[:0], w.sent[n:]...)
	if w.since.IsZero() {
		w.since = now
	}
	if now.Sub(w.since) > bestFor { // what was best may have waited in a queue of ours: with little on its way it shows
		w.blocks, w.best, w.since = leastWindow, 0, now
		return
	}
	if w.best == 0 || took < w.best {
		w.best = took
	}
	if took < w.best+queueing {
		w.blocks = min(w.blocks+float64(n)/2, file.MaxWindow)
	} else {
		w.blocks = max(w.blocks*0.9, leastWindow)
	}
}

// sender sends content in blocks, within a window, and takes its sum.
type sender struct {
	*job
	window window
	offset int64
	sum    hash.Hash
	frame  []byte
}

func (j *job) sender(offset int64) *sender {
	return &sender{job: j, window: window{blocks: firstWindow}, offset: offset, sum: sha256.New()}
}

// Write sends what an archive consists of.
func (s *sender) Write(b []byte) (int, error) {
	for at := 0; at < len(b); at += file.MaxBlock {
		if err := s.block(b[at:min(at+file.MaxBlock, len(b))]); err != nil {
			return at, err
		}
	}
	return len(b), nil
}

// block sends one block, once there is room.
func (s *sender) block(data []byte) error {
	for s.window.full() {
		if err := s.await(); err != nil {
			return err
		}
	}
	for more := true; more; { // without waiting: what has been acknowledged since
		select {
		case m := <-s.in:
			s.take(m)
		default:
			more = false
		}
	}
	s.sum.Write(data)
	frame, err := file.Block{Job: s.id, Offset: s.offset, Data: data}.Append(s.frame[:0])
	if err != nil {
		return err
	}
	s.offset += int64(len(data))
	s.window.send(s.offset, time.Now())
	return s.conn.Send(s.ctx, tool.Message{Data: frame})
}

func (s *sender) await() error {
	select {
	case m := <-s.in:
		s.take(m)
		return nil
	case <-s.ctx.Done():
		return s.ctx.Err()
	}
}

func (s *sender) take(m any) {
	if a, ok := m.(signaling.FilesAck); ok && a.Offset <= s.offset {
		s.window.ack(a.Offset, time.Now())
	}
}

func (s *sender) hex() string { return hex.EncodeToString(s.sum.Sum(nil)) }

// get sends a file, or an archive.
func (j *job) get(g signaling.FilesGet) error {
	if len(g.Names) > 0 {
		return j.archive(g)
	}
	at := g.Path.Bytes()
	if g.Follow {
		var err error
		if at, err = j.tree.follow(at); err != nil {
			return err
		}
	}
	d, name, err := j.tree.above(at)
	if err != nil {
		return err
	}
	defer d.close()
	f, st, err := d.file(name, unix.O_RDONLY)
	if err != nil {
		return err
	}
	defer f.Close()
	size := st.Size
	if g.Version != "" && g.Version != version(&st) || g.Offset > size {
		return faultf(signaling.FaultChanged, "the file has changed since; get it from its beginning")
	}
	end := size
	if g.Limit > 0 {
		end = min(size, g.Offset+g.Limit)
	}
	s := j.sender(g.Offset)
	if g.Limit == 0 { // the sum is of the whole file, with what the viewer has already
		if err := copyN(j, s.sum, f, 0, g.Offset); err != nil {
			return err
		}
	}
	meta := signaling.FilesMeta{Job: j.id, Entry: j.describe(name, &st), Path: signaling.NameFile(at), Version: version(&st), Size: size, Offset: g.Offset}
	if err := j.tell(signaling.TypeFilesMeta, meta); err != nil {
		return err
	}
	err = s.file(f, end)
	j.conn.Note(getNote(g, path.Join(d.path, name), s, size, err))
	if err != nil {
		return err
	}
	done := signaling.FilesDone{Count: 1, Bytes: s.offset}
	if g.Limit == 0 {
		done.SHA256 = s.hex()
	}
	return j.done(done)
}

func getNote(g signaling.FilesGet, at string, s *sender, size int64, err error) string {
	switch {
	case err != nil:
		return fmt.Sprintf("download of %s stopped after %s of %s", quoted(at), sized(s.offset), sized(size))
	case g.Limit > 0:
		return fmt.Sprintf("looked into %s (%s)", quoted(at), sized(size))
	}
	return fmt.Sprintf("downloaded %s (%s, SHA-256 %s)", quoted(at), sized(size), s.hex())
}

// file sends a file up to end.
func (s *sender) file(f *os.File, end int64) error {
	buf := make([]byte, file.MaxBlock)
	for s.offset < end {
		n, err := f.ReadAt(buf[:min(int64(len(buf)), end-s.offset)], s.offset)
		if n > 0 {
			if err := s.block(buf[:n]); err != nil {
				return err
			}
			continue
		}
		if errors.Is(err, io.EOF) {
			return faultf(signaling.FaultChanged, "the file has become shorter while it was read")
		}
		return err
	}
	return nil
}

// copyN reads a part of a file; a cancelled job ends it.
func copyN(j *job, w io.Writer, f io.ReaderAt, from, to int64) error {
	buf := make([]byte, 256<<10)
	for from < to {
		if err := j.ctx.Err(); err != nil {
			return err
		}
		n, err := f.ReadAt(buf[:min(int64(len(buf)), to-from)], from)
		if n == 0 {
			if errors.Is(err, io.EOF) {
				return faultf(signaling.FaultChanged, "the file has become shorter while it was read")
			}
			return err
		}
		if _, err := w.Write(buf[:n]); err != nil {
			return err
		}
		from += int64(n)
	}
	return nil
}

// archive sends folders and files as one ZIP archive. What is not a file or a folder is left out.
func (j *job) archive(g signaling.FilesGet) error {
	d, err := j.tree.open(g.Path.Bytes())
	if err != nil {
		return err
	}
	defer d.close()
	meta := signaling.FilesMeta{
		Job: j.id, Entry: signaling.FileEntry{Name: signaling.FileName{Text: "archive.zip"}, Kind: signaling.FileRegular}, Path: g.Path, Size: -1,
	}
	if err := j.tell(signaling.TypeFilesMeta, meta); err != nil {
		return err
	}
	s := j.sender(0)
	z := &archive{sweep: sweep{job: j, told: time.Now()}, zip: zip.NewWriter(s)}
	z.zip.RegisterCompressor(zip.Deflate, func(w io.Writer) (io.WriteCloser, error) { return flate.NewWriter(w, flate.BestSpeed) })
	for _, n := range g.Names {
		if !isName(n.Bytes()) {
			return errName
		}
		if err = z.add(d, n.Bytes(), "", 0); err != nil {
			break
		}
	}
	if err == nil {
		err = z.zip.Close()
	}
	note := fmt.Sprintf("downloaded %s of %s as an archive (%s, SHA-256 %s)", counted(z.count), quoted(d.path), sized(s.offset), s.hex())
	if z.failed > 0 {
		note += fmt.Sprintf("; %s could not be read", counted(z.failed))
	}
	if err != nil {
		note = fmt.Sprintf("download of %s of %s as an archive stopped after %s", counted(int64(len(g.Names))), quoted(d.path), sized(s.offset))
	}
	j.conn.Note(note)
	if err != nil {
		return err
	}
	return j.done(signaling.FilesDone{Count: z.count, Bytes: s.offset, SHA256: s.hex()})
}

// archive is a ZIP archive that is being sent.
type archive struct {
	sweep
	zip *zip.Writer
}

func (z *archive) add(d dir, name, within string, depth int) error {
	st, err := d.look(name)
	if err != nil {
		return z.missed(path.Join(d.path, name), err)
	}
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFDIR:
		return z.folder(d, name, within, &st, depth)
	case unix.S_IFREG:
		return z.file(d, name, within)
	}
	return nil // as the package says
}

func (z *archive) header(name string, st *unix.Stat_t) *zip.FileHeader {
	h := &zip.FileHeader{Name: name, Modified: time.Unix(0, st.Mtim.Nano()), Method: zip.Deflate, NonUTF8: !utf8.ValidString(name)}
	h.SetMode(fileMode(st.Mode & 0o777))
	return h
}

func (z *archive) folder(d dir, name, within string, st *unix.Stat_t, depth int) error {
	at := path.Join(d.path, name)
	if depth > maxDepth {
		return z.missed(at, errDeep)
	}
	fd, err := unix.Openat(d.fd, name, walkFlags, 0)
	if err != nil {
		return z.missed(at, err)
	}
	in := dir{fd, at}
	defer in.close()
	h := z.header(within+name+"/", st)
	h.Method = zip.Store
	if _, err := z.zip.CreateHeader(h); err != nil {
		return err
	}
	if err := z.did(0); err != nil {
		return err
	}
	return z.each(in, func(child string, _ *unix.Stat_t) error { return z.add(in, child, within+name+"/", depth+1) }, false)
}

func (z *archive) file(d dir, name, within string) error {
	f, st, err := d.file(name, unix.O_RDONLY)
	if err != nil {
		return z.missed(path.Join(d.path, name), err)
	}
	defer f.Close()
	w, err := z.zip.CreateHeader(z.header(within+name, &st))
	if err != nil {
		return err
	}
	if err := copyN(z.job, w, f, 0, st.Size); err != nil {
		return err // the archive says already how the file begins
	}
	return z.did(st.Size)
}
