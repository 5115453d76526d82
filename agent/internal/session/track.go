package session

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pion/rtp"
	"github.com/pion/rtp/codecs"
	"github.com/pion/webrtc/v4"
)

// clockRate is the RTP clock of video, in Hz.
const clockRate = 90_000

// payloadSize leaves room in a 1200 byte datagram for RTP header and extensions (28), the
// cipher's tag (16) and a TURN channel's header (4).
const payloadSize = 1130

// A viewer that cannot take pictures as they come gets the newest instead: the queue is
// for what an encoder shared with other viewers makes while a picture's packets are spread.
const (
	maxQueued      = 3
	maxQueuedBytes = 2 << 20 // a key picture of a busy 4K screen at full quality
)

// Spreading. Packets of a picture beyond the burst go out at several times the estimate: a
// receiver's socket holds some 90 packets, and a router's queue less. Below slowLink the
// estimate is taken at its word.
const (
	burstPackets = 40
	slowLink     = 4_000_000  // bit/s
	fastPace     = 60_000_000 // bit/s, at least, above slowLink
	paceFactor   = 2.5        // as Chromium's pacer
)

// wanted is what a viewer is to see.
type wanted struct {
	on      bool // it may see, and somebody is or will be there
	through bool // its connection stands
	monitor uint8
	tier    string
}

// queued is one picture waiting to be sent.
type queued struct {
	enc Encoded // Data is our own copy
	in  time.Time
}

// track is one viewer's picture on its way out. Two goroutines serve it: feed opens and
// closes the watcher, send writes packets.
type track struct {
	log    *slog.Logger
	watch  func(Watch) (Watcher, error)
	warmth *warmth // to take over, or nil; feed's
	rtp    *webrtc.TrackLocalStaticRTP
	sent   func(q queued, timestamp uint32, took time.Duration) // after each picture, on send's goroutine
	first  func()                                               // once, when the first picture has gone out
	shape  func(width, height int)                              // when the size changes, on send's goroutine
	fault  func(error)                                          // when there is no picture to be had

	bitrate atomic.Int64  // estimate, bit/s
	rtt     atomic.Int64  // nanoseconds, 0 unknown
	loss    atomic.Uint32 // of the last receiver report, 1/256
	wakeup  chan struct{}
	fed     chan struct{}
	quiet   quiet

	mu      sync.Mutex
	is      wanted
	live    bool // pictures may go out: on, through
	needKey bool // what is queued next must be a key picture
	queue   []queued
	bytes   int
	writing bool // a picture's packets are going out
	rate    meter
	network Network
	known   bool    // network is
	watcher Watcher // feed's; others only call its methods that do not block

	// send's own
	payloader codecs.VP8Payloader
	seq       uint16
	epoch     time.Time
	base      uint32
	ticks     int64 // of the last picture, since epoch
	width     int
	height    int
	started   bool
}

