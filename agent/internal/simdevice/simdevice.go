// Package simdevice is a fleet of devices that exist only in memory: real keys, the real
// handshake, inventories a gateway would believe, thousands in one process. Tests and
// measurements of the gateway run it. It has no screen and answers every session with a
// refusal, as a device without a person does.
package simdevice

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"handrail/agent/internal/link"
	"handrail/agent/internal/state"
	"handrail/signaling"
	"handrail/signaling/client"
)

// Config describes a fleet. Gateway, Token and Count are needed.
type Config struct {
	Gateway  string
	Token    string // with at least Count uses
	CASHA256 string // of the gateway's own authority; "" trusts the system's roots
	Count    int
	Seed     uint64 // the same seed is the same devices, keys and all
	Workers  int    // enrollments under way at a time; 0 means 16
	Version  string // "" means "sim"

	MaxBackoff time.Duration // of each link; 0 means the link's own
	Tally      time.Duration // between calls of OnTally; 0 means a second
	OnTally    func(Tally)   // nil is allowed
}

// Tally counts the fleet at one moment.
type Tally struct {
	Enrolled int64
	Online   int64
	Refused  int64 // for good: by the gateway, or at enrollment
	Uploads  int64 // inventory requests that were taken
	Sessions int64 // session requests that were answered
}

// Fleet is the devices.
type Fleet struct {
	cfg Config
	log *slog.Logger

	enrolled, online, refused, uploads, sessions atomic.Int64
}

// New checks the configuration; it connects nothing.
func New(cfg Config, log *slog.Logger) (*Fleet, error) {
	if cfg.Count < 1 || cfg.Token == "" {
		return nil, errors.New("a fleet needs a count and a token")
	}
	if _, err := client.SocketURL(cfg.Gateway); err != nil {
		return nil, err
	}
	if cfg.Workers <= 0 {
		cfg.Workers = 16
	}
	if cfg.Version == "" {
		cfg.Version = "sim"
	}
	if cfg.Tally <= 0 {
		cfg.Tally = time.Second
	}
	return &Fleet{cfg: cfg, log: log}, nil
}

// Tally counts the fleet now.
func (f *Fleet) Tally() Tally {
	return Tally{
		Enrolled: f.enrolled.Load(), Online: f.online.Load(), Refused: f.refused.Load(), Uploads: f.uploads.Load(), Sessions: f.sessions.Load(),
	}
}

// Run enrolls and connects every device and keeps them connected until ctx ends. A device
// that is refused is counted and left out.
func (f *Fleet) Run(ctx context.Context) error {
	var devices sync.WaitGroup
	defer devices.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if f.cfg.OnTally != nil {
		devices.Go(func() { f.keepTally(ctx) })
	}
	var g errgroup.Group
	g.SetLimit(f.cfg.Workers)
	quiet := slog.New(slog.DiscardHandler) // thousands of links would drown the log
	for i := range f.cfg.Count {
		g.Go(func() error {
			if ctx.Err() != nil {
				return nil
			}
			d, err := f.enroll(ctx, i, quiet)
			if err != nil {
				if ctx.Err() == nil {
					f.refused.Add(1)
					f.log.Warn("simulated device was not enrolled", "device", i, "err", err)
				}
				return nil
			}
			f.enrolled.Add(1)
			devices.Go(func() { d.run(ctx) })
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	<-ctx.Done()
	return nil
}

func (f *Fleet) keepTally(ctx context.Context) {
	t := time.NewTicker(f.cfg.Tally)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
			f.cfg.OnTally(f.Tally())
		}
	}
}

// device is one of the fleet.
type device struct {
	f      *Fleet
	rng    *rand.Rand
	link   *link.Link
	sent   atomic.Bool // the inventory was taken
	up     atomic.Bool
	nudges chan struct{}
	facts  facts
}

// seedOf makes everything about device i follow from the fleet's seed.
func (f *Fleet) seedOf(i int) [32]byte {
	var b [16]byte
	binary.BigEndian.PutUint64(b[:], f.cfg.Seed)
	binary.BigEndian.PutUint64(b[8:], uint64(i)) //nolint:gosec // an index
	return sha256.Sum256(b[:])
}

func (f *Fleet) enroll(ctx context.Context, i int, log *slog.Logger) (*device, error) {
	seed := f.seedOf(i)
	key := ed25519.NewKeyFromSeed(seed[:])
	d := &device{f: f, rng: rand.New(rand.NewChaCha8(seed)), nudges: make(chan struct{}, 1)} //nolint:gosec // chance, not secrecy
	d.facts = d.invent(i)
	fingerprint := fmt.Sprintf("sim-%x", seed[:16])
	a, err := link.Enroll(ctx, link.Enrollment{
		Gateway: f.cfg.Gateway, Token: f.cfg.Token, CASHA256: f.cfg.CASHA256, Key: key, Fingerprint: fingerprint,
		Hostname: d.facts.host.Hostname, Version: f.cfg.Version,
	})
	if err != nil {
		return nil, err
	}
	d.link, err = link.New(link.Config{
		Enrollment: state.Enrollment{
			Gateway: f.cfg.Gateway, Device: a.DeviceID, DeviceName: a.DeviceName, Pins: []signaling.Key{a.GatewayKey}, CAPEM: a.CAPEM,
		},
		Key: key, Fingerprint: fingerprint, Version: f.cfg.Version, MaxBackoff: f.cfg.MaxBackoff,
		OnMessage: d.onMessage, OnState: d.onState,
	}, log)
	return d, err
}

func (d *device) run(ctx context.Context) {
	var uploads sync.WaitGroup
	defer uploads.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	uploads.Go(func() { d.upload(ctx) })
	if err := d.link.Run(ctx); err != nil {
		d.f.refused.Add(1)
	}
	if d.up.Swap(false) {
		d.f.online.Add(-1)
	}
}

func (d *device) onState(s client.State) {
	up := s.Phase == client.Online
	if d.up.Swap(up) == up {
		return
	}
	if !up {
		d.f.online.Add(-1)
		return
	}
	d.f.online.Add(1)
	if !d.sent.Load() {
		d.nudge()
	}
}

func (d *device) nudge() {
	select {
	case d.nudges <- struct{}{}:
	default:
	}
}

func (d *device) onMessage(e signaling.Envelope) {
	switch body := e.Body.(type) {
	case signaling.Nudge:
		d.nudge()
	case signaling.SessionRequest:
		d.f.sessions.Add(1)
		answer := signaling.SessionConsent{Session: body.Session, Decision: signaling.DecisionUnavailable, Message: "a simulated device has no screen"}
		if err := d.link.Send(signaling.Envelope{Type: signaling.TypeSessionConsent, Re: e.ID, Body: answer}); err != nil {
			d.f.log.Warn("simulated device could not answer", "err", err)
		}
	}
}

// upload sends the inventory once, and again when the gateway asks. Devices that come up
// together spread their uploads.
func (d *device) upload(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-d.nudges:
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(time.Duration(d.rng.Int64N(int64(time.Second)))):
		}
		_, err := d.link.PutInventory(ctx, signaling.InventoryUpload{Full: true, Sections: d.facts.sections()})
		if err == nil {
			d.sent.Store(true)
			d.f.uploads.Add(1)
		}
	}
}
