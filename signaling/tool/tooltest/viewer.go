// Package tooltest is a viewer for tests of tools: the other end of a tool's channel, without a
// network between.
package tooltest

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"handrail/signaling"
	"handrail/signaling/tool"
)

// patience is how long a test waits for what must come: long enough for a machine with much else to do.
const patience = 2 * time.Minute

// Viewer is the channel as its tool sees it, a tool.Conn, and what a test does at its other end.
type Viewer struct {
	t      *testing.T
	in     chan tool.Message
	out    chan signaling.Envelope
	ctx    context.Context //nolint:containedctx // of the channel
	cancel context.CancelFunc
	ended  chan error

	mu    sync.Mutex
	may   signaling.CapabilitySet
	notes []string
}

// Serve starts a tool with a viewer that may do what is given. The tool has ended when the test does.
func Serve(t *testing.T, serve tool.Serve, may ...signaling.Capability) *Viewer {
	t.Helper()
	v := &Viewer{t: t, in: make(chan tool.Message, 64), out: make(chan signaling.Envelope, 4096), ended: make(chan error, 1), may: signaling.SetOf(may...)}
	v.ctx, v.cancel = context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		v.ended <- serve(v.ctx, v)
	}()
	t.Cleanup(func() {
		v.cancel()
		select {
		case <-done:
		case <-time.After(patience):
			t.Error("the tool does not end with its channel")
		}
	})
	return v
}

// Recv implements tool.Conn.
func (v *Viewer) Recv(ctx context.Context) (tool.Message, error) {
	select {
	case m := <-v.in:
		return m, nil
	case <-v.ctx.Done():
		return tool.Message{}, tool.ErrClosed
	case <-ctx.Done():
		return tool.Message{}, ctx.Err()
	}
}

// Send implements tool.Conn. What no viewer would take is an error of the test.
func (v *Viewer) Send(ctx context.Context, m tool.Message) error {
	e, err := signaling.Decode(m.Data, signaling.FromHelper)
	if err != nil {
		v.t.Errorf("the tool says what is no message: %v", err)
		return err
	}
	if len(m.Data) > signaling.MaxChannel {
		v.t.Errorf("%s of %d bytes is over what a channel takes", e.Type, len(m.Data))
	}
	select {
	case v.out <- e:
		return nil
	case <-v.ctx.Done():
		return tool.ErrClosed
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Session implements tool.Conn.
func (v *Viewer) Session() signaling.SessionID { return "ses_test" }

// Operator implements tool.Conn.
func (v *Viewer) Operator() string { return "Ada" }

// May implements tool.Conn.
func (v *Viewer) May(c signaling.Capability) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.may.Has(c)
}

// Require implements tool.Conn; it does not watch what comes after.
func (v *Viewer) Require(c signaling.Capability) error {
	if !v.May(c) {
		v.cancel()
		return tool.ErrClosed
	}
	return nil
}

// Note implements tool.Conn.
func (v *Viewer) Note(what string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.notes = append(v.notes, what)
}

// Notes returns what was written on the timeline so far.
func (v *Viewer) Notes() []string {
	v.mu.Lock()
	defer v.mu.Unlock()
	return slices.Clone(v.notes)
}

// Allow sets what the viewer may do from now on.
func (v *Viewer) Allow(may ...signaling.Capability) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.may = signaling.SetOf(may...)
}

// Say sends a message to the tool, if it is one that a viewer may send.
func (v *Viewer) Say(t signaling.Type, id string, body any) {
	v.t.Helper()
	b, err := signaling.Encode(signaling.Envelope{Type: t, ID: id, Body: body})
	if err != nil {
		v.t.Fatal(err)
	}
	v.SayText(string(b))
}

// SayText sends a text as it is.
func (v *Viewer) SayText(text string) { v.in <- tool.Message{Text: true, Data: []byte(text)} }

// Leave closes the channel from the viewer's side.
func (v *Viewer) Leave() { v.cancel() }

// End waits until the tool has ended, and returns how.
func (v *Viewer) End() error {
	v.t.Helper()
	for {
		select {
		case err := <-v.ended:
			v.ended <- err
			return err
		case <-v.out:
		case <-time.After(patience):
			v.t.Fatal("the tool does not end")
		}
	}
}

// Next returns the next message the tool sends.
func (v *Viewer) Next() signaling.Envelope {
	v.t.Helper()
	select {
	case e := <-v.out:
		return e
	default:
	}
	select {
	case e := <-v.out:
		return e
	case err := <-v.ended:
		v.ended <- err
		v.t.Fatalf("the tool has ended: %v", err)
	case <-time.After(patience):
		v.t.Fatal("nothing comes from the tool")
	}
	return signaling.Envelope{}
}

// Await passes over what the tool sends to the first body of a kind that fits.
func Await[T any](v *Viewer, what string, fits func(T) bool) T {
	v.t.Helper()
	limit := time.Now().Add(patience)
	for time.Now().Before(limit) {
		if b, ok := v.Next().Body.(T); ok && (fits == nil || fits(b)) {
			return b
		}
	}
	v.t.Fatalf("what comes never is %s", what)
	panic("unreachable")
}