func newTrack(watch func(Watch) (Watcher, error), log *slog.Logger) (*track, error) {
	local, err := webrtc.NewTrackLocalStaticRTP(webrtc.RTPCodecCapability{MimeType: webrtc.MimeTypeVP8, ClockRate: clockRate}, "screen", "device")
	if err != nil {
		return nil, fmt.Errorf("make track: %w", err)
	}
	t := &track{
		log: log, watch: watch, rtp: local,
		wakeup: make(chan struct{}, 1), fed: make(chan struct{}, 1), needKey: true,
		payloader: codecs.VP8Payloader{EnablePictureID: true},
		seq:       uint16(rand.Uint32()), base: rand.Uint32(), //nolint:gosec // RFC 3550 5.1 asks for unpredictable, not secret
	}
	t.bitrate.Store(bitrateStart)
	return t, nil
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// want changes what the viewer is to see. Turning it off is effective when want returns:
// at most the packet being written still goes out.
func (t *track) want(w wanted) {
	t.mu.Lock()
	if !w.on || w.monitor != t.is.monitor {
		t.clear()
	}
	t.is = w
	t.live = w.on && w.through
	t.mu.Unlock()
	signal(t.fed)
	signal(t.wakeup)
}

// clear drops what waits; a decoder needs a key picture after a gap.
func (t *track) clear() {
	t.queue, t.bytes, t.needKey = nil, 0, true
}

// measured passes what is known of the network on to the picture.
func (t *track) measured(n Network) {
	t.mu.Lock()
	n.Queued = t.bytes
	n.SentBps = t.rate.bitsPerSecond(time.Now())
	t.network, t.known = n, true
	w := t.watcher
	t.mu.Unlock()
	t.bitrate.Store(int64(n.EstimateBps))
	if w != nil {
		w.SetNetwork(n)
	}
}

// keyframe asks the picture for a key picture.
func (t *track) keyframe() {
	t.mu.Lock()
	w := t.watcher
	t.mu.Unlock()
	if w != nil {
		w.RequestKeyframe()
	}
}

// feed keeps the watcher as it is wanted until ctx ends.
func (t *track) feed(ctx context.Context) {
	var have wanted
	drop := func() {
		t.mu.Lock()
		w := t.watcher
		t.watcher = nil
		t.mu.Unlock()
		if w != nil {
			w.Close()
		}
		have = wanted{}
	}
	defer drop()
	for {
		t.mu.Lock()
		is, w := t.is, t.watcher
		t.mu.Unlock()
		switch {
		case !is.on && w != nil:
			drop()
		case is.on && w == nil:
			if !t.open(is) {
				break
			}
			have = is
		case is.on:
			if is.monitor != have.monitor {
				w.SelectMonitor(is.monitor)
			}
			if is.tier != have.tier {
				w.SetTier(is.tier)
			}
			have = is
		}
		select {
		case <-t.fed:
		case <-ctx.Done():
			return
		}
	}
}

func (t *track) open(is wanted) bool {
	if t.watch == nil {
		return false
	}
	w, err := t.acquire(is)
	if err != nil {
		t.log.Warn("no picture", "error", err)
		t.fault(err)
		return false
	}
	t.mu.Lock()
	t.watcher = w
	network, known := t.network, t.known
	t.mu.Unlock()
	if known {
		w.SetNetwork(network)
	}
	return true
}

// acquire takes over the picture begun for this viewer, or begins one.
func (t *track) acquire(is wanted) (Watcher, error) {
	warm := t.warmth
	t.warmth = nil
	if warm != nil && is.monitor == wholeDesktop && is.tier == tierAuto {
		if w, ok := warm.adopt(t.sink, t.ready); ok {
			return w, nil
		}
	}
	return t.watch(Watch{Monitor: is.monitor, Tier: is.tier, Sink: t.sink, Ready: t.ready})
}

// ready reports whether another picture would go out at once. Before the connection stands
// it lets one be made, the key picture to begin with.
func (t *track) ready() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.queue) == 0 && !t.writing
}

// sink takes a picture from the encoder. It copies, and never waits for the network.
func (t *track) sink(e Encoded) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.is.on || t.needKey && !e.Key {
		return
	}
	switch {
	case e.Key:
		// Whatever has not been sent is older, and nothing builds on it any more.
		t.queue, t.bytes = nil, 0
	case len(t.queue) >= maxQueued || t.bytes+len(e.Data) > maxQueuedBytes:
		// Nothing queued can be left out of a chain of differences but all of it. The next
		// key picture is asked for when the last one is through (see send).
		t.clear()
		signal(t.wakeup)
		return
	}
	t.needKey = false
	own := make([]byte, len(e.Data))
	copy(own, e.Data)
	e.Data = own
	t.queue = append(t.queue, queued{enc: e, in: time.Now()})
	t.bytes += len(own)
	if t.live {
		signal(t.wakeup)
	}
}

// take returns the next picture to send, or whether a key picture is to be asked for.
func (t *track) take() (q queued, ok, key bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.live {
		return queued{}, false, false
	}
	if len(t.queue) == 0 {
		return queued{}, false, t.needKey && t.watcher != nil
	}
	q = t.queue[0]
	t.queue = t.queue[1:]
	t.bytes -= len(q.enc.Data)
	t.writing = true
	t.rate.add(time.Now(), len(q.enc.Data))
	return q, true, false
}

