//go:build !cgo || !robotgo

package inject

import "errors"

// newFallback refuses: this program was built without robotgo.
func newFallback(*xBackend) (backend, error) {
	return nil, errors.New("this agent was built without robotgo (cgo and -tags robotgo): no fallback for an X server without XKB")
}
