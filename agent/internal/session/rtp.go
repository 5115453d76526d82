package session

import (
	"errors"
	"sync"

	"github.com/pion/interceptor"
	"github.com/pion/rtp"
)

// playoutDelayURI names the header extension that tells a receiver how long to hold a
// picture back; source: webrtc.org/experiments/rtp-hdrext/playout-delay. Its value is 12
// bits of minimum and 12 of maximum delay, in 10 ms.
const playoutDelayURI = "http://www.webrtc.org/experiments/rtp-hdrext/playout-delay"

// noPlayoutDelay is minimum 0, maximum 0: show a picture when it is decoded.
var noPlayoutDelay = []byte{0, 0, 0}

// playoutDelayFactory makes interceptors that put noPlayoutDelay on every packet of a
// stream whose receiver knows the extension.
type playoutDelayFactory struct{}

// NewInterceptor makes the interceptor of one connection.
func (playoutDelayFactory) NewInterceptor(string) (interceptor.Interceptor, error) {
	return &playoutDelay{}, nil
}

type playoutDelay struct{ interceptor.NoOp }

// BindLocalStream wraps the writer of one outgoing stream.
func (*playoutDelay) BindLocalStream(info *interceptor.StreamInfo, next interceptor.RTPWriter) interceptor.RTPWriter {
	var id uint8
	for _, x := range info.RTPHeaderExtensions {
		if x.URI == playoutDelayURI && x.ID > 0 && x.ID < 256 {
			id = uint8(x.ID)
		}
	}
	if id == 0 {
		return next
	}
	return interceptor.RTPWriterFunc(func(h *rtp.Header, payload []byte, a interceptor.Attributes) (int, error) {
		if err := h.SetExtension(id, noPlayoutDelay); err != nil {
			return 0, err
		}
		return next.Write(h, payload, a)
	})
}

var errNoStream = errors.New("no stream is bound")

// straightPacer hands packets on at once. Pacing is the track's work, which knows whole
// pictures; pion's own pacers would queue, or refuse retransmissions because those have an
// SSRC of their own.
type straightPacer struct {
	mu   sync.RWMutex
	next interceptor.RTPWriter
}

// SetTargetBitrate does nothing: the track asks for the estimate itself.
func (p *straightPacer) SetTargetBitrate(int) {}

// AddStream sets the one stream of the connection.
func (p *straightPacer) AddStream(_ uint32, next interceptor.RTPWriter) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.next = next
}

// Write sends one packet.
func (p *straightPacer) Write(h *rtp.Header, payload []byte, a interceptor.Attributes) (int, error) {
	p.mu.RLock()
	next := p.next
	p.mu.RUnlock()
	if next == nil {
		return 0, errNoStream
	}
	return next.Write(h, payload, a)
}

// Close has nothing to close.
func (p *straightPacer) Close() error { return nil }
