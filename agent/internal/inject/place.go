package inject

import "handrail/signaling/input"

// rect is a part of the desktop in pixels; x and y may be negative.
type rect struct{ x, y, w, h int }

// at maps 0..65535 to a pixel: 0 is the first and 65535 the last, the others are spread
// evenly between them.
func (r rect) at(x, y uint16) (px, py int) {
	return r.x + spread(x, r.w), r.y + spread(y, r.h)
}

func spread(v uint16, size int) int {
	if size < 1 {
		return 0
	}
	return (int(v)*(size-1) + 32767) / 65535
}

// monitor returns where a monitor is.
func (in *Injector) monitor(id uint8) (rect, error) {
	if id == 0 {
		return in.dev.desktop(), nil
	}
	for i := range in.monitors {
		if m := &in.monitors[i]; m.ID == id {
			return rect{int(m.X), int(m.Y), int(m.Width), int(m.Height)}, nil
		}
	}
	if d, ok := in.dev.(interface{ displays() []rect }); ok && len(in.monitors) == 0 {
		if all := d.displays(); int(id) <= len(all) {
			return all[id-1], nil
		}
	}
	return rect{}, ErrMonitor
}

// place moves the pointer to where f says.
func (in *Injector) place(f *input.Frame) error {
	r, err := in.monitor(f.Monitor)
	if err != nil {
		return err
	}
	return in.dev.move(r.at(f.X, f.Y))
}

// button moves the pointer and presses or releases one button. What the viewer no longer
// holds by its own account is released as well.
func (in *Injector) button(own *owner, f *input.Frame) error {
	placed := in.place(f)
	if placed != nil && f.Down {
		return placed
	}
	bit := input.Buttons(1) << f.Button
	if f.Down && own.buttons&bit == 0 {
		own.buttons |= bit
		in.buttons[f.Button]++
		if in.buttons[f.Button] == 1 {
			if err := in.dev.button(f.Button, true); err != nil {
				return err
			}
		}
	}
	keep := f.Buttons
	if f.Down {
		keep |= bit
	} else {
		keep &^= bit
	}
	if err := in.releaseButtons(own, own.buttons&^keep); err != nil {
		return err
	}
	return placed
}

func (in *Injector) releaseButtons(own *owner, set input.Buttons) error {
	var first error
	for b := range uint8(input.ButtonCount) {
		if !set.Has(b) || !own.buttons.Has(b) {
			continue
		}
		own.buttons &^= 1 << b
		if in.buttons[b]--; in.buttons[b] == 0 {
			if err := in.dev.button(b, false); err != nil && first == nil {
				first = err
			}
		}
	}
	return first
}

// wheel moves the pointer and turns the wheel by the whole notches that have come
// together. A turn the other way begins anew.
func (in *Injector) wheel(own *owner, f *input.Frame) error {
	if err := in.place(f); err != nil {
		return err
	}
	dx, dy := gather(&own.wheelX, f.DX), gather(&own.wheelY, f.DY)
	if dx == 0 && dy == 0 {
		return nil
	}
	return in.dev.scroll(dx, dy)
}

// gather adds d (1/120 notches) to what is left of earlier turns and takes whole notches.
func gather(left *int, d int16) (notches int) {
	if d > 0 != (*left > 0) {
		*left = 0
	}
	*left += int(d)
	notches = *left / 120
	*left -= 120 * notches
	return notches
}
