package client

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	mathrand "math/rand/v2"
	"net"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"handrail/signaling"

	"github.com/gorilla/websocket"
)

// writeTimeout bounds one write: a peer that takes no bytes for so long is gone.
const writeTimeout = 10 * time.Second

// defaultHeartbeat is assumed of a gateway that does not say.
const defaultHeartbeat = 15 * time.Second

// connect makes one link and serves it until it ends; it calls online once the handshake
// is done. The error says why the link ended or never came up.
func (c *Client) connect(ctx context.Context, online func()) error {
	c.set(func(s *State) { s.Phase, s.NextTry = Connecting, time.Time{} })
	timeout := c.cfg.DialTimeout
	if c.isBusy() {
		timeout = min(timeout, busyDialTimeout)
	}
	dialCtx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	conn, resp, err := c.dialer.DialContext(dialCtx, c.target, nil)
	if err != nil {
		return dialError(err, resp)
	}
	defer conn.Close()
	conn.SetReadLimit(signaling.MaxMessage)
	stop := context.AfterFunc(ctx, func() { conn.SetReadDeadline(time.Now()) }) // unblocks the handshake
	defer stop()
	deadline := time.Now().Add(timeout)
	conn.SetReadDeadline(deadline)
	conn.SetWriteDeadline(deadline)
	welcome, err := c.handshake(conn)
	if err != nil {
		return err
	}
	stop()
	online()
	c.mu.Lock()
	c.conn = conn
	c.mu.Unlock()
	defer func() {
		c.mu.Lock()
		c.conn = nil
		c.mu.Unlock()
	}()
	c.out.begin()
	c.welcome(welcome)
	return c.serve(ctx, conn)
}

// dialError adds to a failed dial what the gateway, or whatever answered for it, said.
func dialError(err error, resp *http.Response) error {
	if resp == nil {
		return err
	}
	defer resp.Body.Close()
	said, _ := io.ReadAll(io.LimitReader(resp.Body, 256))
	return fmt.Errorf("the address answers, but not as a gateway (HTTP %d %q)", resp.StatusCode, strings.TrimSpace(string(said)))
}

func (c *Client) welcome(w signaling.Welcome) {
	c.set(func(s *State) {
		s.Phase, s.Err, s.NextTry, s.Welcome = Online, nil, time.Time{}, w
		s.Skew = time.UnixMicro(w.TimeUS).Sub(time.Now().Round(0))
	})
}

// handshake proves both ends to each other, as signaling/doc.go draws it.
func (c *Client) handshake(conn *websocket.Conn) (signaling.Welcome, error) {
	hello := signaling.Hello{
		Device: c.cfg.Device, Nonce: make([]byte, signaling.NonceSize), Version: c.cfg.Version,
		Fingerprint: c.cfg.Fingerprint, Instance: c.cfg.Instance,
	}
	rand.Read(hello.Nonce)
	if c.cfg.Briefs != nil {
		hello.Sessions = c.cfg.Briefs()
	}
	if c.cfg.Manifest != nil {
		hello.Manifest = c.cfg.Manifest()
	}
	if err := write(conn, signaling.Envelope{Type: signaling.TypeHello, Body: hello}); err != nil {
		return signaling.Welcome{}, err
	}
	challenge, err := expect[signaling.Challenge](conn)
	if err != nil {
		return signaling.Welcome{}, err
	}
	if err := c.checkGateway(hello, challenge); err != nil {
		return signaling.Welcome{}, err
	}
	proof := signaling.Proof{Signature: ed25519.Sign(c.cfg.Key, signaling.DeviceTranscript(hello, challenge))}
	if err := write(conn, signaling.Envelope{Type: signaling.TypeProof, Body: proof}); err != nil {
		return signaling.Welcome{}, err
	}
	return expect[signaling.Welcome](conn)
}

