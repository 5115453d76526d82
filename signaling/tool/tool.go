// Package tool is what the tools of a support session, as the terminal or the live figures,
// see of the viewer they talk with: one channel of messages in order. What carries it, and
// who may use it, is not their business: a message of a viewer that may not send it never
// arrives, and when the right to the tool ends the channel does.
package tool

import (
	"context"
	"errors"

	"handrail/signaling"
)

// ErrClosed is returned by a Conn whose channel has ended: the viewer closed it or is gone,
// or may not use it any more.
var ErrClosed = errors.New("the tool's channel is closed")

// Message is one message of a channel: JSON as text, or bytes.
type Message struct {
	Text bool
	Data []byte // the receiver's to keep
}

// Conn is one viewer's channel to one tool. Recv may be called by one goroutine at a time,
// everything else by any.
type Conn interface {
	// Recv returns the next message, or ErrClosed. A tool that does not read loses the channel:
	// what may come is bounded by the tool's own protocol.
	Recv(ctx context.Context) (Message, error)
	// Send sends a message of at most signaling.MaxChannel bytes. It waits while the viewer is
	// behind, and returns ErrClosed once nobody will read it.
	Send(ctx context.Context, m Message) error
	// Session names the viewer's session; what outlives the channel is kept under it.
	Session() signaling.SessionID
	// Operator names the viewer's operator, for people.
	Operator() string
	// May reports whether the viewer may do what needs c at this moment.
	May(c signaling.Capability) bool
	// Require has the channel end like that of a tool without its right once the viewer may
	// not do what needs c: from now on it needs that too. It returns ErrClosed where that is so
	// already, and the channel has ended then.
	Require(c signaling.Capability) error
	// Note writes on the session's timeline what this viewer did with the tool, and how it ended.
	Note(what string)
}

// Serve talks with one viewer until ctx ends or the channel does. An error is told to the
// viewer in words.
type Serve func(ctx context.Context, c Conn) error
