package screen

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// This file is the little of the X11 protocol that reading a screen needs. It is not
// built on a binding because the one in use elsewhere keeps its extension events in
// process-wide maps that it writes while other connections read them, and allocates for
// each request; here a frame must cost nothing and an X server that comes back must not
// endanger the process.

// Core requests and events, by their codes in the X11 protocol document.
const (
	xChangeWindowAttributes = 2
	xGetGeometry            = 14
	xGetAtomName            = 17
	xGetInputFocus          = 43
	xGetImage               = 73
	xQueryExtension         = 98

	xConfigureNotify = 22
)

// eventKind is what an event number means to us; others are dropped.
type eventKind uint8

const (
	eventIgnored eventKind = iota
	eventDamage
	eventLayout
)

// xext is an extension of the server.
type xext struct {
	present            bool
	opcode, firstEvent byte
}

// xError is an error the server answered a request with.
type xError struct {
	code, major byte
	minor       uint16
}

func (e *xError) Error() string {
	return fmt.Sprintf("X error %d on request %d.%d", e.code, e.major, e.minor)
}

// xreply is an answer: 32 bytes, and more for some requests. The body goes back by release.
type xreply struct {
	head [32]byte
	body []byte
}

// maxReply bounds what a server may make us hold: an 8K screen of 4 bytes a pixel.
const maxReply = 7680 * 4320 * 4

// xconn is a connection to an X server. One goroutine reads it; requests are made by
// one other at a time.
type xconn struct {
	conn    net.Conn
	timeout time.Duration
	local   bool

	root                uint32
	depth, bitsPerPixel byte
	bigEndian           bool
	idBase, idNext      uint32
	idStep              uint32

	out   []byte // requests not yet written
	seq   uint16
	timer *time.Timer

	events      [128]eventKind // set before the events can come
	layoutDirty atomic.Bool
	changed     chan struct{} // capacity 1
	replies     chan xreply
	spare       chan []byte
	dead        chan struct{} // closed when the connection is gone
	closing     chan struct{} // closed by close
	closeOnce   sync.Once
}

// dialX connects and authenticates. Every error is an ErrNoDisplay.
func dialX(display string, timeout time.Duration) (*xconn, error) {
	if display == "" {
		display = os.Getenv("DISPLAY")
	}
	network, addr, number, err := parseDisplay(display)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNoDisplay, err)
	}
	conn, err := net.DialTimeout(network, addr, timeout)
	if err != nil {
		return nil, fmt.Errorf("%w: display %s: %w", ErrNoDisplay, display, err)
	}
	c := &xconn{
		conn: conn, timeout: timeout, local: network == "unix",
		changed: make(chan struct{}, 1), replies: make(chan xreply, 64), spare: make(chan []byte, 2),
		dead: make(chan struct{}), closing: make(chan struct{}), timer: time.NewTimer(timeout),
	}
	_ = conn.SetDeadline(time.Now().Add(timeout))
	r := bufio.NewReaderSize(conn, 64<<10)
	if err := c.greet(r, number); err != nil {
		conn.Close()
		return nil, fmt.Errorf("%w: display %s: %w", ErrNoDisplay, display, err)
	}
	_ = conn.SetDeadline(time.Time{})
	go c.read(r)
	return c, nil
}

// parseDisplay takes ":0", ":0.0", "host:0" and "unix:0" apart.
func parseDisplay(display string) (network, addr, number string, err error) {
	i := strings.LastIndexByte(display, ':')
	if i < 0 {
		return "", "", "", fmt.Errorf("display name %q", display)
	}
	host := display[:i]
	number, _, _ = strings.Cut(display[i+1:], ".")
	n, err := strconv.ParseUint(number, 10, 16)
	if err != nil {
		return "", "", "", fmt.Errorf("display name %q", display)
	}
	if host == "" || host == "unix" {
		return "unix", "/tmp/.X11-unix/X" + number, number, nil
	}
	return "tcp", net.JoinHostPort(host, strconv.FormatUint(6000+n, 10)), number, nil
}

