package prompt

import (
	"context"
	"errors"
	"net"
	"sync"
	"time"

	"handrail/agent/internal/state"
)

// Conn is a client's end. Send is safe for concurrent use; Receive is for one goroutine.
type Conn struct {
	conn  net.Conn
	lines *lineReader
	mu    sync.Mutex
}

// Dial connects to a daemon's socket in the given role.
func Dial(ctx context.Context, socket string, role Role) (*Conn, error) {
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "unix", socket)
	if err != nil {
		return nil, err
	}
	c := &Conn{conn: conn, lines: newLines(conn)}
	if err := c.Send(Message{Type: TypeHello, Hello: &Hello{Version: Version, Role: role}}); err != nil {
		conn.Close()
		return nil, err
	}
	return c, nil
}

// Send sends one message.
func (c *Conn) Send(m Message) error {
	b, err := Encode(m)
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.conn.SetWriteDeadline(time.Now().Add(helloWithin))
	_, err = c.conn.Write(b)
	return err
}

// Receive blocks for the next message; any error ends the conversation.
func (c *Conn) Receive() (Message, error) { return c.lines.next() }

// Close hangs up.
func (c *Conn) Close() error { return c.conn.Close() }

// FetchStatus asks a running daemon how it is.
func FetchStatus(ctx context.Context, socket string) (state.Status, error) {
	c, err := Dial(ctx, socket, RoleStatus)
	if err != nil {
		return state.Status{}, err
	}
	defer c.Close()
	defer context.AfterFunc(ctx, func() { c.Close() })()
	m, err := c.Receive()
	if err != nil {
		return state.Status{}, err
	}
	if m.Type != TypeStatus {
		return state.Status{}, errors.New("the agent did not answer with its status")
	}
	return *m.Status, nil
}
