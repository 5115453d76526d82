package screen

import (
	"errors"
	"fmt"
	"image"
	"log/slog"
	"os"
	"strings"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"handrail/agent/internal/x11"
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

	coreGetGeometry     = 14
	coreGetImage        = 73
	coreConfigureNotify = 22
)

// zPixmap is the image format with whole pixels side by side.
const zPixmap = 2

// x11Source reads an X server through XDamage and MIT-SHM.
type x11Source struct {
	c      *x11.Conn
	log    *slog.Logger
	local  bool // the server is on this machine and may share memory
	layout Layout
	first  bool // nothing was taken yet: the whole desktop is damaged

	fixes, damage, randr, shm x11.Extension
	hasRandr, hasShm          bool
	damageID, region          uint32

	layoutDirty atomic.Bool
	changed     chan struct{} // capacity 1

	seg    uint32 // 0: no shared memory, images come over the socket
	segPix []byte
	merge  merger
}

// openFast connects to an X server. It returns ErrNoDisplay when there is none, and an
// error that is errors.ErrUnsupported when it lacks what the fast path needs.
func openFast(cfg Config, log *slog.Logger) (Source, error) {
	display := cfg.Display
	if display == "" {
		display = os.Getenv("DISPLAY")
	}
	c, err := x11.Dial(display)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNoDisplay, err)
	}
	s := &x11Source{
		c: c, log: log, first: true, changed: make(chan struct{}, 1),
		local: strings.HasPrefix(display, ":") || strings.HasPrefix(display, "unix:"),
	}
	if err := s.setUp(); err != nil {
		s.Close()
		return nil, err
	}
	go s.listen()
	return s, nil
}

// call asks the server something.
func (s *x11Source) call(r *x11.Request) ([]byte, error) {
	b, err := s.c.Call(r.Bytes())
	return b, lost(err)
}

// lost makes of the end of a connection the error that callers know.
func lost(err error) error {
	if errors.Is(err, x11.ErrClosed) {
		return fmt.Errorf("%w: %w", ErrLost, err)
	}
	return err
}

// extension looks for an extension and tells the server which version we speak, without
// which some refuse.
func (s *x11Source) extension(name string, query byte, version ...uint32) (x11.Extension, error) {
	ext, err := s.c.Extension(name)
	if err != nil {
		return ext, lost(err)
	}
	_, err = s.call(x11.NewRequest(ext.Major, query).U32(version...))
	return ext, err
}

func (s *x11Source) setUp() error {
	var err error
	if s.fixes, err = s.extension("XFIXES", fixesQueryVersion, 5, 0); err == nil {
		s.damage, err = s.extension("DAMAGE", damageQueryVersion, 1, 1)
	}
	if errors.Is(err, x11.ErrMissing) {
		return fmt.Errorf("%w: %w", errors.ErrUnsupported, err)
	}
	if err != nil {
		return err
	}
	for _, e := range []struct {
		ext     *x11.Extension
		has     *bool
		name    string
		query   byte
		version []uint32
	}{
		{&s.randr, &s.hasRandr, "RANDR", randrQueryVersion, []uint32{1, 5}},
		{&s.shm, &s.hasShm, "MIT-SHM", shmQueryVersion, nil},
	} {
		*e.ext, err = s.extension(e.name, e.query, e.version...)
		if err != nil && !errors.Is(err, x11.ErrMissing) {
			return err
		}
		*e.has = err == nil
	}
	if err := s.watch(); err != nil {
		return lost(err)
	}
	if s.layout, err = s.readLayout(); err != nil {
		return err
	}
	return s.mapShared()
}

// watch asks the server for the events that make Changed speak.
func (s *x11Source) watch() error {
	s.damageID, s.region = s.c.NewID(), s.c.NewID()
	if err := s.c.SelectRoot(x11.StructureNotify); err != nil {
		return err
	}
	if s.hasRandr {
		if err := s.c.Check(x11.NewRequest(s.randr.Major, randrSelectInput).U32(s.c.Root).U16(1|2|4, 0).Bytes()); err != nil {
			return err
		}
	}
	if err := s.c.Check(x11.NewRequest(s.fixes.Major, fixesCreateRegion).U32(s.region).Bytes()); err != nil {
		return err
	}
	return s.c.Check(x11.NewRequest(s.damage.Major, damageCreate).U32(s.damageID, s.c.Root, damageLevelNonEmpty).Bytes())
}

// listen turns events into what Changed says, until the connection ends.
func (s *x11Source) listen() {
	for ev := range s.c.Events() {
		switch kind := ev[0] & 0x7f; {
		case kind == s.damage.FirstEvent:
		case kind == coreConfigureNotify, s.hasRandr && (kind == s.randr.FirstEvent || kind == s.randr.FirstEvent+1):
			s.layoutDirty.Store(true)
		default:
			continue
		}
		s.signal()
	}
	s.signal()
}

// signal makes Changed speak, without waiting.
func (s *x11Source) signal() {
	select {
	case s.changed <- struct{}{}:
	default:
	}
}