func pad4(n int) int { return (n + 3) &^ 3 }

// greet sends the connection setup and reads what the server says of itself.
func (c *xconn) greet(r io.Reader, number string) error {
	name, cookie := xauthority(number)
	b := []byte{'l', 0, 11, 0, 0, 0}
	b = binary.LittleEndian.AppendUint16(b, uint16(len(name)))
	b = binary.LittleEndian.AppendUint16(b, uint16(len(cookie)))
	b = append(b, 0, 0)
	b = append(append(b, name...), make([]byte, pad4(len(name))-len(name))...)
	b = append(append(b, cookie...), make([]byte, pad4(len(cookie))-len(cookie))...)
	if _, err := c.conn.Write(b); err != nil {
		return err
	}
	var head [8]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return err
	}
	le := binary.LittleEndian
	body := make([]byte, int(le.Uint16(head[6:]))*4)
	if _, err := io.ReadFull(r, body); err != nil {
		return err
	}
	if head[0] != 1 {
		return fmt.Errorf("refused: %s", strings.TrimSpace(string(body[:min(len(body), int(head[1]))])))
	}
	short := errors.New("setup too short")
	if len(body) < 32 {
		return short
	}
	c.idBase = le.Uint32(body[4:])
	mask := le.Uint32(body[8:])
	c.idStep = mask & -mask
	c.bigEndian = body[22] != 0
	formats := int(body[21])
	rest := body[min(len(body), 32+pad4(int(le.Uint16(body[16:])))):]
	if len(rest) < formats*8+40 {
		return short
	}
	scr := rest[formats*8:]
	c.root, c.depth = le.Uint32(scr), scr[38]
	for i := range formats {
		if rest[i*8] == c.depth {
			c.bitsPerPixel = rest[i*8+1]
		}
	}
	return nil
}

func (c *xconn) newID() uint32 {
	c.idNext += c.idStep
	return c.idBase | c.idNext
}

// signal makes Changed speak, without waiting.
func (c *xconn) signal() {
	select {
	case c.changed <- struct{}{}:
	default:
	}
}

// read hands on what the server sends until the connection ends.
func (c *xconn) read(r *bufio.Reader) {
	defer func() {
		close(c.dead)
		c.signal()
	}()
	for {
		var p xreply
		if _, err := io.ReadFull(r, p.head[:]); err != nil {
			return
		}
		switch kind := p.head[0] & 0x7f; kind {
		case 0:
		case 1:
			n := int64(binary.LittleEndian.Uint32(p.head[4:])) * 4
			if n > maxReply {
				return
			}
			if n > 0 {
				p.body = c.buffer(int(n))
				if _, err := io.ReadFull(r, p.body); err != nil {
					return
				}
			}
		default:
			if kind == 35 { // GenericEvent may be longer; none was asked for
				n := int64(binary.LittleEndian.Uint32(p.head[4:])) * 4
				if _, err := r.Discard(int(min(n, maxReply))); err != nil {
					return
				}
			}
			switch c.events[kind] {
			case eventLayout:
				c.layoutDirty.Store(true)
				c.signal()
			case eventDamage:
				c.signal()
			case eventIgnored:
			}
			continue
		}
		select {
		case c.replies <- p:
		case <-c.closing:
			return
		}
	}
}

func (c *xconn) buffer(n int) []byte {
	select {
	case b := <-c.spare:
		if cap(b) >= n {
			return b[:n]
		}
	default:
	}
	return make([]byte, n)
}

// release gives the body of an answer back.
func (c *xconn) release(p xreply) {
	if p.body == nil {
		return
	}
	select {
	case c.spare <- p.body:
	default:
	}
}

// xrequest is a request being written; its length is filled in by send.
type xrequest struct {
	c     *xconn
	start int
}

func (c *xconn) request(major, second byte) xrequest {
	start := len(c.out)
	c.out = append(c.out, major, second, 0, 0)
	return xrequest{c, start}
}

