package mdm

import "errors"

// Errors that every store returns, wrapped with the noun and the id they are about.
var (
	ErrNotFound      = errors.New("not found")
	ErrAlreadyExists = errors.New("already exists")
	ErrConflict      = errors.New("changed meanwhile")   // the caller's version is not the newest, or something still hangs on it
	ErrInvalid       = errors.New("invalid")             // a rule of the noun is broken; the text says which
	ErrUnavailable   = errors.New("storage unavailable") // the database is away or busy; nothing was written, try again
	ErrFull          = errors.New("storage full")        // no space left; nothing was written
)