// checkGateway refuses a gateway that is not pinned, and moves the pins on when the pinned
// one names its successor or when the successor has taken over.
func (c *Client) checkGateway(hello signaling.Hello, ch signaling.Challenge) error {
	c.mu.Lock()
	pins := c.pins
	c.mu.Unlock()
	pinned := false
	for _, p := range pins {
		pinned = pinned || bytes.Equal(p, ch.GatewayKey)
	}
	if !pinned || !ed25519.Verify(ed25519.PublicKey(ch.GatewayKey), signaling.GatewayTranscript(hello, ch), ch.Signature) {
		return ErrGatewayKey
	}
	moved := []signaling.Key{ch.GatewayKey}
	if len(ch.NextKey) > 0 {
		if !ed25519.Verify(ed25519.PublicKey(ch.GatewayKey), signaling.NextKeyTranscript(ch.GatewayKey, ch.NextKey), ch.NextSignature) {
			return fmt.Errorf("its successor is not signed by it: %w", ErrGatewayKey)
		}
		moved = append(moved, ch.NextKey)
	}
	if samePins(pins, moved) {
		return nil
	}
	c.mu.Lock()
	c.pins = moved
	c.mu.Unlock()
	if c.cfg.OnPins != nil {
		if err := c.cfg.OnPins(moved); err != nil {
			c.log.Error("moved gateway pins could not be kept", "err", err)
		}
	}
	return nil
}

func samePins(a, b []signaling.Key) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if !bytes.Equal(a[i], b[i]) {
			return false
		}
	}
	return true
}

func write(conn *websocket.Conn, e signaling.Envelope) error {
	b, err := signaling.Encode(e)
	if err != nil {
		return err
	}
	return conn.WriteMessage(websocket.TextMessage, b)
}

func read(conn *websocket.Conn) (signaling.Envelope, error) {
	for {
		kind, frame, err := conn.ReadMessage()
		if err != nil {
			if errors.Is(err, os.ErrDeadlineExceeded) || isTimeout(err) {
				return signaling.Envelope{}, ErrSilent
			}
			return signaling.Envelope{}, err
		}
		if kind == websocket.TextMessage {
			return signaling.Decode(frame, signaling.FromGateway)
		}
	}
}

func isTimeout(err error) bool {
	var ne net.Error
	return errors.As(err, &ne) && ne.Timeout()
}

// expect reads the next message of the handshake, which must be a T or the gateway's refusal.
func expect[T any](conn *websocket.Conn) (T, error) {
	var zero T
	e, err := read(conn)
	if err != nil {
		return zero, fmt.Errorf("handshake: %w", err)
	}
	switch body := e.Body.(type) {
	case T:
		return body, nil
	case signaling.Refused:
		return zero, &RefusedError{body}
	case signaling.Error:
		return zero, fmt.Errorf("handshake: the gateway says %s: %s", body.Code, body.Message)
	}
	return zero, fmt.Errorf("handshake: unexpected %s", e.Type)
}

// serve runs a link that is up: this goroutine reads, another writes.
func (c *Client) serve(ctx context.Context, conn *websocket.Conn) error {
	l := &link{c: c, conn: conn, closed: make(chan struct{}), wrote: make(chan error, 1)}
	l.extend()
	conn.SetPingHandler(func(data string) error {
		l.extend()
		l.pinged.Store(&data)
		c.out.poke()
		return nil
	})
	conn.SetPongHandler(func(string) error { l.extend(); return nil })
	go l.write(ctx)
	err := l.read()
	close(l.closed)
	conn.Close() // ends a write that is stuck
	if why := <-l.wrote; why != nil {
		return why // the writer ended it, or met the fault first
	}
	return err
}

// link is one connection that is up.
type link struct {
	c      *Client
	conn   *websocket.Conn
	closed chan struct{}          // the reader is done
	wrote  chan error             // the writer is done; nil when the reader ended first
	busy   bool                   // of the writer: the link is watched closely
	pinged atomic.Pointer[string] // what a ping said that the writer has not answered
}

// extend gives the gateway until the end of the allowed silence to be heard again.
func (l *link) extend() {
	l.conn.SetReadDeadline(time.Now().Add(l.silence()))
}

// silence is how long nothing may be heard: two heartbeats, or less while a session lives.
func (l *link) silence() time.Duration {
	if l.c.isBusy() {
		return busySilence
	}
	beat := time.Duration(l.c.State().Welcome.HeartbeatMS) * time.Millisecond
	if beat <= 0 {
		beat = defaultHeartbeat
	}
	return 2 * beat
}

func (l *link) read() error {
	c := l.c
	for {
		e, err := read(l.conn)
		switch {
		case errors.Is(err, signaling.ErrUnknownType), errors.Is(err, signaling.ErrMalformed), errors.Is(err, signaling.ErrWrongSide),
			errors.Is(err, signaling.ErrVersion):
			l.extend()
			c.log.Warn("message from the gateway is refused", "err", err)
			c.answerError(e, err)
			continue
		case err != nil:
			return err
		}
		l.extend()
		switch body := e.Body.(type) {
		case signaling.Refused:
			return &RefusedError{body}
		case signaling.Revoked:
			return &RefusedError{signaling.Refused{Code: signaling.CodeRevoked, Message: body.Message}}
		case signaling.Welcome:
			c.welcome(body)
		case signaling.Drain:
			l.drain(body)
		default:
			if c.cfg.OnMessage != nil {
				c.cfg.OnMessage(e)
			}
			c.out.poke() // a session may have begun: the writer looks at its pace
		}
	}
}

