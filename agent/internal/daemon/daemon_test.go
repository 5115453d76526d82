package daemon_test

import (
	"context"
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"handrail/agent/internal/daemon"
	"handrail/agent/internal/link"
	"handrail/agent/internal/prompt"
	"handrail/agent/internal/state"
	"handrail/gateway/gatewaytest"
	"handrail/mdm"
	"handrail/signaling"
	"handrail/signaling/client"
)

// device is an agent that runs in the test's process, without a display.
type device struct {
	t      *testing.T
	g      *gatewaytest.Gateway
	id     mdm.DeviceID
	cfg    daemon.Config
	daemon *daemon.Daemon
	stop   func()
}

func newDevice(t *testing.T, g *gatewaytest.Gateway, group mdm.GroupID) *device {
	t.Helper()
	t.Setenv("DISPLAY", "")
	dir, err := state.Open(filepath.Join(t.TempDir(), "state"))
	if err != nil {
		t.Fatal(err)
	}
	key, err := dir.Identity()
	if err != nil {
		t.Fatal(err)
	}
	fingerprint := mdm.NewID("hw")
	a, err := link.Enroll(t.Context(), link.Enrollment{
		Gateway: g.URL, Token: g.Token(group, 1, time.Hour), Key: key, Fingerprint: fingerprint, Hostname: "desk", Version: "test",
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := dir.SaveEnrollment(state.Enrollment{Gateway: g.URL, Device: a.DeviceID, Pins: []signaling.Key{a.GatewayKey}, FingerprintOf: "flag"}); err != nil {
		t.Fatal(err)
	}
	d := &device{t: t, g: g, id: mdm.DeviceID(a.DeviceID), cfg: daemon.Config{State: dir, Version: "test", Fingerprint: fingerprint, DesktopUID: -1, MaxBackoff: time.Second}}
	d.start()
	t.Cleanup(func() { d.stop() })
	return d
}

func (d *device) start() {
	d.t.Helper()
	var err error
	if d.daemon, err = daemon.New(d.cfg, slog.New(slog.NewTextHandler(d.t.Output(), nil))); err != nil {
		d.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- d.daemon.Run(ctx) }()
	d.stop = func() {
		cancel()
		if err := <-done; err != nil {
			d.t.Errorf("Run = %v", err)
		}
		d.stop = func() {}
	}
	d.until("link", func() bool { return d.daemon.Status().Link == string(client.Online) })
}

func (d *device) until(what string, ok func() bool) {
	d.t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	end := time.After(time.Minute)
	for !ok() {
		select {
		case <-tick.C:
		case <-end:
			d.t.Fatalf("no %s within a minute; status %+v", what, d.daemon.Status())
		}
	}
}

// companion connects as the person's window.
func (d *device) companion() *prompt.Conn {
	d.t.Helper()
	c, err := prompt.Dial(d.t.Context(), d.cfg.State.Path(daemon.SocketFile), prompt.RoleCompanion)
	if err != nil {
		d.t.Fatal(err)
	}
	d.t.Cleanup(func() { c.Close() })
	return c
}

func await(t *testing.T, c *prompt.Conn, match func(prompt.Message) bool) prompt.Message {
	t.Helper()
	for {
		m, err := c.Receive()
		if err != nil {
			t.Fatal(err)
		}
		if match(m) {
			return m
		}
	}
}

// request asks for a session as the administrator, from a browser that joins it.
func (d *device) request() (signaling.SessionID, *gatewaytest.Browser) {
	d.t.Helper()
	admin := d.g.Admin()
	b := d.g.DialBrowser(admin)
	dev, err := d.g.Rooms.Devices.Device(d.t.Context(), d.id)
	if err != nil {
		d.t.Fatal(err)
	}
	s, err := d.g.Rooms.Sessions.Request(d.t.Context(), d.g.Caller(admin), dev, "printer", signaling.SetOf(signaling.View, signaling.Control))
	if err != nil {
		d.t.Fatal(err)
	}
	b.Send(signaling.TypeSessionJoin, signaling.SessionJoin{Session: s.ID})
	return s.ID, b
}

func TestInventoryArrives(t *testing.T) {
	g := gatewaytest.Start(t, gatewaytest.Options{NoRelay: true})
	d := newDevice(t, g, mdm.RootGroup)
	d.until("inventory", func() bool {
		r, err := g.Rooms.Inventory.Report(t.Context(), d.id)
		return err == nil && r.Host != nil && r.Host.Hostname != "" && r.Agent != nil && r.Agent.Version == "test"
	})
}

func TestPersonConsentsAndStops(t *testing.T) {
	g := gatewaytest.Start(t, gatewaytest.Options{NoRelay: true})
	d := newDevice(t, g, mdm.RootGroup)
	c := d.companion()
	id, b := d.request()
	q := await(t, c, func(m prompt.Message) bool { return m.Type == prompt.TypeAsk }).Ask
	if q.Session != id || q.Operator.Name != "Ada Admin" || q.Reason != "printer" || q.Organisation != "Example Ltd" {
		t.Errorf("question = %+v", q)
	}
	c.Send(prompt.Message{Type: prompt.TypeShown, ID: q.ID})
	c.Send(prompt.Message{Type: prompt.TypeAnswer, Answer: &prompt.Reply{ID: q.ID, Accepted: true, Granted: signaling.SetOf(signaling.View)}})
	if s := b.AwaitState(signaling.StateConsented); s.Granted != signaling.SetOf(signaling.View) {
		t.Errorf("granted %v, want view alone", s.Granted.List())
	}
	shows := func(m prompt.Message) bool { return m.Type == prompt.TypeBanners && len(m.Banners) == 1 }
	if m := await(t, c, shows); m.Banners[0].Session != id || m.Banners[0].Operator.Name != "Ada Admin" {
		t.Errorf("banner = %+v", m.Banners[0])
	}
	c.Send(prompt.Message{Type: prompt.TypeCommand, Command: &prompt.Command{Session: id, Kind: prompt.Stop}})
	d.until("end of the session", func() bool {
		s, err := g.Rooms.Sessions.Session(t.Context(), id)
		return err == nil && s.State == signaling.StateEnded
	})
	await(t, c, func(m prompt.Message) bool { return m.Type == prompt.TypeBanners && len(m.Banners) == 0 })
}

func TestPersonDeclines(t *testing.T) {
	g := gatewaytest.Start(t, gatewaytest.Options{NoRelay: true})
	d := newDevice(t, g, mdm.RootGroup)
	c := d.companion()
	_, b := d.request()
	q := await(t, c, func(m prompt.Message) bool { return m.Type == prompt.TypeAsk }).Ask
	c.Send(prompt.Message{Type: prompt.TypeShown, ID: q.ID})
	c.Send(prompt.Message{Type: prompt.TypeAnswer, Answer: &prompt.Reply{ID: q.ID}})
	b.AwaitState(signaling.StateDeclined)
}

func TestNobodyToAskIsRefusal(t *testing.T) {
	g := gatewaytest.Start(t, gatewaytest.Options{NoRelay: true})
	d := newDevice(t, g, mdm.RootGroup)
	_, b := d.request()
	if s := b.AwaitState(signaling.StateDeclined); s.Message == "" {
		t.Error("the operator is not told why")
	}
}

func TestSessionOutlivesTheAgent(t *testing.T) {
	g := gatewaytest.Start(t, gatewaytest.Options{NoRelay: true})
	d := newDevice(t, g, g.Group("kiosks", "view", "control"))
	id, b := d.request()
	b.AwaitState(signaling.StateConsented)
	d.stop()
	d.start()
	c := d.companion()
	await(t, c, func(m prompt.Message) bool {
		return m.Type == prompt.TypeBanners && len(m.Banners) == 1 && m.Banners[0].Session == id
	})
	if err := g.Rooms.Sessions.End(t.Context(), g.Caller(g.Admin()), id, "done"); err != nil {
		t.Fatal(err)
	}
	await(t, c, func(m prompt.Message) bool { return m.Type == prompt.TypeBanners && len(m.Banners) == 0 })
}

func TestRevocationEndsSessions(t *testing.T) {
	g := gatewaytest.Start(t, gatewaytest.Options{NoRelay: true})
	d := newDevice(t, g, g.Group("kiosks", "view"))
	c := d.companion()
	_, b := d.request()
	b.AwaitState(signaling.StateConsented)
	await(t, c, func(m prompt.Message) bool { return m.Type == prompt.TypeBanners && len(m.Banners) == 1 })
	g.Revoke(d.id)
	await(t, c, func(m prompt.Message) bool { return m.Type == prompt.TypeBanners && len(m.Banners) == 0 })
	d.until("word of the revocation", func() bool { return d.daemon.Status().Code == signaling.CodeRevoked })
}

func TestGatewayRestartKeepsTheSession(t *testing.T) {
	g := gatewaytest.Start(t, gatewaytest.Options{NoRelay: true})
	d := newDevice(t, g, g.Group("kiosks", "view"))
	id, b := d.request()
	b.AwaitState(signaling.StateConsented)
	start := time.Now()
	g.Restart()
	d.until("link", func() bool { return d.daemon.Status().Link == string(client.Online) })
	t.Logf("back %v after the restart began", time.Since(start).Round(time.Millisecond))
	if d.daemon.Status().Sessions != 1 {
		t.Error("the session was lost with the gateway")
	}
	if err := g.Rooms.Sessions.End(t.Context(), g.Caller(g.Admin()), id, "done"); err != nil {
		t.Fatal(err)
	}
	d.until("end of the session", func() bool { return d.daemon.Status().Sessions == 0 })
}
