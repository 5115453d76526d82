package session

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"

	"github.com/pion/webrtc/v4"

	"handrail/signaling"
	"handrail/signaling/tool"
)

// What one viewer may send a second over a tool's channel, and what may wait on it in either
// direction. Blocks of files are the most there is; what waits to be sent is kept small, as keys and
// pictures of the same connection queue behind it.
const (
	toolFrames, toolBytes = 4000, 64 << 20
	toolQueue             = 64        // messages that the tool has not read
	toolWindow            = 256 << 10 // bytes
)

// toolbox is the tools one connection has open.
type toolbox struct {
	mu   sync.Mutex
	open map[*toolConn]struct{}
}

// add takes a channel in, unless there are too many.
func (b *toolbox) add(c *toolConn) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.open) >= maxTools {
		return false
	}
	if b.open == nil {
		b.open = map[*toolConn]struct{}{}
	}
	b.open[c] = struct{}{}
	return true
}

func (b *toolbox) remove(c *toolConn) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.open, c)
}

// heed ends the tools that the rights allow no more.
func (b *toolbox) heed(g *gate) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for c := range b.open {
		c.heed(g)
	}
}

// toolConn is one tool's channel; it is the tool.Conn of its tool.
type toolConn struct {
	*channel
	p    *peer
	name string
	need signaling.Capability // of the tool
	more atomic.Uint32        // capabilities the tool required since, a signaling.CapabilitySet

	ctx    context.Context //nolint:containedctx // of the channel
	cancel context.CancelCauseFunc
	in     chan tool.Message
	low    chan struct{} // has a value when there is room to send
}

// endedBy is why a tool was ended from this side.
type endedBy struct {
	code signaling.Code
	need signaling.Capability
}

func (e endedBy) Error() string { return string(e.code) }

// openTool takes a channel to a tool; called by pion before its first message.
func (p *peer) openTool(dc *webrtc.DataChannel, name string) {
	t := p.host.cfg.Tools[name]
	c := &toolConn{
		channel: newChannel(dc, toolFrames, toolBytes, 0), p: p, name: name, need: t.Need,
		in: make(chan tool.Message, toolQueue), low: make(chan struct{}, 1),
	}
	c.ctx, c.cancel = context.WithCancelCause(p.ctx)
	dc.SetBufferedAmountLowThreshold(toolWindow / 2)
	dc.OnBufferedAmountLow(func() {
		select {
		case c.low <- struct{}{}:
		default:
		}
	})
	dc.OnMessage(c.take)
	dc.OnClose(func() { c.cancel(tool.ErrClosed) })
	dc.OnOpen(func() { p.host.spawn(func() { c.run(t) }) })
}

// run serves the channel to its end, and says why it ended.
func (c *toolConn) run(t Tool) {
	defer c.cancel(tool.ErrClosed)
	code, words := c.serve(t)
	if code != "" {
		c.sayWhy(code, words)
	}
	c.p.do(func() { _ = c.dc.Close() })
}

func (c *toolConn) serve(t Tool) (signaling.Code, string) {
	if t.Serve == nil {
		return signaling.CodeNotFound, "This device does not have that tool."
	}
	if !c.p.tools.add(c) {
		return signaling.CodeBusy, "Too many tools are open; close one first."
	}
	defer c.p.tools.remove(c)
	if code := c.p.gate.check(c.need); code != "" { // after add, so that heed misses nobody
		c.p.refuse("tool "+c.name, c.need, code, refusalText(code, c.need))
		return code, refusalText(code, c.need)
	}
	c.note(signaling.EventToolOpened, c.name)
	defer c.note(signaling.EventToolClosed, c.name)
	err := t.Serve(c.ctx, c)
	var by endedBy
	switch {
	case errors.As(context.Cause(c.ctx), &by):
		return by.code, refusalText(by.code, by.need)
	case err == nil, c.ctx.Err() != nil, errors.Is(err, tool.ErrClosed):
		return "", ""
	}
	c.p.log.Info("tool failed", "tool", c.name, "error", err)
	return signaling.CodeInternal, shorten(err.Error(), 512)
}

