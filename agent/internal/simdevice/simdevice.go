// Package simdevice is a fleet of devices that exist only in memory: real keys, the real
// handshake, inventories a gateway would believe, settings that are applied and reported,
// commands that are answered, thousands in one process. Tests and measurements of the gateway
// run it, and people who want to see a console that is full. A simulated device has no screen and
// answers every session with a refusal, as a device without a person does.
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
	"net"
	"net/netip"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"handrail/agent/internal/link"
	"handrail/agent/internal/state"
	"handrail/mdm/manifest"
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
	Twins    int    // pairs of devices with one serial number, as a machine has that was enrolled anew after a repair
	Hold     bool   // inventories wait until every device is connected: then all come at once

	Drift time.Duration // between changes of each device's inventory, on average; 0 means never
	Flap  time.Duration // between losses of each device's connection, on average; 0 means never
	Fail  float64       // share of settings that cannot be applied, and of commands that fail: 0 to 1
	Apply time.Duration // that applying a manifest takes at most; 0 means no time

	MaxBackoff time.Duration // of each link; 0 means the link's own
	Tally      time.Duration // between calls of OnTally; 0 means a second
	OnTally    func(Tally)   // nil is allowed
}

// Tally counts the fleet at one moment.
type Tally struct {
	Enrolled int64
	Online   int64
	Refused  int64 // for good: by the gateway, or at enrollment
	Complete int64 // devices whose inventory was taken whole
	Uploads  int64 // inventory requests that were taken
	Sessions int64 // session requests that were answered
	Fetches  int64 // manifests that were fetched
	Reports  int64 // status reports that were taken
	Settled  int64 // devices whose newest manifest is reported
	Commands int64 // commands that were carried out
	Waited   int64 // requests that were told to come later

	Slowest time.Duration // HTTP request so far, of those that were taken
}

// Fleet is the devices.
type Fleet struct {
	cfg Config
	log *slog.Logger

	wares *wares
	pack  link.Packer
	open  chan struct{} // closed when inventories may be sent
	cores chan struct{} // held by who looks at itself: devices share the processors of one machine here
	once  sync.Once

	enrolled, online, refused, complete, uploads, sessions, fetches, reports, settled, commands, waited, slowest atomic.Int64
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
	if cfg.Fail < 0 || cfg.Fail > 1 {
		return nil, errors.New("the share of failures is 0 to 1")
	}
	f := &Fleet{cfg: cfg, log: log, wares: newWares(), open: make(chan struct{}), cores: make(chan struct{}, runtime.GOMAXPROCS(0))}
	if !cfg.Hold {
		f.release()
	}
	return f, nil
}

// release lets inventories be sent.
func (f *Fleet) release() { f.once.Do(func() { close(f.open) }) }

// Tally counts the fleet now.
func (f *Fleet) Tally() Tally {
	return Tally{
		Enrolled: f.enrolled.Load(), Online: f.online.Load(), Refused: f.refused.Load(), Complete: f.complete.Load(), Uploads: f.uploads.Load(),
		Sessions: f.sessions.Load(), Fetches: f.fetches.Load(), Reports: f.reports.Load(), Settled: f.settled.Load(), Commands: f.commands.Load(),
		Waited: f.waited.Load(), Slowest: time.Duration(f.slowest.Load()),
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

// device is one of the fleet. Only its work loop touches what is below.
type device struct {
	f    *Fleet
	link *link.Link
	up   atomic.Bool
	wake chan struct{}
	todo atomic.Uint32 // of the bits todo…

	hash atomic.Pointer[string] // of the newest manifest it has

	rng     *rand.Rand
	facts   facts
	whole   bool                         // the inventory was taken
	have    map[string]string            // what the gateway said it has, when asked for software; nil: it was not yet
	offered map[string]signaling.Section // its software while it waits for its turn to send it; nil: not made yet
	settled bool                         // the newest manifest is reported
	applied map[manifest.ID]uint64       // as reported: a sum of its value
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
	d := &device{f: f, rng: rand.New(rand.NewChaCha8(seed)), wake: make(chan struct{}, 1)} //nolint:gosec // chance, not secrecy
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
		Key: key, Fingerprint: fingerprint, Version: f.cfg.Version, MaxBackoff: f.cfg.MaxBackoff, Packer: &f.pack, Dial: dialFrom(i),
		Manifest: d.manifestHash, OnMessage: d.onMessage, OnState: d.onState,
	}, log)
	return d, err
}

// dialFrom lets device i come from an address of its own where the gateway is on this machine: looking
// for a free port of one address costs the kernel more than all else once tens of thousands
// are taken.
func dialFrom(i int) link.Dial {
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		var from net.Dialer
		if host, err := netip.ParseAddrPort(addr); err == nil && host.Addr().Is4() && host.Addr().IsLoopback() && runtime.GOOS == "linux" {
			from.LocalAddr = &net.TCPAddr{IP: net.IPv4(127, 64|byte(i>>16)&63, byte(i>>8), byte(i))}
		}
		return from.DialContext(ctx, network, addr)
	}
}

func (d *device) run(ctx context.Context) {
	var work sync.WaitGroup
	defer work.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	work.Go(func() { d.work(ctx) })
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
	if d.f.online.Add(1)+d.f.refused.Load() >= int64(d.f.cfg.Count) {
		d.f.release()
	}
	d.want(todoLook)
}

func (d *device) onMessage(e signaling.Envelope) {
	switch body := e.Body.(type) {
	case signaling.Nudge:
		switch body.What {
		case signaling.NudgeInventory:
			d.want(todoInventory)
		case signaling.NudgeManifest:
			if body.Hash == "" || body.Hash != d.manifestHash() {
				d.want(todoManifest)
			}
		case signaling.NudgeCommands:
			d.want(todoCommands)
		}
	case signaling.SessionRequest:
		d.f.sessions.Add(1)
		answer := signaling.SessionConsent{Session: body.Session, Decision: signaling.DecisionUnavailable, Message: "a simulated device has no screen"}
		if err := d.link.Send(signaling.Envelope{Type: signaling.TypeSessionConsent, Re: e.ID, Body: answer}); err != nil {
			d.f.log.Warn("simulated device could not answer", "err", err)
		}
	}
}
