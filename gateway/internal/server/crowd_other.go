//go:build !unix

package server

// maxConnections is 0, no bound: such systems have none of note.
func maxConnections() int { return 0 }