// end stops the tool from this side.
func (c *toolConn) end(code signaling.Code) { c.cancel(endedBy{code, c.need}) }

// heed ends the tool where the rights do not allow it, and reports whether they do.
func (c *toolConn) heed(g *gate) bool {
	if !c.heeds(g, c.need) {
		return false
	}
	for more := signaling.CapabilitySet(c.more.Load()); more != 0; { //nolint:gosec // was one
		need := more.List()[0]
		if !c.heeds(g, need) {
			return false
		}
		more &^= signaling.SetOf(need)
	}
	return true
}

func (c *toolConn) heeds(g *gate, need signaling.Capability) bool {
	code := g.check(need)
	if code != "" {
		c.cancel(endedBy{code, need})
	}
	return code == ""
}

// take takes a message in. It does not wait for the tool: a connection has one receive
// window, and keys wait in it too.
func (c *toolConn) take(m webrtc.DataChannelMessage) {
	switch {
	case c.ctx.Err() != nil:
		return // what is still on its way
	case !c.allows(len(m.Data)):
		c.end(signaling.CodeRateLimited)
		return
	case len(m.Data) > signaling.MaxChannel:
		c.end(signaling.CodeTooLarge)
		return
	}
	if !c.heed(c.p.gate) {
		return
	}
	select {
	case c.in <- tool.Message{Text: m.IsString, Data: m.Data}:
	default:
		c.end(signaling.CodeRateLimited)
	}
}

func (c *toolConn) Recv(ctx context.Context) (tool.Message, error) {
	select {
	case m := <-c.in:
		if c.ctx.Err() == nil {
			return m, nil
		}
	case <-ctx.Done():
		if c.ctx.Err() == nil {
			return tool.Message{}, ctx.Err()
		}
	case <-c.ctx.Done():
	}
	return tool.Message{}, tool.ErrClosed
}

func (c *toolConn) Send(ctx context.Context, m tool.Message) error {
	for c.dc.BufferedAmount() > toolWindow {
		select {
		case <-c.low:
		case <-c.ctx.Done():
			return tool.ErrClosed
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	if c.ctx.Err() != nil || !c.isOpen() {
		return tool.ErrClosed
	}
	if !c.heed(c.p.gate) {
		return tool.ErrClosed
	}
	var err error
	if m.Text {
		err = c.dc.SendText(string(m.Data))
	} else {
		err = c.dc.Send(m.Data)
	}
	if err != nil {
		return tool.ErrClosed
	}
	return nil
}

func (c *toolConn) Session() signaling.SessionID { return c.p.session }

func (c *toolConn) Operator() string { return c.p.operator }

func (c *toolConn) May(need signaling.Capability) bool { return c.p.gate.check(need) == "" }

func (c *toolConn) Require(need signaling.Capability) error {
	for {
		old := c.more.Load()
		if c.more.CompareAndSwap(old, old|uint32(signaling.SetOf(need))) {
			break
		}
	}
	if !c.heed(c.p.gate) { // after the change, so that a right lost meanwhile is not missed
		return tool.ErrClosed
	}
	return nil
}

func (c *toolConn) Note(what string) { c.note(signaling.EventToolUsed, c.name+": "+what) }

// note is for the record, which outlives the connection.
func (c *toolConn) note(kind signaling.EventKind, detail string) {
	h := c.p.host
	h.post(func() {
		if s := h.sessions[c.p.session]; s != nil {
			s.event(kind, c.p.id, shorten(detail, signaling.MaxText))
		}
	})
}

// sayWhy tells the viewer, on the tool's own channel, why it ends.
func (c *toolConn) sayWhy(code signaling.Code, words string) {
	b, err := signaling.Encode(signaling.Envelope{Type: signaling.TypeSay, Body: signaling.Say{Code: code, Message: words, What: c.name}})
	if err == nil && c.isOpen() {
		_ = c.dc.SendText(string(b)) // as sendText's
	}
}
