package x11

import "fmt"

// Extension is what the server calls an extension.
type Extension struct {
	Major      byte // opcode of its requests
	FirstEvent byte
	FirstError byte
}

// Extension asks for an extension by name; the error wraps ErrMissing when the server has
// it not.
func (c *Conn) Extension(name string) (Extension, error) {
	b, err := c.Call(NewRequest(98, 0).U16(uint16(len(name)), 0).Text(name).Bytes()) //nolint:gosec // a short name
	if err != nil {
		return Extension{}, fmt.Errorf("query extension %s: %w", name, err)
	}
	if b[8] == 0 {
		return Extension{}, fmt.Errorf("%w: %s", ErrMissing, name)
	}
	return Extension{Major: b[9], FirstEvent: b[10], FirstError: b[11]}, nil
}

// Atom returns the number of an atom, making it when it is new.
func (c *Conn) Atom(name string) (uint32, error) {
	b, err := c.Call(NewRequest(16, 0).U16(uint16(len(name)), 0).Text(name).Bytes()) //nolint:gosec // a short name
	if err != nil {
		return 0, fmt.Errorf("atom %s: %w", name, err)
	}
	return Get32(b, 8), nil
}

// AtomName returns the name of an atom.
func (c *Conn) AtomName(atom uint32) (string, error) {
	b, err := c.Call(NewRequest(17, 0).U32(atom).Bytes())
	if err != nil {
		return "", fmt.Errorf("name of atom %d: %w", atom, err)
	}
	n := int(Get16(b, 8))
	if len(b) < 32+n {
		return "", fmt.Errorf("name of atom %d: short reply", atom)
	}
	return string(b[32 : 32+n]), nil
}

// Event masks of SelectRoot and NewWindow.
const (
	StructureNotify = 1 << 17 // ConfigureNotify
	PropertyChange  = 1 << 22 // PropertyNotify
)

// SelectRoot asks for events of the root window.
func (c *Conn) SelectRoot(mask uint32) error {
	return c.Send(NewRequest(2, 0).U32(c.Root, 1<<11, mask).Bytes(), 1)
}

// NewWindow makes an invisible window, to own selections and receive properties.
func (c *Conn) NewWindow(mask uint32) (uint32, error) {
	id := c.NewID()
	const inputOnly, override, events = 2, 1 << 9, 1 << 11
	err := c.Check(NewRequest(1, 0).U32(id, c.Root).U16(0xfff6, 0xfff6, 1, 1, 0, inputOnly).U32(0, override|events, 1, mask).Bytes())
	if err != nil {
		return 0, fmt.Errorf("make a window: %w", err)
	}
	return id, nil
}

// Pointer returns the pointer's position in pixels of the root window, and the state of
// buttons and modifiers as in a core event.
func (c *Conn) Pointer() (x, y int, state uint16, err error) {
	b, err := c.Call(NewRequest(38, 0).U32(c.Root).Bytes())
	if err != nil {
		return 0, 0, 0, fmt.Errorf("query the pointer: %w", err)
	}
	return int(int16(Get16(b, 16))), int(int16(Get16(b, 18))), Get16(b, 24), nil //nolint:gosec // signed on the wire
}

// RootSize returns the root window's size in pixels, now.
func (c *Conn) RootSize() (width, height uint16, err error) {
	b, err := c.Call(NewRequest(14, 0).U32(c.Root).Bytes())
	if err != nil {
		return 0, 0, fmt.Errorf("size of the root window: %w", err)
	}
	return Get16(b, 16), Get16(b, 18), nil
}
