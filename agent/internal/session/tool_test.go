package session_test

import (
	"context"
	"encoding/binary"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pion/webrtc/v4"

	"handrail/agent/internal/session"
	"handrail/signaling"
	"handrail/signaling/tool"
)

// bench is a viewer's channel to a tool.
type bench struct {
	v    *viewer
	dc   *webrtc.DataChannel
	text []string
	data [][]byte
	open bool
	shut bool
}

// opens opens a channel to a tool; what comes over it is noted under the viewer's lock.
func (v *viewer) opens(name string) *bench {
	v.d.t.Helper()
	dc, err := v.pc.CreateDataChannel(signaling.ChannelTool+name, nil)
	if err != nil {
		v.d.t.Fatal(err)
	}
	b := &bench{v: v, dc: dc}
	dc.OnOpen(func() { v.note(func() { b.open = true }) })
	dc.OnClose(func() { v.note(func() { b.shut = true }) })
	dc.OnMessage(func(m webrtc.DataChannelMessage) {
		v.note(func() {
			if m.IsString {
				b.text = append(b.text, string(m.Data))
			} else {
				b.data = append(b.data, m.Data)
			}
		})
	})
	v.until("open channel", func() bool { return b.open || b.shut })
	return b
}

// ended waits for the end of a tool and returns why, as it was said on its channel.
func (b *bench) ended() signaling.Code {
	b.v.d.t.Helper()
	b.v.until("end of the tool", func() bool { return b.shut })
	b.v.mu.Lock()
	defer b.v.mu.Unlock()
	for _, text := range b.text {
		if e, err := signaling.Decode([]byte(text), signaling.FromHelper); err == nil {
			if s, ok := e.Body.(signaling.Say); ok && s.Message != "" {
				return s.Code
			}
		}
	}
	return ""
}

// echo answers each message with the same, and notes texts.
type echo struct{ served, ended atomic.Int32 }

func (x *echo) serve(ctx context.Context, c tool.Conn) error {
	x.served.Add(1)
	defer x.ended.Add(1)
	for {
		m, err := c.Recv(ctx)
		if err != nil {
			return err
		}
		if string(m.Data) == "fail" {
			return errors.New("the disk is full")
		}
		if m.Text {
			c.Note("echoed " + string(m.Data))
		}
		if err := c.Send(ctx, m); err != nil {
			return err
		}
	}
}

func newToolDevice(t *testing.T) (*device, *echo) {
	x := &echo{}
	d := newDevice(t, func(c *session.Config) {
		c.Tools = map[string]session.Tool{"echo": {Need: signaling.Terminal, Serve: x.serve}}
	})
	return d, x
}

func TestToolTalks(t *testing.T) {
	d, x := newToolDevice(t)
	v := d.announce(d.begin(all), "Ada", all)
	v.connect()
	a, b := v.opens("echo"), v.opens("echo")
	if err := errors.Join(a.dc.SendText("hello"), a.dc.Send([]byte{1, 2, 3})); err != nil {
		t.Fatal(err)
	}
	d.gw.event(signaling.EventToolUsed) // the timeline is in the order of what happened, so one thing after the other
	if err := b.dc.SendText("other"); err != nil {
		t.Fatal(err)
	}
	v.until("answers", func() bool { return len(a.text) == 1 && len(a.data) == 1 && len(b.text) == 1 })
	if a.text[0] != "hello" || string(a.data[0]) != "\x01\x02\x03" || b.text[0] != "other" {
		t.Errorf("answers %q %v %q", a.text, a.data, b.text)
	}
	_ = a.dc.Close()
	for kind, want := range map[signaling.EventKind]string{
		signaling.EventToolOpened: "echo", signaling.EventToolUsed: "echo: echoed hello", signaling.EventToolClosed: "echo",
	} {
		if e := d.gw.event(kind); e.Detail != want || e.Peer != v.id {
			t.Errorf("timeline has %s %q by %s, want %q by the viewer", kind, e.Detail, e.Peer, want)
		}
	}
	if err := b.dc.SendText("fail"); err != nil {
		t.Fatal(err)
	}
	if code := b.ended(); code != signaling.CodeInternal || !strings.Contains(strings.Join(b.text, " "), "the disk is full") {
		t.Errorf("a tool that fails ends with %q and says %q", code, b.text)
	}
	v.hangUp()
	d.stop()
	if x.served.Load() != 2 || x.ended.Load() != 2 {
		t.Errorf("%d served, %d ended, want 2 and 2", x.served.Load(), x.ended.Load())
	}
}