// caughtUp tells the picture that the way is free again.
func (t *track) caughtUp() {
	t.mu.Lock()
	t.writing = false
	w, free := t.watcher, len(t.queue) == 0
	t.mu.Unlock()
	if free && w != nil {
		w.Wake()
	}
}

func (t *track) isLive() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.live
}

// send writes pictures until ctx ends.
func (t *track) send(ctx context.Context) {
	for {
		q, ok, key := t.take()
		switch {
		case ok:
			t.picture(ctx, q)
			t.caughtUp()
			continue
		case key:
			t.keyframe()
		}
		select {
		case <-t.wakeup:
		case <-ctx.Done():
			return
		}
	}
}

// picture writes one picture's packets.
func (t *track) picture(ctx context.Context, q queued) {
	e := q.enc
	if e.Width != t.width || e.Height != t.height {
		t.width, t.height = e.Width, e.Height
		t.shape(e.Width, e.Height)
	}
	stamp := t.stamp(e.Captured)
	parts := t.payloader.Payload(payloadSize, e.Data)
	began := time.Now()
	for i, part := range parts {
		if !t.spread(ctx, began, i) || !t.isLive() {
			// Cut short by a pause or the end: the decoder is left without the rest, so the next
			// picture it sees is a key picture (want has seen to it).
			return
		}
		t.seq++
		// An error means the connection went away under us; its state says so too.
		_ = t.rtp.WriteRTP(&rtp.Packet{
			Header:  rtp.Header{Version: 2, Marker: i == len(parts)-1, SequenceNumber: t.seq, Timestamp: stamp},
			Payload: part,
		})
	}
	t.quiet.wrote(t.seq, time.Now())
	t.sent(q, stamp, time.Since(q.in))
	if !t.started {
		t.started = true
		t.first()
	}
}

// stamp turns a capture time into an RTP timestamp, which always rises.
func (t *track) stamp(captured time.Time) uint32 {
	if t.epoch.IsZero() {
		t.epoch, t.ticks = captured, -1
	}
	// In microseconds, because nanoseconds times the clock overflow after a day; counted in
	// 64 bits, because a screen may rest for longer than half of 32 bits last (6.6 h).
	t.ticks = max(captured.Sub(t.epoch).Microseconds()*(clockRate/10_000)/100, t.ticks+1)
	return t.base + uint32(t.ticks) //nolint:gosec // wraps by RFC 3550
}

// spread waits until packet i of a picture may go out; false when ctx has ended.
func (t *track) spread(ctx context.Context, began time.Time, i int) bool {
	if i < burstPackets {
		return ctx.Err() == nil
	}
	estimate := t.bitrate.Load()
	rate := paceFactor * float64(estimate)
	if estimate >= slowLink {
		rate = max(rate, fastPace)
	}
	bits := float64((i - burstPackets + 1) * payloadSize * 8)
	due := began.Add(time.Duration(bits / rate * float64(time.Second)))
	// A timer is good to a millisecond; packets due sooner go along.
	wait := time.Until(due)
	if wait < time.Millisecond {
		return ctx.Err() == nil
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// meter counts bytes over the last second, in tenths of it.
type meter struct {
	slot  [10]int
	tenth int64 // of the newest slot, since the epoch
}

func (m *meter) turn(now time.Time) {
	t := now.UnixMilli() / 100
	if t-m.tenth >= int64(len(m.slot)) {
		m.slot = [10]int{}
		m.tenth = t
	}
	for ; m.tenth < t; m.tenth++ {
		m.slot[(m.tenth+1)%int64(len(m.slot))] = 0
	}
}

func (m *meter) add(now time.Time, n int) {
	m.turn(now)
	m.slot[m.tenth%int64(len(m.slot))] += n
}

func (m *meter) bitsPerSecond(now time.Time) int {
	m.turn(now)
	sum := 0
	for _, n := range m.slot {
		sum += n
	}
	return 8 * sum
}
