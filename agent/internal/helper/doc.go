// Package helper is the desktop helper: the process that captures, encodes and injects inside
// the user's graphical session, with that user's rights. The daemon starts it, speaks with it
// over a pair of sockets that nobody else has, and starts it again when it ends: Xlib ends a
// process whose X server goes away, and must not take the daemon down. Sessions, rights and
// connections stay in the daemon, where the user's other programs cannot reach them; what the
// helper says is the word of a process the user may have replaced, and is checked like any
// other.
//
// Local is the same in the daemon's own process, for systems where no helper can be started.
package helper
