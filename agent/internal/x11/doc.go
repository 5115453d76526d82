// Package x11 is a small connection to an X server in pure Go, for input injection and
// for watching the desktop. It does what jezek/xgb does not: requests without
// allocation, generic events of any length (XInput 2), errors that come back to their
// request, deadlines, and several connections in one process without shared maps.
// It knows packets and the requests both rooms share, no policy. Callers build other
// requests with Request.
//
// A Conn has one mutex, held only while bytes are written; its reader goroutine ends
// when the connection does.
package x11