// TestToolWithoutAGrant: whatever the gateway says a viewer may do, what the session does not
// hold never reaches a tool.
func TestToolWithoutAGrant(t *testing.T) {
	d, x := newToolDevice(t)
	v := d.announce(d.begin(signaling.SetOf(signaling.View, signaling.Diagnostics)), "Mallory", all)
	v.connect()
	b := v.opens("echo")
	_ = b.dc.SendText("rm -rf /")
	if code := b.ended(); code != signaling.CodeNotGranted {
		t.Errorf("an ungranted tool ends with %q", code)
	}
	wait(d.gw, "event for the tool", func(e signaling.SessionEvent) bool {
		return e.Kind == signaling.EventRefusedFrame && strings.HasPrefix(e.Detail, "tool echo")
	})
	if code := v.opens("nonsense").ended(); code != signaling.CodeNotFound {
		t.Errorf("a tool there is not ends with %q", code)
	}
	if n := x.served.Load(); n != 0 {
		t.Errorf("the tool was served %d times", n)
	}
}

func TestToolEndsWithItsRight(t *testing.T) {
	for name, tt := range map[string]struct {
		take func(d *device, v *viewer)
		code signaling.Code
	}{
		"taken back": {func(d *device, v *viewer) {
			d.handle(signaling.SessionViewer{Session: v.ses, Peer: v.id, Operator: signaling.Operator{Name: "Ada"}, Capabilities: signaling.SetOf(signaling.View)})
		}, signaling.CodeNotGranted},
		"paused":  {func(d *device, v *viewer) { d.host.Pause(v.ses, "ana") }, signaling.CodePaused},
		"dropped": {func(d *device, v *viewer) { d.host.Drop(v.ses, signaling.Terminal, "ana") }, signaling.CodeNotGranted},
	} {
		t.Run(name, func(t *testing.T) {
			d, x := newToolDevice(t)
			v := d.announce(d.begin(all), "Ada", all)
			v.connect()
			b := v.opens("echo")
			if err := b.dc.SendText("x"); err != nil {
				t.Fatal(err)
			}
			v.until("an answer", func() bool { return len(b.text) == 1 })
			tt.take(d, v)
			if code := b.ended(); code != tt.code {
				t.Errorf("the tool ends with %q, want %q", code, tt.code)
			}
			v.hangUp()
			d.stop()
			if x.ended.Load() != 1 {
				t.Error("the tool goes on on the device")
			}
		})
	}
}

