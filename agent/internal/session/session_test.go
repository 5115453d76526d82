package session_test

import (
	"slices"
	"testing"
	"time"

	"github.com/pion/interceptor"
	"github.com/pion/webrtc/v4"

	"handrail/signaling"
	"handrail/signaling/input"
)

// feedback is a receiver's interceptors.
func feedback(t *testing.T, media *webrtc.MediaEngine) *interceptor.Registry {
	t.Helper()
	r := &interceptor.Registry{}
	if err := webrtc.ConfigureTWCCSender(media, r); err != nil {
		t.Fatal(err)
	}
	if err := webrtc.ConfigureNack(media, r); err != nil {
		t.Fatal(err)
	}
	if err := webrtc.ConfigureRTCPReports(r); err != nil {
		t.Fatal(err)
	}
	return r
}

func TestPicture(t *testing.T) {
	d := newDevice(t, nil)
	ses := d.begin(all)
	c := wait(d.gw, "consent", func(signaling.SessionConsent) bool { return true })
	if c.Decision != signaling.DecisionGranted || c.By != "policy" || c.Granted != all {
		t.Errorf("consent = %+v", c)
	}
	v := d.announce(ses, "Ada", all)
	began := time.Now()
	v.connect()
	v.moving(20)
	v.mu.Lock()
	if v.delays != v.packets {
		t.Errorf("%d of %d packets ask for no playout delay", v.delays, v.packets)
	}
	for i := 1; i < len(v.stamps); i++ {
		if step := int32(v.stamps[i] - v.stamps[i-1]); step <= 0 {
			t.Errorf("picture %d is %d ticks after the one before", i, step)
		}
	}
	// Stamps are times of capture, 90,000 a second, and all were captured since it began.
	if span, most := v.stamps[len(v.stamps)-1]-v.stamps[0], time.Since(began).Seconds()*90_000; float64(span) > most {
		t.Errorf("pictures of %d ticks within %.0f", span, most)
	}
	v.mu.Unlock()
	d.gw.event(signaling.EventLive)
	d.gw.event(signaling.EventViewerJoined)
	heard(v, "picture", func(p signaling.Picture) bool {
		return p.State == signaling.PictureOK && p.Codec == "vp8" && p.Width == 64 && p.Height == 48
	})
	v.until("timing of a picture shown", func() bool {
		for _, f := range v.frames {
			if f.Type == input.Timing && f.EncodeUS == 1000 && slices.Contains(v.stamps, f.RTP) {
				return true
			}
		}
		return false
	})
	v.say(signaling.TypePing, signaling.Ping{T: 4.5})
	heard(v, "pong", func(p signaling.Pong) bool { return p.T == 4.5 })
}

func TestInputNeedsControl(t *testing.T) {
	d := newDevice(t, nil)
	ses := d.begin(all)
	v := d.announce(ses, "Ada", all)
	v.connect()
	v.say(signaling.TypeControlAsk, signaling.ControlAsk{})
	v.status("control", func(s signaling.Status) bool { return s.Control == v.id })
	v.press(input.Frame{Type: input.KeyDown, Code: 4, Text: []byte("a")})
	d.keys.until(t, string(v.id)+" key_down 1")
	d.gw.event(signaling.EventControlTaken)
}

func (k *keyboard) until(t *testing.T, want string) {
	t.Helper()
	stop := time.AfterFunc(patience, k.cond.Broadcast)
	defer stop.Stop()
	deadline := time.Now().Add(patience)
	k.mu.Lock()
	defer k.mu.Unlock()
	for !slices.Contains(k.log, want) {
		if !time.Now().Before(deadline) {
			t.Fatalf("no %q among what was injected: %q", want, k.log)
		}
		k.cond.Wait()
	}
}
