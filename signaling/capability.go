package signaling

import (
	"encoding/json"
	"fmt"
	"slices"
)

// Capability is one thing an operator may do in a session. Each is granted on its own.
type Capability string

// The capabilities, in the order people are asked about them.
const (
	View        Capability = "view"        // see the screen
	Control     Capability = "control"     // pointer and keyboard
	Clipboard   Capability = "clipboard"   // clipboard, both directions
	Files       Capability = "files"       // browse, copy, change files
	Terminal    Capability = "terminal"    // a shell
	Root        Capability = "root"        // terminal, files and processes as the machine's administrator; nothing by itself
	Diagnostics Capability = "diagnostics" // processes, services, logs, figures
	Power       Capability = "power"       // restart, sign out, lock
	Record      Capability = "record"      // keep a recording
)

// Capabilities lists every capability in its canonical order.
func Capabilities() []Capability {
	return []Capability{View, Control, Clipboard, Files, Terminal, Root, Diagnostics, Power, Record}
}

// CapabilitySet is a set of capabilities; the zero value is empty. It encodes as a
// JSON array in canonical order. As a number it is kept in databases: see bitOf.
type CapabilitySet uint16

// bitOf is a capability's place in the number of a set, for ever: the order in which they came to
// be, whatever the order in which people read them. 0 is one that this version does not know.
func bitOf(c Capability) CapabilitySet {
	return 1 << (1 + slices.Index([]Capability{View, Control, Clipboard, Files, Terminal, Diagnostics, Power, Record, Root}, c)) >> 1
}

// SetOf returns the set of the given capabilities; unknown ones are left out.
func SetOf(cs ...Capability) CapabilitySet {
	var s CapabilitySet
	for _, c := range cs {
		s |= bitOf(c)
	}
	return s
}

// Has reports whether c is in the set.
func (s CapabilitySet) Has(c Capability) bool { return s&SetOf(c) != 0 && SetOf(c) != 0 }

// And returns the intersection.
func (s CapabilitySet) And(o CapabilitySet) CapabilitySet { return s & o }

// List returns the members in canonical order; never nil.
func (s CapabilitySet) List() []Capability {
	out := []Capability{}
	for _, c := range Capabilities() {
		if s.Has(c) {
			out = append(out, c)
		}
	}
	return out
}

// MarshalJSON encodes the set as an array of names.
func (s CapabilitySet) MarshalJSON() ([]byte, error) {
	b := []byte{'['}
	for i, c := range s.List() {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, '"')
		b = append(b, c...)
		b = append(b, '"')
	}
	return append(b, ']'), nil
}

// UnmarshalJSON decodes an array of names. Unknown names are ignored: a capability this
// version does not know cannot be granted by it.
func (s *CapabilitySet) UnmarshalJSON(b []byte) error {
	var names []Capability
	if err := json.Unmarshal(b, &names); err != nil {
		return err
	}
	if len(names) > 64 {
		return fmt.Errorf("%d capabilities", len(names))
	}
	*s = SetOf(names...)
	return nil
}