func (s *x11Source) readLayout() (Layout, error) {
	geo, err := s.call(x11.NewRequest(coreGetGeometry, 0).U32(s.c.Root))
	if err != nil {
		return Layout{}, err
	}
	if depth := geo[1]; depth != 24 && depth != 32 {
		return Layout{}, fmt.Errorf("display with %d bits a pixel: %w", depth, errors.ErrUnsupported)
	}
	l := Layout{Desktop: image.Rect(0, 0, int(x11.Get16(geo, 16)), int(x11.Get16(geo, 18)))}
	if !s.hasRandr {
		l.Monitors = []Monitor{{Name: "screen", Rect: l.Desktop, Primary: true}}
		return l, nil
	}
	b, err := s.call(x11.NewRequest(s.randr.Major, randrGetMonitors).U32(s.c.Root).U8(1, 0, 0, 0))
	if err != nil {
		return Layout{}, err
	}
	for n := x11.Get32(b, 12); n > 0; n-- {
		// 4B name, 1B primary, 1B automatic, 2B outputs, 2B x, y, width, height, 4B mm wide, high,
		// 4B each output; after 32 bytes of reply the first time.
		const header, fixed = 32, 24
		if len(b) < header+fixed {
			break
		}
		m := b[header:]
		x, y := int(int16(x11.Get16(m, 8))), int(int16(x11.Get16(m, 10)))
		r := image.Rect(x, y, x+int(x11.Get16(m, 12)), y+int(x11.Get16(m, 14))).Intersect(l.Desktop)
		if !r.Empty() {
			name, err := s.c.AtomName(x11.Get32(m, 0))
			if err != nil {
				return Layout{}, lost(err)
			}
			l.Monitors = append(l.Monitors, Monitor{Name: name, Rect: r, Primary: m[4] != 0})
		}
		b = b[min(len(b), fixed+4*int(x11.Get16(m, 6))):]
	}
	return l, nil
}

// mapShared makes shared memory that holds one whole desktop. Without it (a display on
// another machine, or no MIT-SHM) images come over the socket.
func (s *x11Source) mapShared() error {
	s.unmapShared()
	if !s.hasShm || !s.local {
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
	seg := s.c.NewID()
	if err := s.c.Check(x11.NewRequest(s.shm.Major, shmAttach).U32(seg, uint32(id), 0).Bytes()); err != nil {
		_ = unix.SysvShmDetach(pix)
		if errors.Is(err, x11.ErrClosed) {
			return lost(err)
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
	_ = s.c.Send(x11.NewRequest(s.shm.Major, shmDetach).U32(s.seg).Bytes(), 1)
	_ = unix.SysvShmDetach(s.segPix)
	s.seg, s.segPix = 0, nil
}

func (s *x11Source) Layout() Layout           { return s.layout }
func (s *x11Source) Changed() <-chan struct{} { return s.changed }

func (s *x11Source) Take(damage []image.Rectangle) ([]image.Rectangle, error) {
	if s.layoutDirty.Swap(false) {
		if err := s.relayout(); err != nil {
			return damage, err
		}
	}
	region := s.region
	if s.first {
		region = 0 // None: what it was does not matter
	}
	if err := s.c.Send(x11.NewRequest(s.damage.Major, damageSubtract).U32(s.damageID, 0, region).Bytes(), 1); err != nil {
		return damage, lost(err)
	}
	if s.first {
		s.first = false
		return append(damage, s.layout.Desktop), nil
	}
	b, err := s.call(x11.NewRequest(s.fixes.Major, fixesFetchRegion).U32(s.region))
	if err != nil {
		return damage, err
	}
	s.merge.reset(s.layout.Desktop)
	for b = b[32:]; len(b) >= 8; b = b[8:] {
		x, y := int(int16(x11.Get16(b, 0))), int(int16(x11.Get16(b, 2)))
		s.merge.add(image.Rect(x, y, x+int(x11.Get16(b, 4)), y+int(x11.Get16(b, 6))))
	}
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
	s.signal() // there is a whole desktop to take
	return ErrLayoutChanged
}

func (s *x11Source) Grab(rects []image.Rectangle, into func(image.Rectangle, Pixels)) error {
	for _, r := range rects {
		if r.Empty() {
			continue
		}
		if !r.In(s.layout.Desktop) {
			return fmt.Errorf("grab %v outside of desktop %v", r, s.layout.Desktop)
		}
		if s.seg == 0 {
			if err := s.grabSocket(r, into); err != nil {
				return err
			}
			continue
		}
		if _, err := s.call(x11.NewRequest(s.shm.Major, shmGetImage).U32(s.c.Root).
			U16(uint16(r.Min.X), uint16(r.Min.Y), uint16(r.Dx()), uint16(r.Dy())).
			U32(^uint32(0)).U8(zPixmap, 0, 0, 0).U32(s.seg, 0)); err != nil {
			return s.grabError(err)
		}
		into(r, Pixels{Pix: s.segPix[:r.Dx()*r.Dy()*4], Stride: r.Dx() * 4})
	}
	return nil
}

// grabSocket reads an image over the connection itself, a strip at a time.
func (s *x11Source) grabSocket(r image.Rectangle, into func(image.Rectangle, Pixels)) error {
	const stripBytes = 1 << 20
	rows := max(2, stripBytes/(r.Dx()*4)) &^ 1
	for y := r.Min.Y; y < r.Max.Y; y += rows {
		strip := image.Rect(r.Min.X, y, r.Max.X, min(y+rows, r.Max.Y))
		b, err := s.call(x11.NewRequest(coreGetImage, zPixmap).U32(s.c.Root).
			U16(uint16(strip.Min.X), uint16(strip.Min.Y), uint16(strip.Dx()), uint16(strip.Dy())).U32(^uint32(0)))
		if err != nil {
			return s.grabError(err)
		}
		if len(b)-32 < strip.Dx()*strip.Dy()*4 {
			return fmt.Errorf("display sent %d bytes for %v", len(b)-32, strip)
		}
		into(strip, Pixels{Pix: b[32:], Stride: strip.Dx() * 4})
	}
	return nil
}

// grabError makes of an X error, which here means that the desktop shrank under the
// request, the error that callers know.
func (s *x11Source) grabError(err error) error {
	var xerr *x11.ProtocolError
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
	s.c.Close()
	return nil
}
