package x11

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Timing and size limits of a connection.
const (
	writeTimeout = 5 * time.Second  // a server that reads nothing for so long is gone
	callTimeout  = 10 * time.Second // longer than any program holds the server for good reason
	eventQueue   = 4096             // events nobody took; then the connection ends
	maxReply     = 64 << 20         // bytes; a whole 4K cursor or property is far below
)

// Errors of a connection.
var (
	ErrNoDisplay = errors.New("no X display")                    // none named, or nobody answers there
	ErrClosed    = errors.New("connection to X is over")         // closed here or lost; Err says which
	ErrMissing   = errors.New("the X server lacks an extension") // wrapped with its name
)

// ProtocolError is an X error that answers a request.
type ProtocolError struct {
	Code  byte   // 2 BadValue, 3 BadWindow, …
	Value uint32 // the bad value or resource
	Major byte   // the request that failed
	Minor uint16
}

// Error names the code and the request by number.
func (e *ProtocolError) Error() string {
	return fmt.Sprintf("X error %d on request %d.%d, value %#x", e.Code, e.Major, e.Minor, e.Value)
}

// Conn is a connection to an X server. Its methods may be called from any goroutine.
// Events must be taken from Events, or the connection ends with an error.
type Conn struct {
	// Root is the root window of the first screen.
	Root uint32
	// Width and Height are its size in pixels when the connection was made.
	Width, Height uint16
	// MinKeycode and MaxKeycode bound the server's keycodes.
	MinKeycode, MaxKeycode byte
	// MaxRequest is the longest request in bytes.
	MaxRequest int

	nc     net.Conn
	idBase uint32
	idMask uint32

	mu      sync.Mutex
	seq     uint64 // of the last request sent
	nextID  uint32
	waiting []*call // in order of seq
	err     error

	events chan []byte
	done   chan struct{}
}

// call is a request that waits for its reply or error. A call without reply is a
// request watched for an error; the next reply proves that there was none.
type call struct {
	seq   uint64
	reply bool
	done  chan answer
}

type answer struct {
	b   []byte
	err error
}

// Dial connects to display, "" meaning $DISPLAY. The error wraps ErrNoDisplay and says
// in words what to do.
func Dial(display string) (*Conn, error) {
	if display == "" {
		display = os.Getenv("DISPLAY")
	}
	if display == "" {
		return nil, fmt.Errorf("%w: DISPLAY is not set and no display was named", ErrNoDisplay)
	}
	nc, number, err := dial(display)
	if err != nil {
		return nil, fmt.Errorf("%w: connect to %q: %w", ErrNoDisplay, display, err)
	}
	c := &Conn{nc: nc, events: make(chan []byte, eventQueue), done: make(chan struct{})}
	if err := c.setup(cookieFor(number)); err != nil {
		_ = nc.Close()
		return nil, fmt.Errorf("%w: connect to %q: %w", ErrNoDisplay, display, err)
	}
	go c.read()
	return c, nil
}

func dial(display string) (nc net.Conn, number string, err error) {
	i := strings.LastIndexByte(display, ':')
	if i < 0 {
		return nil, "", errors.New("not of the form :N or host:N")
	}
	host := display[:i]
	number, _, _ = strings.Cut(display[i+1:], ".")
	n, err := strconv.Atoi(number)
	if err != nil || n < 0 || n > 59535 {
		return nil, "", errors.New("not of the form :N or host:N")
	}
	if host != "" && host != "unix" {
		nc, err = net.DialTimeout("tcp", net.JoinHostPort(host, strconv.Itoa(6000+n)), writeTimeout)
		return nc, number, err
	}
	path := "/tmp/.X11-unix/X" + number
	if nc, err = net.Dial("unix", path); err != nil {
		// Some servers listen on the abstract socket alone.
		if abstract, err2 := net.Dial("unix", "@"+path); err2 == nil {
			return abstract, number, nil
		}
	}
	return nc, number, err
}

// setup sends the connection setup and reads the server's (X11 protocol, chapter 8).
func (c *Conn) setup(cookie []byte) error {
	if err := c.nc.SetDeadline(time.Now().Add(callTimeout)); err != nil {
		return err
	}
	name := ""
	if len(cookie) != 0 {
		name = cookieName
	}
	b := []byte{'l', 0}
	for _, v := range []int{11, 0, len(name), len(cookie), 0} {
		b = binary.LittleEndian.AppendUint16(b, uint16(v)) //nolint:gosec // short
	}
	b = pad(append(b, name...))
	b = pad(append(b, cookie...))
	if _, err := c.nc.Write(b); err != nil {
		return err
	}
	head := make([]byte, 8)
	if _, err := io.ReadFull(c.nc, head); err != nil {
		return err
	}
	body := make([]byte, 4*int(binary.LittleEndian.Uint16(head[6:])))
	if _, err := io.ReadFull(c.nc, body); err != nil {
		return err
	}
	if head[0] != 1 {
		return fmt.Errorf("the server refused: %q", strings.TrimSpace(string(body[:min(int(head[1]), len(body))])))
	}
	if err := c.parseSetup(body); err != nil {
		return err
	}
	return c.nc.SetDeadline(time.Time{})
}

func (c *Conn) parseSetup(b []byte) error {
	short := errors.New("the server's setup is too short")
	if len(b) < 32 {
		return short
	}
	c.idBase, c.idMask = Get32(b, 4), Get32(b, 8)
	c.MaxRequest = 4 * int(Get16(b, 18))
	c.MinKeycode, c.MaxKeycode = b[26], b[27]
	vendor, formats := int(Get16(b, 16)), int(b[21])
	screen := 32 + (vendor+3)&^3 + 8*formats
	if b[20] == 0 || len(b) < screen+40 {
		return short
	}
	c.Root, c.Width, c.Height = Get32(b, screen), Get16(b, screen+20), Get16(b, screen+22)
	return nil
}

