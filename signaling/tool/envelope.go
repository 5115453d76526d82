package tool

import (
	"context"
	"errors"
	"fmt"

	"handrail/signaling"
)

// Tell sends one message as an envelope in a text frame; re is the id of what it answers, or "".
// It fails for what no viewer would take, and returns ErrClosed once nobody will read it.
func Tell(ctx context.Context, c Conn, t signaling.Type, re string, body any) error {
	b, err := signaling.Encode(signaling.Envelope{Type: t, Re: re, Body: body})
	if err != nil {
		return err
	}
	if len(b) > signaling.MaxChannel {
		return fmt.Errorf("%s of %d bytes: %w", t, len(b), signaling.ErrTooLarge)
	}
	return c.Send(ctx, Message{Text: true, Data: b})
}

// Asked hands on what the viewer says, for tools that speak in envelopes and do so from one loop.
// The context it returns ends when the channel does, or when something comes that is no message;
// context.Cause then says why, which is what the tool returns. Stop must be called in the end.
func Asked(ctx context.Context, c Conn) (_ context.Context, asked <-chan signaling.Envelope, stop func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	out := make(chan signaling.Envelope)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		cancel(listen(ctx, c, out))
	}()
	return ctx, out, func() {
		cancel(nil)
		<-ended
	}
}

func listen(ctx context.Context, c Conn, out chan<- signaling.Envelope) error {
	for {
		m, err := c.Recv(ctx)
		if err != nil {
			return err
		}
		if !m.Text {
			return errors.New("this tool is spoken to in text")
		}
		e, err := signaling.Decode(m.Data, signaling.FromViewer)
		if err != nil {
			return err
		}
		select {
		case out <- e:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// NotFor is the error for a message that belongs to another tool.
func NotFor(e signaling.Envelope) error { return fmt.Errorf("%s is not for this tool", e.Type) }

// Room is what one message of a list may hold, in bytes as Weight counts them: less than
// signaling.MaxChannel by what the message needs besides.
const Room = signaling.MaxChannel - 8<<10

// Weight is the most bytes that texts take in a message. A device's texts are anybody's, and a
// character that JSON must hide takes up to six times its room.
func Weight(texts ...string) int {
	n := 0
	for _, s := range texts {
		n += len(s) + 2
		for i := range len(s) {
			switch b := s[i]; {
			case b < ' ' || b == '<' || b == '>' || b == '&':
				n += 5
			case b == '"' || b == '\\':
				n++
			case b == 0xe2: // of U+2028 and U+2029
				n += 3
			}
		}
	}
	return n
}