func (c *Client) answerError(e signaling.Envelope, err error) {
	body := signaling.Error{Code: signaling.CodeOf(err), Message: "message refused"}
	if sendErr := c.out.add(signaling.Envelope{Type: signaling.TypeError, Re: e.ID, Body: body}); sendErr != nil {
		c.log.Warn("refusal could not be queued", "err", sendErr)
	}
}

// drain leaves this gateway when it said, spread over as much time again; until then the
// link goes on.
func (l *link) drain(d signaling.Drain) {
	after := time.Duration(min(max(d.ReconnectAfterMS, 0), 60_000)) * time.Millisecond
	t := time.AfterFunc(after+mathrand.N(after+100*time.Millisecond), func() { l.c.out.interrupt(ErrDrained) })
	go func() { <-l.closed; t.Stop() }()
}

// write sends what is queued and, while a session lives, pings. When ctx ends it sends
// what waits and says goodbye.
func (l *link) write(ctx context.Context) {
	err := l.writeUntil(ctx)
	select {
	case <-l.closed: // the reader knows better why
		err = nil
	default:
	}
	if errors.Is(err, ErrDrained) || errors.Is(err, errAsked) {
		l.sayClose(time.Now().Add(time.Second))
	}
	l.wrote <- err
	l.conn.Close() // ends the reader
}

func (l *link) writeUntil(ctx context.Context) error {
	var ticks <-chan time.Time
	var ticker *time.Ticker
	defer func() {
		if ticker != nil {
			ticker.Stop()
		}
	}()
	for {
		if err := l.flush(); err != nil {
			return err
		}
		if busy := l.c.isBusy(); busy != l.busy {
			l.busy = busy
			l.extend()
			if busy {
				ticker = time.NewTicker(busyPing)
				ticks = ticker.C
			} else {
				ticker.Stop()
				ticker, ticks = nil, nil
			}
		}
		select {
		case <-l.c.out.ready:
		case <-ticks:
			if err := l.conn.WriteControl(websocket.PingMessage, nil, time.Now().Add(writeTimeout)); err != nil {
				return err
			}
		case <-l.closed:
			return nil
		case <-ctx.Done():
			return l.goodbye(ctx)
		}
	}
}

// goodbye lets the gateway know at once that the device is gone.
func (l *link) goodbye(ctx context.Context) error {
	soon := time.Now().Add(time.Second)
	l.conn.SetWriteDeadline(soon)
	if err := l.flush(); err != nil {
		return err
	}
	l.sayClose(soon)
	l.conn.SetReadDeadline(soon)
	select {
	case <-l.closed: // the gateway's close came back
	case <-time.After(time.Second):
	}
	return ctx.Err()
}

// sayClose sends the closing frame; a peer that cannot take it sees the transport close.
func (l *link) sayClose(deadline time.Time) {
	text := websocket.FormatCloseMessage(websocket.CloseNormalClosure, "")
	if err := l.conn.WriteControl(websocket.CloseMessage, text, deadline); err != nil {
		l.c.log.Debug("closing frame was not sent", "err", err)
	}
}

func (l *link) flush() error {
	for {
		if data := l.pinged.Swap(nil); data != nil {
			// Without a deadline, whose timer would wake a device at rest once more for each
			// heartbeat: a gateway that does not take it hangs up, and the reader then does.
			if err := l.conn.WriteControl(websocket.PongMessage, []byte(*data), time.Time{}); err != nil {
				return err
			}
		}
		w, ok, stop := l.c.out.take()
		if stop != nil {
			return stop
		}
		if !ok {
			return nil
		}
		l.conn.SetWriteDeadline(time.Now().Add(writeTimeout))
		if err := write(l.conn, w.dated()); err != nil {
			l.c.out.putBack(w)
			return err
		}
		l.noDeadline()
		l.c.out.sent(w)
	}
}

// noDeadline lifts the deadline of a write that is through: it would wake a program at rest for
// nothing. Only the writer, whose deadlines they are, may.
func (l *link) noDeadline() { l.conn.NetConn().SetWriteDeadline(time.Time{}) }
