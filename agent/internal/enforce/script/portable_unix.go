//go:build unix

package script

// Portable: it works on every system that keeps its files and programs as Unix does.
func (*Enforcer) Portable() {}
