package mdm

import (
	"errors"
	"strings"
)

// Errors that every store returns, wrapped with the noun and the id they are about.
var (
	ErrNotFound      = errors.New("not found")
	ErrAlreadyExists = errors.New("already exists")
	ErrConflict      = errors.New("changed meanwhile")   // the caller's version is not the newest, or something still hangs on it
	ErrInvalid       = errors.New("invalid")             // a rule of the noun is broken; the text says which
	ErrUnavailable   = errors.New("storage unavailable") // the database is away or busy; nothing was written, try again
	ErrFull          = errors.New("storage full")        // no space left; nothing was written
)

// InUseError says what still refers to a thing that was to go. It is an ErrConflict whose
// words may be told.
type InUseError struct {
	By []string // the first few that refer to it, as `policy "Screen lock"`
}

// Error names what refers to it.
func (e *InUseError) Error() string { return "still in use by " + strings.Join(e.By, ", ") }

// Is makes it an ErrConflict.
func (*InUseError) Is(target error) bool { return target == ErrConflict }
