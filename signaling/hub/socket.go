package hub

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"handrail/signaling"

	"github.com/gorilla/websocket"
)

// Socket is one accepted WebSocket of an agent or a browser. Its methods are safe for
// concurrent use and never wait for the network.
type Socket struct {
	ws     *websocket.Conn
	limits *Limits
	from   signaling.Side

	heard atomic.Bool // a frame, ping or pong came since the last heartbeat

	mu      sync.Mutex
	queue   [][]byte // frames waiting, in order
	queued  int      // their bytes
	writing bool     // a writer goroutine is at work
	cause   error    // set once, when the connection starts to end
	closing bool     // cause is set; the queue is still written, then a close frame
	timer   *time.Timer
	pongs   []chan struct{} // closed when a pong comes
	done    chan struct{}   // closed when the connection is over
}

// writeBuffers serve every socket: a buffer is taken for one frame and given back.
var writeBuffers sync.Pool

// readBuffers hold one incoming message while it is decoded.
var readBuffers = sync.Pool{New: func() any { return new(bytes.Buffer) }}

// keepBuffer is the largest read buffer worth keeping, in bytes: most messages are small.
const keepBuffer = 64 << 10

// accept upgrades a request. On failure the answer has been written.
func accept(w http.ResponseWriter, r *http.Request, from signaling.Side, l *Limits, origin func(*http.Request) bool) (*Socket, error) {
	up := websocket.Upgrader{
		HandshakeTimeout: l.Handshake,
		ReadBufferSize:   1 << 10, // signaling is small; large frames pass it by in several reads
		WriteBufferSize:  4 << 10,
		WriteBufferPool:  &writeBuffers,
		CheckOrigin:      origin,
	}
	ws, err := up.Upgrade(w, r, nil)
	if err != nil {
		return nil, err
	}
	s := &Socket{ws: ws, limits: l, from: from, done: make(chan struct{})}
	// A little over the limit of a message is read, and refused in words; far over it the
	// WebSocket layer closes by itself.
	ws.SetReadLimit(2 * signaling.MaxMessage)
	ws.SetPingHandler(func(text string) error {
		s.heard.Store(true)
		err := ws.WriteControl(websocket.PongMessage, []byte(text), time.Now().Add(time.Second))
		if ne := net.Error(nil); errors.Is(err, websocket.ErrCloseSent) || errors.As(err, &ne) {
			return nil
		}
		return err
	})
	ws.SetPongHandler(func(string) error { s.ponged(); return nil })
	return s, nil
}

// next reads one message. The error is signaling's when the message should be refused and
// the connection kept, otherwise the connection is over.
func (s *Socket) next() (signaling.Envelope, error) {
	kind, r, err := s.ws.NextReader()
	if err != nil {
		return signaling.Envelope{}, &readError{err}
	}
	buf := readBuffers.Get().(*bytes.Buffer)
	defer func() {
		if buf.Cap() <= keepBuffer {
			buf.Reset()
			readBuffers.Put(buf)
		}
	}()
	n, err := buf.ReadFrom(io.LimitReader(r, signaling.MaxMessage+1))
	if err != nil {
		return signaling.Envelope{}, &readError{err}
	}
	s.heard.Store(true)
	if n > signaling.MaxMessage {
		return signaling.Envelope{}, signaling.ErrTooLarge
	}
	if kind != websocket.TextMessage {
		return signaling.Envelope{}, signaling.ErrMalformed
	}
	return signaling.Decode(buf.Bytes(), s.from)
}

// readError marks an error of the connection, not of one message.
type readError struct{ err error }

func (e *readError) Error() string { return e.err.Error() }
func (e *readError) Unwrap() error { return e.err }

// serve reads until the connection ends and returns why. Messages that cannot be decoded
// are answered with their code; too many of them end the connection.
func (s *Socket) serve(ctx context.Context, handle func(signaling.Envelope)) error {
	var (
		faults int
		pace   bucket
	)
	for {
		e, err := s.next()
		var re *readError
		if errors.As(err, &re) {
			return s.ended(re.err)
		}
		if err != nil {
			s.Refuse(e, signaling.CodeOf(err), err.Error())
			if faults++; faults >= s.limits.MaxFaults {
				s.Close(ErrFaults) // after the last refusal has been read
				<-s.done
				return s.ended(nil)
			}
		} else {
			handle(e)
		}
		if wait := pace.take(s.limits, time.Now()); wait > 0 {
			t := time.NewTimer(wait)
			select {
			case <-t.C:
			case <-ctx.Done():
			case <-s.done:
			}
			t.Stop()
		}
	}
}

// ended releases everything and returns the first cause.
func (s *Socket) ended(err error) error {
	if websocket.IsCloseError(err, websocket.CloseNormalClosure, websocket.CloseGoingAway, websocket.CloseNoStatusReceived) {
		err = ErrLeft
	}
	s.fail(err)
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.cause
}

// Send queues a message. It returns ErrClosed when the connection is ending, ErrSlow when
// this message made it end, or why it cannot be encoded.
func (s *Socket) Send(e signaling.Envelope) error {
	b, err := signaling.Encode(e)
	if err != nil {
		return err
	}
	return s.SendFrame(b)
}

