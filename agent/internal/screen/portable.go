package screen

import (
	"bytes"
	"fmt"
	"image"
	"sync"
	"time"

	"github.com/kbinani/screenshot"
)

// portableBand is how many rows are compared at once to find what changed.
const portableBand = 32

// portableSource looks at the screen by github.com/kbinani/screenshot at a fixed pace and
// finds the damage by comparing. It is slow (46 to 75 ms for 1920x1080, measured 2026-11)
// and never quiet: for systems without a faster way.
type portableSource struct {
	layout  Layout
	pix     map[int]*image.RGBA // the last picture of each monitor, by index
	bgrx    []byte
	changed chan struct{}
	stop    chan struct{}
	once    sync.Once
	first   bool
}

// openPortable returns ErrNoDisplay when there is no monitor to look at.
func openPortable(cfg Config) (Source, error) {
	s := &portableSource{changed: make(chan struct{}, 1), stop: make(chan struct{}), pix: map[int]*image.RGBA{}, first: true}
	s.layout = s.readLayout()
	if len(s.layout.Monitors) == 0 {
		return nil, fmt.Errorf("%w: no monitor is active", ErrNoDisplay)
	}
	if _, err := screenshot.CaptureRect(s.layout.Monitors[0].Rect); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNoDisplay, err)
	}
	go s.tick(cfg.Poll)
	return s, nil
}

func (s *portableSource) tick(every time.Duration) {
	t := time.NewTicker(every)
	defer t.Stop()
	for {
		select {
		case s.changed <- struct{}{}:
		default:
		}
		select {
		case <-t.C:
		case <-s.stop:
			return
		}
	}
}

func (s *portableSource) readLayout() Layout {
	var l Layout
	for i := range screenshot.NumActiveDisplays() {
		r := screenshot.GetDisplayBounds(i)
		if r.Empty() {
			continue
		}
		l.Monitors = append(l.Monitors, Monitor{Name: fmt.Sprintf("monitor %d", i+1), Rect: r, Primary: i == 0})
		l.Desktop = l.Desktop.Union(r)
	}
	return l
}

func (s *portableSource) Layout() Layout           { return s.layout }
func (s *portableSource) Changed() <-chan struct{} { return s.changed }

func (s *portableSource) Take(damage []image.Rectangle) ([]image.Rectangle, error) {
	select {
	case <-s.stop:
		return damage, ErrLost
	default:
	}
	l := s.readLayout()
	if len(l.Monitors) == 0 {
		return damage, ErrLost
	}
	if !l.Equal(s.layout) {
		s.layout, s.first = l, true
		clear(s.pix)
		return damage, ErrLayoutChanged
	}
	for i, m := range l.Monitors {
		img, err := screenshot.CaptureRect(m.Rect)
		if err != nil {
			return damage, fmt.Errorf("%w: %w", ErrLost, err)
		}
		old := s.pix[i]
		s.pix[i] = img
		if old == nil || s.first {
			damage = append(damage, m.Rect)
			continue
		}
		for y := 0; y < m.Rect.Dy(); y += portableBand {
			end := min(y+portableBand, m.Rect.Dy())
			if !bytes.Equal(img.Pix[y*img.Stride:end*img.Stride], old.Pix[y*old.Stride:end*old.Stride]) {
				damage = append(damage, image.Rect(m.Rect.Min.X, m.Rect.Min.Y+y, m.Rect.Max.X, m.Rect.Min.Y+end))
			}
		}
	}
	s.first = false
	return damage, nil
}

func (s *portableSource) Grab(rects []image.Rectangle, into func(image.Rectangle, Pixels)) error {
	for _, r := range rects {
		if !r.In(s.layout.Desktop) {
			return fmt.Errorf("grab %v outside of desktop %v", r, s.layout.Desktop)
		}
		need := r.Dx() * r.Dy() * 4
		if cap(s.bgrx) < need {
			s.bgrx = make([]byte, need)
		}
		out := s.bgrx[:need]
		clear(out) // where no monitor is, the desktop is black
		for i, m := range s.layout.Monitors {
			part := r.Intersect(m.Rect)
			img := s.pix[i]
			if part.Empty() || img == nil {
				continue
			}
			for y := part.Min.Y; y < part.Max.Y; y++ {
				src := img.Pix[(y-m.Rect.Min.Y)*img.Stride+(part.Min.X-m.Rect.Min.X)*4:][:part.Dx()*4]
				dst := out[((y-r.Min.Y)*r.Dx()+part.Min.X-r.Min.X)*4:][:part.Dx()*4]
				for x := 0; x < len(src); x += 4 {
					dst[x], dst[x+1], dst[x+2], dst[x+3] = src[x+2], src[x+1], src[x], 255
				}
			}
		}
		into(r, Pixels{Pix: out, Stride: r.Dx() * 4})
	}
	return nil
}

func (s *portableSource) Close() error {
	s.once.Do(func() { close(s.stop) })
	return nil
}