func (r xrequest) u16(v uint16) xrequest {
	r.c.out = binary.LittleEndian.AppendUint16(r.c.out, v)
	return r
}

func (r xrequest) u32(v uint32) xrequest {
	r.c.out = binary.LittleEndian.AppendUint32(r.c.out, v)
	return r
}

func (r xrequest) bytes(b string) xrequest {
	r.c.out = append(r.c.out, b...)
	for len(r.c.out)%4 != 0 {
		r.c.out = append(r.c.out, 0)
	}
	return r
}

// send closes a request and returns its sequence number. It is written by flush.
func (c *xconn) send(r xrequest) uint16 {
	binary.LittleEndian.PutUint16(c.out[r.start+2:], uint16((len(c.out)-r.start)/4))
	c.seq++
	return c.seq
}

// flush writes the requests made so far.
func (c *xconn) flush() error {
	if len(c.out) == 0 {
		return nil
	}
	_ = c.conn.SetWriteDeadline(time.Now().Add(c.timeout))
	_, err := c.conn.Write(c.out)
	c.out = c.out[:0]
	if err != nil {
		c.close()
		return fmt.Errorf("%w: %w", ErrLost, err)
	}
	return nil
}

// wait returns the answer to request seq, dropping answers and errors of earlier ones.
func (c *xconn) wait(seq uint16) (xreply, error) {
	c.timer.Reset(c.timeout)
	defer c.timer.Stop()
	for {
		select {
		case p := <-c.replies:
			if binary.LittleEndian.Uint16(p.head[2:]) != seq {
				c.release(p)
				continue
			}
			if p.head[0] == 0 {
				return p, &xError{p.head[1], p.head[10], binary.LittleEndian.Uint16(p.head[8:])}
			}
			return p, nil
		case <-c.dead:
			return xreply{}, ErrLost
		case <-c.timer.C:
			c.close()
			return xreply{}, fmt.Errorf("%w: no answer in %v", ErrLost, c.timeout)
		}
	}
}

// ask sends a request and waits for its answer.
func (c *xconn) ask(r xrequest) (xreply, error) {
	seq := c.send(r)
	if err := c.flush(); err != nil {
		return xreply{}, err
	}
	return c.wait(seq)
}

// sync waits until the server has handled everything sent, and returns the first error
// it answered with.
func (c *xconn) sync() error {
	seq := c.send(c.request(xGetInputFocus, 0))
	if err := c.flush(); err != nil {
		return err
	}
	c.timer.Reset(c.timeout)
	defer c.timer.Stop()
	var first error
	for {
		select {
		case p := <-c.replies:
			if p.head[0] == 0 && first == nil {
				first = &xError{p.head[1], p.head[10], binary.LittleEndian.Uint16(p.head[8:])}
			}
			c.release(p)
			if binary.LittleEndian.Uint16(p.head[2:]) == seq {
				return first
			}
		case <-c.dead:
			return ErrLost
		case <-c.timer.C:
			c.close()
			return fmt.Errorf("%w: no answer in %v", ErrLost, c.timeout)
		}
	}
}

func (c *xconn) queryExtension(name string) (xext, error) {
	p, err := c.ask(c.request(xQueryExtension, 0).u16(uint16(len(name))).u16(0).bytes(name))
	if err != nil {
		return xext{}, err
	}
	return xext{p.head[8] != 0, p.head[9], p.head[10] & 0x7f}, nil
}

func (c *xconn) atomName(atom uint32) (string, error) {
	p, err := c.ask(c.request(xGetAtomName, 0).u32(atom))
	if err != nil {
		return "", err
	}
	defer c.release(p)
	return string(p.body[:min(len(p.body), int(binary.LittleEndian.Uint16(p.head[8:])))]), nil
}

// close ends the connection; the reading goroutine ends with it.
func (c *xconn) close() error {
	var err error
	c.closeOnce.Do(func() {
		close(c.closing)
		err = c.conn.Close()
	})
	return err
}