// TestToolRequiresMore: a tool may need more rights for what it was asked to do, and ends with each
// of them.
func TestToolRequiresMore(t *testing.T) {
	serve := func(ctx context.Context, c tool.Conn) error {
		if !c.May(signaling.Root) || c.May(signaling.Files) || c.Operator() != "Ada" {
			return errors.New("the tool sees other rights than there are")
		}
		if err := c.Require(signaling.Root); err != nil {
			return err
		}
		if err := c.Send(ctx, tool.Message{Text: true, Data: []byte(c.Session())}); err != nil {
			return err
		}
		m, err := c.Recv(ctx)
		if err == nil {
			err = c.Require(signaling.Capability(m.Data))
		}
		return errors.Join(err, ctx.Err())
	}
	over := make(chan signaling.SessionID, 1)
	d := newDevice(t, func(c *session.Config) {
		c.Tools = map[string]session.Tool{"sudo": {Need: signaling.Terminal, Serve: serve, Over: func(s signaling.SessionID) { over <- s }}}
	})
	v := d.announce(d.begin(all&^signaling.SetOf(signaling.Files)), "Ada", all)
	v.connect()
	a, b := v.opens("sudo"), v.opens("sudo")
	v.until("the sessions", func() bool { return len(a.text) == 1 && len(b.text) == 1 })
	if a.text[0] != string(v.ses) {
		t.Errorf("the tool is in session %q, want %q", a.text[0], v.ses)
	}
	if err := a.dc.SendText(string(signaling.Files)); err != nil {
		t.Fatal(err)
	}
	if code := a.ended(); code != signaling.CodeNotGranted {
		t.Errorf("a tool that requires what there is not ends with %q", code)
	}
	d.host.Drop(v.ses, signaling.Root, "ana")
	if code := b.ended(); code != signaling.CodeNotGranted || !strings.Contains(strings.Join(b.text, " "), "not granted: root") {
		t.Errorf("without root it ends with %q: %q", code, b.text)
	}
	d.host.Stop(v.ses, "ana")
	select {
	case s := <-over:
		if s != v.ses {
			t.Errorf("session %q is over, want %q", s, v.ses)
		}
	case <-time.After(patience):
		t.Error("the tool does not hear that the session is over")
	}
}

// TestToolFlood: a viewer that sends more than a tool reads loses the channel, and nothing else.
func TestToolFlood(t *testing.T) {
	stuck := func(ctx context.Context, _ tool.Conn) error { <-ctx.Done(); return nil }
	d := newDevice(t, func(c *session.Config) {
		c.Tools = map[string]session.Tool{"stuck": {Need: signaling.Terminal, Serve: stuck}}
	})
	v := d.announce(d.begin(all), "Ada", all)
	v.connect()
	b := v.opens("stuck")
	for range 1000 {
		if b.dc.Send(make([]byte, 1000)) != nil {
			break
		}
	}
	if code := b.ended(); code != signaling.CodeRateLimited {
		t.Errorf("a flood ends with %q", code)
	}
	big := v.opens("stuck")
	_ = big.dc.Send(make([]byte, signaling.MaxChannel+1))
	if code := big.ended(); code != signaling.CodeTooLarge {
		t.Errorf("a message that is too large ends with %q", code)
	}
	var kept []*bench
	for range 32 {
		kept = append(kept, v.opens("stuck"))
	}
	opened := func(e signaling.SessionEvent) bool { return e.Kind == signaling.EventToolOpened }
	waitFor(d.gw, "32 tools that are served, after the two before", 34, opened)
	if code := v.opens("stuck").ended(); code != signaling.CodeBusy {
		t.Errorf("the 33rd channel ends with %q", code)
	}
	_ = kept[0].dc.Close()
	v.say(signaling.TypeMonitorSelect, signaling.MonitorSelect{Monitor: 0})
	v.pong(7)
}

// TestToolSendsAtThePaceOfItsViewer: what is sent waits in the tool and not in memory.
func TestToolSendsAtThePaceOfItsViewer(t *testing.T) {
	const blocks, size = 600, 48 << 10
	flow := func(ctx context.Context, c tool.Conn) error {
		b := make([]byte, size)
		for n := range blocks {
			binary.BigEndian.PutUint32(b, uint32(n)) //nolint:gosec // small
			if err := c.Send(ctx, tool.Message{Data: b}); err != nil {
				return err
			}
		}
		_, err := c.Recv(ctx)
		return err
	}
	d := newDevice(t, func(c *session.Config) {
		c.Tools = map[string]session.Tool{"flow": {Need: signaling.Files, Serve: flow}}
	})
	v := d.announce(d.begin(all), "Ada", all)
	v.connect()
	b := v.opens("flow")
	v.until("all blocks", func() bool { return len(b.data) == blocks })
	for n, block := range b.data {
		if len(block) != size || binary.BigEndian.Uint32(block) != uint32(n) { //nolint:gosec // small
			t.Fatalf("block %d is number %d with %d bytes", n, binary.BigEndian.Uint32(block), len(block))
		}
	}
}
