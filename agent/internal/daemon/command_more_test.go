package daemon_test

import (
	"crypto/ed25519"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"handrail/agent/internal/prompt"
	"handrail/gateway/gatewaytest"
	"handrail/mdm"
	"handrail/mdm/command"
	"handrail/signaling/client"
)

func TestMessageIsShown(t *testing.T) {
	g := gatewaytest.Start(t, gatewaytest.Options{NoRelay: true})
	admin := g.Admin()
	d := newDevice(t, g, mdm.RootGroup)
	id := d.order(admin, command.Message, map[string]string{"title": "Tonight", "text": "We restart\nat eight."})
	d.until("fetch", func() bool {
		c, err := g.Rooms.Commands.Command(t.Context(), command.ID(id))
		return err == nil && c.State == command.Sent
	})
	c := d.companion() // who comes later sees it too
	n := await(t, c, func(m prompt.Message) bool { return m.Type == prompt.TypeNotice }).Notice
	if n.Title != "Tonight" || n.Text != "We restart\nat eight." || n.From != "Ada Admin" || n.Organisation != "Example Ltd" {
		t.Errorf("notice = %+v", n)
	}
	c.Send(prompt.Message{Type: prompt.TypeShown, ID: n.ID})
	if s := d.outcome(admin, id); s.State != "succeeded" || !strings.HasPrefix(s.Message, "shown to ") {
		t.Errorf("%+v", s)
	}
}

func (d *device) key() ed25519.PublicKey {
	d.t.Helper()
	dev, err := d.g.Rooms.Devices.Device(d.t.Context(), d.id)
	if err != nil {
		d.t.Fatal(err)
	}
	return dev.PublicKey
}

func (d *device) ownKey() ed25519.PrivateKey {
	d.t.Helper()
	key, err := d.cfg.State.Identity()
	if err != nil {
		d.t.Fatal(err)
	}
	return key
}

func TestKeyIsRotated(t *testing.T) {
	g := gatewaytest.Start(t, gatewaytest.Options{NoRelay: true})
	d := newDevice(t, g, mdm.RootGroup)
	admin := g.Admin()
	old := d.ownKey()
	if s := d.outcome(admin, d.order(admin, command.RotateKey, nil)); s.State != "succeeded" {
		t.Errorf("%+v", s)
	}
	next := d.ownKey()
	if next.Equal(old) || !next.Public().(ed25519.PublicKey).Equal(d.key()) || d.cfg.State.HasRotationKey() {
		t.Error("gateway and device do not agree on a new key")
	}
	d.until("link", func() bool { return d.daemon.Status().Link == string(client.Online) })
	// The new key works from scratch, the old one does not.
	d.stop()
	twin := gatewaytest.Device{ID: d.id, Key: old, Fingerprint: d.cfg.Fingerprint, Pins: g.Enroll("other", "").Pins}
	if s := g.StartAgent(twin, nil).AwaitPhase(client.Stopped); !strings.Contains(s.Err.Error(), "unauthorized") {
		t.Errorf("the old key: %v", s.Err)
	}
	d.start()
	if s := d.outcome(admin, d.order(admin, command.RefreshInventory, nil)); s.State != "succeeded" {
		t.Errorf("a command after the change: %+v", s)
	}
}

// TestKeyChangeBrokenOff: wherever the agent ended in the middle of a change of keys, it comes
// back and the change is brought to an end.
func TestKeyChangeBrokenOff(t *testing.T) {
	for _, at := range []string{"before the gateway heard of it", "after the gateway took it"} {
		t.Run(at, func(t *testing.T) {
			g := gatewaytest.Start(t, gatewaytest.Options{NoRelay: true})
			d := newDevice(t, g, mdm.RootGroup)
			d.stop()
			old := d.ownKey()
			next, err := d.cfg.State.RotationKey()
			if err != nil {
				t.Fatal(err)
			}
			if strings.HasPrefix(at, "after") {
				if _, changed, err := g.Rooms.Devices.Rekey(t.Context(), d.id, old.Public().(ed25519.PublicKey), next.Public().(ed25519.PublicKey)); err != nil || !changed {
					t.Fatal(changed, err)
				}
			}
			d.start() // returns once it is online
			if strings.HasPrefix(at, "after") && !d.ownKey().Equal(next) {
				t.Error("the device is online and has not adopted its new key")
			}
			admin := g.Admin()
			if s := d.outcome(admin, d.order(admin, command.RotateKey, nil)); s.State != "succeeded" || d.cfg.State.HasRotationKey() {
				t.Errorf("%+v", s)
			}
			if !d.ownKey().Public().(ed25519.PublicKey).Equal(d.key()) {
				t.Error("gateway and device do not agree on a key")
			}
		})
	}
}

// TestKeyChangeAnswerLost: the gateway's answer to a change of keys does not arrive.
func TestKeyChangeAnswerLost(t *testing.T) {
	var lost atomic.Int32
	g := gatewaytest.Start(t, gatewaytest.Options{NoRelay: true})
	p := newLossyProxy(t, g.URL, func(r *http.Request) bool {
		return r.URL.Path == "/agent/key" && lost.Add(1) <= 2
	})
	d := newDevice(t, g, mdm.RootGroup)
	d.stop()
	e, err := d.cfg.State.Enrollment()
	if err != nil {
		t.Fatal(err)
	}
	e.Gateway = p
	if err := d.cfg.State.SaveEnrollment(e); err != nil {
		t.Fatal(err)
	}
	d.start()
	admin := g.Admin()
	if s := d.outcome(admin, d.order(admin, command.RotateKey, nil)); s.State != "succeeded" {
		t.Errorf("%+v", s)
	}
	if lost.Load() < 3 || !d.ownKey().Public().(ed25519.PublicKey).Equal(d.key()) {
		t.Errorf("%d tries; gateway and device agree: %v", lost.Load(), d.ownKey().Public().(ed25519.PublicKey).Equal(d.key()))
	}
}

// TestCommandSurvivesGateway: the gateway is restarted while a device is at a command.
func TestCommandSurvivesGateway(t *testing.T) {
	g := gatewaytest.Start(t, gatewaytest.Options{NoRelay: true})
	d := newDevice(t, g, mdm.RootGroup)
	admin := g.Admin()
	id := d.order(admin, command.RunScript, map[string]any{"interpreter": "sh", "body": "sleep 1; echo through"})
	d.until("fetch", func() bool {
		c, err := g.Rooms.Commands.Command(t.Context(), command.ID(id))
		return err == nil && c.State == command.Sent
	})
	g.Stop()
	g.Restart()
	if s := d.outcome(g.Admin(), id); s.State != "succeeded" || s.Output != "through\n" {
		t.Errorf("%+v", s)
	}
}
