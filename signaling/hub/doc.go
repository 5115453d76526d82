// Package hub is the server half of both sockets: it upgrades, proves who is there, reads
// with limits, writes without ever blocking its caller, and notices silence. It knows no
// devices, operators or databases; it is given functions that do. It is used by the
// gateway's link (agents) and browser rooms.
//
// A connection costs one goroutine, asleep in a read. Writers exist only while there is
// something to write, heartbeats are timers, and write buffers are pooled, so that an idle
// agent is small enough to hold thousands of.
//
// Lock order: Agents.mu, then Socket.mu. No callback runs with either held.
package hub
