package api

import (
	"net/http"
	"sync"
	"time"

	"handrail/mdm"
	"handrail/signaling"
)

// Bounds on one device, so that one that runs wild, or was taken over, takes nothing from the
// others. What a device that behaves does stays far below.
const (
	deviceAtOnce = 2                      // requests of one operation; more only where it gave one up
	deviceBurst  = 150                    // requests in a row
	devicePace   = 100 * time.Millisecond // after those, one every
	deviceChew   = 1 << 20                // bytes of an inventory, unpacked, that cost as much as a second of requests
	deviceSilent = time.Minute            // between lines of the log about one device
	deviceSweep  = 1024                   // devices remembered before the quiet ones are forgotten
)

// devicePacer knows what each device has under way, and how much it asked lately.
type devicePacer struct {
	now func() time.Time

	mu      sync.Mutex
	devices map[mdm.DeviceID]*devicePaced
	sweepAt int
}

type devicePaced struct {
	spent  time.Time      // when all it asked so far is paid for
	inside map[string]int // requests under way by operation
	logged time.Time      // last time the log was told that it was held back
}

func newDevicePacer() *devicePacer {
	return &devicePacer{now: time.Now, devices: map[mdm.DeviceID]*devicePaced{}, sweepAt: deviceSweep}
}

// enter lets a request in, to be ended by leave, or says when to come back.
func (p *devicePacer) enter(id mdm.DeviceID, operation string) (leave func(), err error) {
	now := p.now()
	p.mu.Lock()
	defer p.mu.Unlock()
	d := p.devices[id]
	if d == nil {
		p.sweep(now)
		d = &devicePaced{inside: map[string]int{}}
		p.devices[id] = d
	}
	if d.spent.Before(now) {
		d.spent = now
	}
	wait := d.spent.Add(devicePace).Sub(now) - deviceBurst*devicePace
	if d.inside[operation] >= deviceAtOnce {
		wait = max(wait, time.Second)
	}
	if wait > 0 {
		refused := problem(http.StatusTooManyRequests, signaling.CodeRateLimited, "this device asks too much at once")
		refused.RetryAfterMS = max(1, wait.Milliseconds())
		if refused.quiet = now.Sub(d.logged) < deviceSilent; !refused.quiet {
			d.logged = now
		}
		return nil, refused
	}
	d.spent = d.spent.Add(devicePace)
	d.inside[operation]++
	return func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		if d.inside[operation]--; d.inside[operation] == 0 {
			delete(d.inside, operation)
		}
	}, nil
}

// chewed charges a device for an inventory, the one request whose work it chooses: by what was
// read of it, not by the time that took, so that nobody pays for a gateway that is busy with others.
func (p *devicePacer) chewed(id mdm.DeviceID, unpacked int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if d := p.devices[id]; d != nil {
		d.spent = d.spent.Add(time.Duration(unpacked) * time.Second / deviceChew)
	}
}

// sweep forgets devices that have nothing under way and everything paid for, now and then.
func (p *devicePacer) sweep(now time.Time) {
	if len(p.devices) < p.sweepAt {
		return
	}
	for id, d := range p.devices {
		if len(d.inside) == 0 && !d.spent.After(now) {
			delete(p.devices, id)
		}
	}
	p.sweepAt = max(deviceSweep, 2*len(p.devices))
}
