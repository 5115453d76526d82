package mdm

import "errors"

// Errors that every store returns, wrapped with the noun and the id they are about.
var (
	ErrNotFound      = errors.New("not found")
	ErrAlreadyExists = errors.New("already exists")
	ErrConflict      = errors.New("changed meanwhile") // the caller's version is not the newest
	ErrInvalid       = errors.New("invalid")           // a rule of the noun is broken; the text says which
)
