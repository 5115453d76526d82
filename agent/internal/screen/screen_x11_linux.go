package screen

import (
	"encoding/binary"
	"errors"
	"fmt"
	"image"
	"log/slog"

	"golang.org/x/sys/unix"
)

// Requests used of each extension, by their minor opcode in the protocol documents.
const (
	shmQueryVersion = 0
	shmAttach       = 1
	shmDetach       = 2
	shmGetImage     = 4

	fixesQueryVersion = 0
	fixesCreateRegion = 5
	fixesFetchRegion  = 19

	damageQueryVersion  = 0
	damageCreate        = 1
	damageSubtract      = 3
	damageLevelNonEmpty = 3

	randrQueryVersion = 0
	randrSelectInput  = 4
	randrGetMonitors  = 42
)

// zPixmap is the image format with whole pixels side by side.
const zPixmap = 2

// maxTakeRects bounds what Take reports one by one; more is merged into rows, because
// each rectangle costs a request.
const maxTakeRects = 8

// x11Source reads an X server through XDamage and MIT-SHM.
type x11Source struct {
	c      *xconn
	log    *slog.Logger
	layout Layout
	first  bool // nothing was taken yet: the whole desktop is damaged

	fixes, damage, randr, shm xext
	damageID, region          uint32

	seg    uint32 // 0: no shared memory, images come over the socket
	segPix []byte
	seqs   []uint16
	offs   []int
	merge  merger
}