// SendFrame queues an encoded message, so that one encoding serves many sockets. The
// socket keeps b; nobody may change it afterwards.
func (s *Socket) SendFrame(b []byte) error {
	s.mu.Lock()
	if s.cause != nil {
		s.mu.Unlock()
		return ErrClosed
	}
	if s.queued+len(b) > s.limits.QueueBytes {
		s.mu.Unlock()
		s.fail(ErrSlow)
		return ErrSlow
	}
	s.queue = append(s.queue, b)
	s.queued += len(b)
	s.wake()
	s.mu.Unlock()
	return nil
}

// Refuse answers a message that was not acted upon.
func (s *Socket) Refuse(e signaling.Envelope, code signaling.Code, message string) {
	_ = s.Send(signaling.Envelope{Type: signaling.TypeError, Re: e.ID, Body: signaling.Error{Code: code, Message: clip(message)}})
}

// clip keeps a text within what the wire allows.
func clip(s string) string {
	const most = 512 // bytes; an explanation, not a dump
	if len(s) > most {
		s = s[:most]
	}
	return string(bytes.ToValidUTF8([]byte(s), nil))
}

// Close ends the connection after what is queued has been written, with cause (one of this
// package's errors) for the Gone callback. Calls after the first do nothing.
func (s *Socket) Close(cause error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cause != nil {
		return
	}
	s.cause, s.closing = cause, true
	s.wake()
}

// wake starts the writer unless it runs; s.mu is held.
func (s *Socket) wake() {
	if !s.writing {
		s.writing = true
		go s.write()
	}
}

// write sends what is queued and ends when there is no more.
func (s *Socket) write() {
	for {
		s.mu.Lock()
		if len(s.queue) == 0 {
			s.writing = false
			closing, cause := s.closing, s.cause
			s.queue = nil
			s.mu.Unlock()
			if closing {
				s.goodbye(cause)
			}
			return
		}
		b := s.queue[0]
		s.queue[0] = nil
		s.queue = s.queue[1:]
		s.queued -= len(b)
		s.mu.Unlock()
		_ = s.ws.SetWriteDeadline(time.Now().Add(s.limits.Write))
		if err := s.ws.WriteMessage(websocket.TextMessage, b); err != nil {
			s.fail(err)
			return
		}
	}
}

// goodbye sends a close frame and gives the other end a second to answer it.
func (s *Socket) goodbye(cause error) {
	code := websocket.ClosePolicyViolation
	switch {
	case errors.Is(cause, ErrDraining):
		code = websocket.CloseServiceRestart
	case errors.Is(cause, ErrClosed):
		code = websocket.CloseNormalClosure
	}
	const grace = time.Second
	_ = s.ws.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(code, ""), time.Now().Add(grace))
	t := time.NewTimer(grace)
	defer t.Stop()
	select {
	case <-s.done:
	case <-t.C:
		s.fail(cause)
	}
}

// fail ends the connection at once. The first cause stays.
func (s *Socket) fail(cause error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cause == nil {
		s.cause = cause
	}
	select {
	case <-s.done:
		return
	default:
	}
	close(s.done)
	s.closing, s.queue, s.queued = false, nil, 0
	if s.timer != nil {
		s.timer.Stop()
	}
	s.ws.Close()
}

// heartbeat starts the pings; it is called once, when the handshake is over.
func (s *Socket) heartbeat() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.heard.Store(true)
	s.timer = time.AfterFunc(s.limits.Heartbeat, s.beat)
}

func (s *Socket) beat() {
	if !s.heard.Swap(false) {
		s.fail(ErrSilent)
		return
	}
	err := s.ws.WriteControl(websocket.PingMessage, nil, time.Now().Add(s.limits.Write))
	// A time-out here means that the writer is busy with a slow peer; it has its own limit.
	if ne := net.Error(nil); err != nil && !(errors.As(err, &ne) && ne.Timeout()) && !errors.Is(err, websocket.ErrCloseSent) {
		s.fail(err)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cause == nil {
		s.timer.Reset(s.limits.Heartbeat)
	}
}

func (s *Socket) ponged() {
	s.heard.Store(true)
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.pongs {
		close(c)
	}
	s.pongs = nil
}

// Alive pings the other end and reports whether it answered before ctx ended.
func (s *Socket) Alive(ctx context.Context) bool {
	c := make(chan struct{})
	s.mu.Lock()
	if s.cause != nil {
		s.mu.Unlock()
		return false
	}
	s.pongs = append(s.pongs, c)
	s.mu.Unlock()
	deadline, ok := ctx.Deadline()
	if !ok {
		deadline = time.Now().Add(s.limits.Write)
	}
	if err := s.ws.WriteControl(websocket.PingMessage, []byte("alive"), deadline); err != nil {
		return false
	}
	select {
	case <-c:
		return true
	case <-s.done:
	case <-ctx.Done():
	}
	return false
}

// Done is closed when the connection is over.
func (s *Socket) Done() <-chan struct{} { return s.done }
