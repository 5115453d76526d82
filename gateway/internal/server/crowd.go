package server

import (
	"log/slog"
	"net"
	"sync"
	"time"
)

// crowd is a listener that has at most as many connections open as there are places: past them new
// ones wait to be accepted until others end. Without it a fleet that comes at once takes every file
// the process may open, and the database has none left.
type crowd struct {
	net.Listener
	places chan struct{}
	log    *slog.Logger
	told   time.Time // of the last line in the log; Accept is called by one goroutine
}

// bounded returns l with at most so many connections; l itself for 0.
func bounded(l net.Listener, most int, log *slog.Logger) net.Listener {
	if most <= 0 {
		return l
	}
	return &crowd{Listener: l, places: make(chan struct{}, most), log: log}
}

// Accept waits for a place, then for a connection.
func (c *crowd) Accept() (net.Conn, error) {
	select {
	case c.places <- struct{}{}:
	default:
		if now := time.Now(); now.Sub(c.told) > time.Minute {
			c.told = now
			c.log.Warn("connections_full", "connections", cap(c.places), "hint", "let the gateway open more files: LimitNOFILE of its unit, or ulimit -n")
		}
		c.places <- struct{}{}
	}
	conn, err := c.Listener.Accept()
	if err != nil {
		<-c.places
		return nil, err
	}
	return &placed{Conn: conn, leave: sync.OnceFunc(func() { <-c.places })}, nil
}

// placed gives its place back when it is closed.
type placed struct {
	net.Conn
	leave func()
}

// Close closes the connection.
func (p *placed) Close() error {
	defer p.leave()
	return p.Conn.Close()
}

// filesForOthers is how many open files are kept for everything but connections from outside: the
// database, other nodes, the relay's ports, certificates.
const filesForOthers = 512