// openFast connects to an X server. It returns ErrNoDisplay when there is none, and an
// error that is errors.ErrUnsupported when it lacks what the fast path needs.
func openFast(cfg Config, log *slog.Logger) (Source, error) {
	c, err := dialX(cfg.Display, cfg.Timeout)
	if err != nil {
		return nil, err
	}
	s := &x11Source{c: c, log: log, first: true}
	if err := s.setUp(); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

func (s *x11Source) setUp() error {
	if s.c.depth != 24 && s.c.depth != 32 || s.c.bitsPerPixel != 32 || s.c.bigEndian {
		return fmt.Errorf("display with depth %d at %d bits a pixel: %w", s.c.depth, s.c.bitsPerPixel, errors.ErrUnsupported)
	}
	for _, e := range []struct {
		ext           *xext
		name          string
		minor         byte
		major, minor2 uint32
		needed        bool
	}{
		{&s.fixes, "XFIXES", fixesQueryVersion, 5, 0, true},
		{&s.damage, "DAMAGE", damageQueryVersion, 1, 1, true},
		{&s.randr, "RANDR", randrQueryVersion, 1, 5, false},
		{&s.shm, "MIT-SHM", shmQueryVersion, 0, 0, false},
	} {
		ext, err := s.c.queryExtension(e.name)
		if err != nil {
			return err
		}
		if !ext.present {
			if e.needed {
				return fmt.Errorf("display without %s: %w", e.name, errors.ErrUnsupported)
			}
			continue
		}
		*e.ext = ext
		r := s.c.request(ext.opcode, e.minor)
		if e.name != "MIT-SHM" {
			r = r.u32(e.major).u32(e.minor2)
		}
		if _, err := s.c.ask(r); err != nil {
			return err
		}
	}
	if err := s.watch(); err != nil {
		return err
	}
	layout, err := s.readLayout()
	if err != nil {
		return err
	}
	s.layout = layout
	return s.mapShared()
}

// watch asks the server for the events that make Changed speak.
func (s *x11Source) watch() error {
	const structureNotify, cwEventMask = 1 << 17, 1 << 11
	s.damageID, s.region = s.c.newID(), s.c.newID()
	if s.damage.present {
		s.c.events[s.damage.firstEvent] = eventDamage
	}
	if s.randr.present {
		s.c.events[s.randr.firstEvent] = eventLayout
		s.c.events[s.randr.firstEvent+1] = eventLayout
		s.c.send(s.c.request(s.randr.opcode, randrSelectInput).u32(s.c.root).u16(1 | 2 | 4).u16(0))
	}
	s.c.events[xConfigureNotify] = eventLayout
	s.c.send(s.c.request(xChangeWindowAttributes, 0).u32(s.c.root).u32(cwEventMask).u32(structureNotify))
	s.c.send(s.c.request(s.fixes.opcode, fixesCreateRegion).u32(s.region))
	s.c.send(s.c.request(s.damage.opcode, damageCreate).u32(s.damageID).u32(s.c.root).u32(damageLevelNonEmpty))
	return s.c.sync()
}

func (s *x11Source) readLayout() (Layout, error) {
	r, err := s.c.ask(s.c.request(xGetGeometry, 0).u32(s.c.root))
	if err != nil {
		return Layout{}, err
	}
	w, h := int(binary.LittleEndian.Uint16(r.head[16:])), int(binary.LittleEndian.Uint16(r.head[18:]))
	l := Layout{Desktop: image.Rect(0, 0, w, h)}
	if !s.randr.present {
		l.Monitors = []Monitor{{Name: "screen", Rect: l.Desktop, Primary: true}}
		return l, nil
	}
	r, err = s.c.ask(s.c.request(s.randr.opcode, randrGetMonitors).u32(s.c.root).u32(1))
	if err != nil {
		return Layout{}, err
	}
	type named struct {
		atom uint32
		Monitor
	}
	var found []named
	for n, b := binary.LittleEndian.Uint32(r.head[12:]), r.body; n > 0 && len(b) >= 24; n-- {
		le := binary.LittleEndian
		x, y := int(int16(le.Uint16(b[8:]))), int(int16(le.Uint16(b[10:])))
		m := Monitor{Rect: image.Rect(x, y, x+int(le.Uint16(b[12:])), y+int(le.Uint16(b[14:]))), Primary: b[4] != 0}
		m.Rect = m.Rect.Intersect(l.Desktop)
		if !m.Rect.Empty() {
			found = append(found, named{le.Uint32(b), m})
		}
		b = b[min(len(b), 24+4*int(le.Uint16(b[6:]))):]
	}
	for _, f := range found {
		if f.Name, err = s.c.atomName(f.atom); err != nil {
			return Layout{}, err
		}
		l.Monitors = append(l.Monitors, f.Monitor)
	}
	return l, nil
}

// mapShared makes shared memory that holds one whole desktop. Without it (a display on
// another machine, or no MIT-SHM) images come over the socket.
func (s *x11Source) mapShared() error {
	s.unmapShared()
	if !s.shm.present || !s.c.local {
		return nil
	}
	size := s.layout.Desktop.Dx() * s.layout.Desktop.Dy() * 4
	id, err := unix.SysvShmGet(unix.IPC_PRIVATE, size, unix.IPC_CREAT|unix.IPC_EXCL|0o600)
	if err != nil {
		s.log.Warn("shared memory refused, reading the screen over the socket", "bytes", size, "error", err.Error())
		return nil
	}
	// Marked for removal at once, so that it cannot outlive us; the server may still
	// attach it by id while we hold it.
	defer func() { _, _ = unix.SysvShmCtl(id, unix.IPC_RMID, nil) }()
	pix, err := unix.SysvShmAttach(id, 0, 0)
	if err != nil {
		return fmt.Errorf("attach %d bytes of shared memory: %w", size, err)
	}
	seg := s.c.newID()
	s.c.send(s.c.request(s.shm.opcode, shmAttach).u32(seg).u32(uint32(id)).u32(0))
	if err := s.c.sync(); err != nil {
		_ = unix.SysvShmDetach(pix)
		if errors.Is(err, ErrLost) {
			return err
		}
		s.log.Warn("display refused shared memory, reading the screen over the socket", "error", err.Error())
		return nil
	}
	s.seg, s.segPix = seg, pix
	return nil
}

func (s *x11Source) unmapShared() {
	if s.seg == 0 {
		return
	}
	s.c.send(s.c.request(s.shm.opcode, shmDetach).u32(s.seg))
	_ = unix.SysvShmDetach(s.segPix)
	s.seg, s.segPix = 0, nil
}

func (s *x11Source) Layout() Layout           { return s.layout }
func (s *x11Source) Changed() <-chan struct{} { return s.c.changed }

func (s *x11Source) Take(damage []image.Rectangle) ([]image.Rectangle, error) {
	if s.c.layoutDirty.Swap(false) {
		if err := s.relayout(); err != nil {
			return damage, err
		}
	}
	if s.first {
		s.first = false
		s.c.send(s.c.request(s.damage.opcode, damageSubtract).u32(s.damageID).u32(0).u32(0))
		if err := s.c.flush(); err != nil {
			return damage, err
		}
		return append(damage, s.layout.Desktop), nil
	}
	s.c.send(s.c.request(s.damage.opcode, damageSubtract).u32(s.damageID).u32(0).u32(s.region))
	r, err := s.c.ask(s.c.request(s.fixes.opcode, fixesFetchRegion).u32(s.region))
	if err != nil {
		return damage, err
	}
	s.merge.reset(s.layout.Desktop)
	for b := r.body; len(b) >= 8; b = b[8:] {
		x, y := int(int16(binary.LittleEndian.Uint16(b))), int(int16(binary.LittleEndian.Uint16(b[2:])))
		s.merge.add(image.Rect(x, y, x+int(binary.LittleEndian.Uint16(b[4:])), y+int(binary.LittleEndian.Uint16(b[6:]))))
	}
	s.c.release(r)
	return s.merge.appendTo(damage, maxTakeRects), nil
}

// relayout reads the layout again and says ErrLayoutChanged if it differs.
func (s *x11Source) relayout() error {
	l, err := s.readLayout()
	if err != nil {
		return err
	}
	if l.Equal(s.layout) {
		return nil
	}
	resized := l.Desktop != s.layout.Desktop
	s.layout, s.first = l, true
	if resized {
		if err := s.mapShared(); err != nil {
			return err
		}
	}
	s.c.signal() // there is a whole desktop to take
	return ErrLayoutChanged
}

func (s *x11Source) Grab(rects []image.Rectangle, into func(image.Rectangle, Pixels)) error {
	if s.seg == 0 {
		return s.grabSocket(rects, into)
	}
	s.seqs, s.offs = s.seqs[:0], s.offs[:0]
	off := 0
	next := 0
	for i, r := range rects {
		if r.Empty() {
			r = image.Rectangle{}
		}
		size := r.Dx() * r.Dy() * 4
		if off+size > len(s.segPix) { // overlapping rectangles: read what is there first
			if err := s.collect(rects[next:i], into); err != nil {
				return err
			}
			next, off = i, 0
			s.seqs, s.offs = s.seqs[:0], s.offs[:0]
		}
		if size > len(s.segPix) || !r.In(s.layout.Desktop) {
			return fmt.Errorf("grab %v outside of desktop %v", r, s.layout.Desktop)
		}
		s.offs = append(s.offs, off)
		if size == 0 {
			s.seqs = append(s.seqs, 0)
			continue
		}
		s.seqs = append(s.seqs, s.c.send(s.c.request(s.shm.opcode, shmGetImage).u32(s.c.root).
			u16(uint16(r.Min.X)).u16(uint16(r.Min.Y)).u16(uint16(r.Dx())).u16(uint16(r.Dy())).
			u32(^uint32(0)).u32(zPixmap).u32(s.seg).u32(uint32(off))))
		off += size
	}
	return s.collect(rects[next:], into)
}

// collect waits for the images asked for and hands them on.
func (s *x11Source) collect(rects []image.Rectangle, into func(image.Rectangle, Pixels)) error {
	if err := s.c.flush(); err != nil {
		return err
	}
	var failed error
	for i, r := range rects {
		if r.Empty() {
			continue
		}
		reply, err := s.c.wait(s.seqs[i])
		if err != nil {
			if errors.Is(err, ErrLost) {
				return err
			}
			failed = err // the rest must still be read off the connection
			continue
		}
		s.c.release(reply)
		if failed == nil {
			into(r, Pixels{Pix: s.segPix[s.offs[i] : s.offs[i]+r.Dx()*r.Dy()*4], Stride: r.Dx() * 4})
		}
	}
	return s.grabError(failed)
}

// grabSocket reads the images over the connection itself, a strip at a time.
func (s *x11Source) grabSocket(rects []image.Rectangle, into func(image.Rectangle, Pixels)) error {
	const stripBytes = 1 << 20
	for _, r := range rects {
		if r.Empty() {
			continue
		}
		rows := max(2, stripBytes/(r.Dx()*4)) &^ 1
		for y := r.Min.Y; y < r.Max.Y; y += rows {
			strip := image.Rect(r.Min.X, y, r.Max.X, min(y+rows, r.Max.Y))
			reply, err := s.c.ask(s.c.request(xGetImage, zPixmap).u32(s.c.root).
				u16(uint16(strip.Min.X)).u16(uint16(strip.Min.Y)).u16(uint16(strip.Dx())).u16(uint16(strip.Dy())).u32(^uint32(0)))
			if err != nil {
				return s.grabError(err)
			}
			if len(reply.body) < strip.Dx()*strip.Dy()*4 {
				return fmt.Errorf("display sent %d bytes for %v", len(reply.body), strip)
			}
			into(strip, Pixels{Pix: reply.body, Stride: strip.Dx() * 4})
			s.c.release(reply)
		}
	}
	return nil
}

// grabError makes of an X error, which here means that the desktop shrank under the
// request, the error that callers know.
func (s *x11Source) grabError(err error) error {
	var xerr *xError
	if !errors.As(err, &xerr) {
		return err
	}
	if lerr := s.relayout(); lerr != nil {
		return lerr
	}
	return fmt.Errorf("grab: %w", err)
}

func (s *x11Source) Close() error {
	if s.seg != 0 {
		_ = unix.SysvShmDetach(s.segPix)
		s.seg, s.segPix = 0, nil
	}
	return s.c.close()
}