// Events delivers events as they came: 32 bytes, generic events longer. The first byte's
// top bit says that another program sent it. Closed when the connection is over.
func (c *Conn) Events() <-chan []byte { return c.events }

// Done is closed when the connection is over.
func (c *Conn) Done() <-chan struct{} { return c.done }

// Err says why the connection is over; nil while it is not.
func (c *Conn) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// Close ends the connection. It may be called twice.
func (c *Conn) Close() {
	c.mu.Lock()
	c.fail(ErrClosed)
	c.mu.Unlock()
}

// fail marks the connection as over. The caller holds mu.
func (c *Conn) fail(err error) {
	if c.err != nil {
		return
	}
	c.err = err
	close(c.done)
	_ = c.nc.Close()
	for _, w := range c.waiting {
		w.done <- answer{err: err}
	}
	c.waiting = nil
}

// NewID returns an unused resource id.
func (c *Conn) NewID() uint32 {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.nextID += c.idMask & -c.idMask
	return c.idBase | c.nextID&c.idMask
}

// Send writes requests that have no reply; b may be reused at once. It does not
// allocate. Their number must be given, as the server counts them. An X error about
// them is dropped; use Check to see it.
func (c *Conn) Send(b []byte, requests int) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.send(b, requests)
}

func (c *Conn) send(b []byte, requests int) error {
	if c.err != nil {
		return c.err
	}
	if err := c.nc.SetWriteDeadline(time.Now().Add(writeTimeout)); err == nil {
		_, err = c.nc.Write(b)
		if err != nil {
			c.fail(fmt.Errorf("%w: %w", ErrClosed, err))
			return c.err
		}
	}
	c.seq += uint64(requests) //nolint:gosec // small and positive
	return nil
}

// Call sends one request and waits for its reply, whole and at least 32 bytes. The
// error is a *ProtocolError when the server refused, else wraps ErrClosed. A server
// that does not answer within 10 s ends the connection.
func (c *Conn) Call(b []byte) ([]byte, error) {
	c.mu.Lock()
	err := c.send(b, 1)
	if err != nil {
		c.mu.Unlock()
		return nil, err
	}
	w := &call{seq: c.seq, reply: true, done: make(chan answer, 1)}
	c.waiting = append(c.waiting, w)
	c.mu.Unlock()
	return c.wait(w)
}

// Check sends one request that has no reply and returns the server's error about it,
// nil when there was none. It costs a round trip.
func (c *Conn) Check(b []byte) error {
	c.mu.Lock()
	if err := c.send(b, 1); err != nil {
		c.mu.Unlock()
		return err
	}
	w := &call{seq: c.seq, done: make(chan answer, 1)}
	c.waiting = append(c.waiting, w)
	sync := &call{reply: true, done: make(chan answer, 1)}
	if err := c.send(NewRequest(43, 0).Bytes(), 1); err != nil { // GetInputFocus
		c.mu.Unlock()
		return err
	}
	sync.seq = c.seq
	c.waiting = append(c.waiting, sync)
	c.mu.Unlock()
	_, err := c.wait(w)
	if err2 := c.drain(sync); err == nil {
		err = err2
	}
	return err
}

// Sync waits until the server has done everything sent before.
func (c *Conn) Sync() error {
	_, err := c.Call(NewRequest(43, 0).Bytes())
	return err
}

func (c *Conn) drain(w *call) error {
	_, err := c.wait(w)
	return err
}

func (c *Conn) wait(w *call) ([]byte, error) {
	t := time.NewTimer(callTimeout)
	defer t.Stop()
	select {
	case a := <-w.done:
		return a.b, a.err
	case <-t.C:
		c.mu.Lock()
		c.fail(fmt.Errorf("%w: the server did not answer for %v", ErrClosed, callTimeout))
		err := c.err
		c.mu.Unlock()
		return nil, err
	}
}

// read takes packets off the wire until the connection is over.
func (c *Conn) read() {
	defer close(c.events)
	err := c.readPackets()
	c.mu.Lock()
	c.fail(fmt.Errorf("%w: %w", ErrClosed, err))
	c.mu.Unlock()
}

func (c *Conn) readPackets() error {
	r := newPacketReader(c.nc)
	for {
		b, err := r.next()
		if err != nil {
			return err
		}
		switch b[0] {
		case 0:
			c.answer(Get16(b, 2), answer{err: &ProtocolError{Code: b[1], Value: Get32(b, 4), Minor: Get16(b, 8), Major: b[10]}})
		case 1:
			c.answer(Get16(b, 2), answer{b: b})
		default:
			select {
			case c.events <- b:
			default:
				return errors.New("events came faster than they were taken")
			}
		}
	}
}

// answer gives a to the call with the given low half of a sequence number; calls before it
// that expect no reply went well.
func (c *Conn) answer(low uint16, a answer) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for len(c.waiting) != 0 {
		w := c.waiting[0]
		// Requests in flight are far fewer than 32768, so the low half decides.
		if d := int16(uint16(w.seq) - low); d > 0 { //nolint:gosec // serial number arithmetic
			return // an error of a request nobody waits for
		} else if d < 0 {
			if w.reply && a.err == nil {
				w.done <- answer{err: fmt.Errorf("%w: a reply was left out", ErrClosed)}
			} else if w.reply {
				return // an error of a later request; this reply is still to come
			} else {
				w.done <- answer{}
			}
			c.waiting = c.waiting[1:]
			continue
		}
		if !w.reply && a.err == nil {
			a.b = nil
		}
		w.done <- a
		c.waiting = c.waiting[1:]
		return
	}
}
