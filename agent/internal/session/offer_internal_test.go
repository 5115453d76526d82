package session

import (
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pion/webrtc/v4"

	"handrail/signaling"
	"handrail/signaling/input"
)

const goodOffer = "v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0 1\r\n" +
	"m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\nc=IN IP4 0.0.0.0\r\na=mid:0\r\na=sctp-port:5000\r\n" +
	"m=video 9 UDP/TLS/RTP/SAVPF 96\r\nc=IN IP4 0.0.0.0\r\na=mid:1\r\na=rtpmap:96 VP8/90000\r\na=recvonly\r\n"

func FuzzCheckOffer(f *testing.F) {
	f.Add(goodOffer)
	f.Add("v=0\r\n")
	f.Add(strings.Replace(goodOffer, "video", "audio", 1))
	f.Fuzz(func(t *testing.T, sdp string) {
		offer := webrtc.SessionDescription{Type: webrtc.SDPTypeOffer, SDP: sdp}
		if err := checkOffer(offer); err == nil && !strings.Contains(sdp, "video") {
			t.Errorf("checkOffer(%q) takes an offer without a picture", sdp)
		}
	})
}

func TestCheckOffer(t *testing.T) {
	for name, c := range map[string]struct {
		sdp string
		ok  bool
	}{
		"good":         {goodOffer, true},
		"sound":        {strings.Replace(goodOffer, "m=application 9 UDP/DTLS/SCTP webrtc-datachannel", "m=audio 9 UDP/TLS/RTP/SAVPF 0", 1), false},
		"two pictures": {goodOffer + goodOffer[strings.Index(goodOffer, "m=video"):], false},
		"none":         {goodOffer[:strings.Index(goodOffer, "m=video")], false},
	} {
		if err := checkOffer(webrtc.SessionDescription{Type: webrtc.SDPTypeOffer, SDP: c.sdp}); (err == nil) != c.ok {
			t.Errorf("%s: checkOffer = %v", name, err)
		}
	}
}

func TestStampFollowsCaptureTime(t *testing.T) {
	tr := &track{base: 1<<32 - 100}
	t0 := time.Now()
	first := tr.stamp(t0)
	for _, c := range []struct {
		after time.Duration
		want  uint32
	}{
		{time.Second, 90_000},
		{time.Second, 90_001}, // never the same twice
		{1500 * time.Millisecond, 135_000},
		{48 * time.Hour, uint32(48 * 3600 * 90_000 & (1<<32 - 1))},
	} {
		if got := tr.stamp(t0.Add(c.after)) - first; got != c.want {
			t.Errorf("%v after the first picture is %d ticks, want %d", c.after, got, c.want)
		}
	}
}

func TestKeyframesAreLimited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		asked := make(chan time.Time, 100)
		l := keyLimit{ask: func() { asked <- time.Now() }}
		defer l.stop()
		start := time.Now()
		for range 50 {
			l.wish()
		}
		first, second := <-asked, <-asked
		if first != start {
			t.Errorf("the first key picture was asked for after %v", first.Sub(start))
		}
		if gap := second.Sub(first); gap != keyframeGap {
			t.Errorf("the second followed after %v", gap)
		}
		<-time.After(time.Minute)
		if len(asked) != 0 {
			t.Errorf("%d more", len(asked))
		}
	})
}

func TestMeter(t *testing.T) {
	var m meter
	t0 := time.UnixMilli(1_700_000_000_000)
	for i := range 20 {
		m.add(t0.Add(time.Duration(i)*50*time.Millisecond), 100)
	}
	if got := m.bitsPerSecond(t0.Add(950 * time.Millisecond)); got != 16_000 {
		t.Errorf("%d bit/s, want 16000", got)
	}
	if got := m.bitsPerSecond(t0.Add(time.Hour)); got != 0 {
		t.Errorf("%d bit/s after an hour, want 0", got)
	}
}

func TestAcross(t *testing.T) {
	for _, c := range []struct {
		v, n int
		want uint16
	}{{0, 1920, 0}, {1919, 1920, 65535}, {5000, 1920, 65535}, {-3, 1920, 0}, {0, 1, 0}, {1, 3, 32768}} {
		if got := across(c.v, c.n); got != c.want {
			t.Errorf("across(%d, %d) = %d, want %d", c.v, c.n, got, c.want)
		}
	}
}

type nothing struct{}

func (nothing) Apply(signaling.PeerID, input.Frame) error { return nil }
func (nothing) ReleaseAll(signaling.PeerID)               {}
func (nothing) Leave(signaling.PeerID)                    {}

func TestGateDoesNotAllocate(t *testing.T) {
	var local atomic.Int64
	g := newGate("peer_a", nothing{}, &local, func(f func()) { f() })
	g.set(rights{may: signaling.SetOf(signaling.Control), granted: signaling.SetOf(signaling.Control), control: true})
	move := input.Frame{Type: input.Move, Seq: 1}
	b, err := move.Append(nil)
	if err != nil {
		t.Fatal(err)
	}
	n := testing.AllocsPerRun(1000, func() {
		f, err := input.Decode(b)
		if err != nil {
			t.Fatal(err)
		}
		if code, err := g.apply(&f); code != "" || err != nil {
			t.Fatal(code, err)
		}
	})
	if n != 0 {
		t.Errorf("%v allocations for a move", n)
	}
}

func TestInputBeforeACapture(t *testing.T) {
	var r ring
	t0 := time.Now()
	if got := r.before(t0); got != 0 {
		t.Errorf("before anything = %d", got)
	}
	for i := range uint32(200) {
		r.add(i+1, t0.Add(time.Duration(i)*time.Millisecond))
	}
	if got := r.before(t0.Add(150*time.Millisecond + 1)); got != 151 {
		t.Errorf("before 150 ms = %d, want 151", got)
	}
	if got := r.before(t0.Add(time.Hour)); got != 200 {
		t.Errorf("newest = %d, want 200", got)
	}
	if got := r.before(t0); got != 0 {
		t.Errorf("forgotten = %d, want 0", got)
	}
}
