package daemon

import (
	"context"
	"crypto/ed25519"
	"errors"
	"os"
	"time"

	"handrail/agent/internal/diag"
	"handrail/agent/internal/link"
	"handrail/agent/internal/state"
	"handrail/signaling"
	"handrail/signaling/client"
)

// linkOff is the link's phase while no agent runs.
const linkOff client.Phase = "off"

// enrollmentLook is how often a refused device looks whether it was enrolled anew.
const enrollmentLook = 2 * time.Second

// skewLimit is how wrong a clock may be before status speaks of it: certificates and logs
// suffer from there on.
const skewLimit = 5 * time.Minute

// newLinkWith makes a link that proves itself with key.
func (d *Daemon) newLinkWith(key ed25519.PrivateKey, onState func(client.State)) (*link.Link, error) {
	e, err := d.cfg.State.Enrollment()
	if err != nil {
		return nil, err
	}
	sum := d.cfg.Fingerprint
	if sum == "" {
		if sum, _, err = diag.Fingerprint(e.FingerprintOf); err != nil {
			return nil, err
		}
	}
	return link.New(link.Config{
		Enrollment: e, Key: key, Fingerprint: sum, Version: d.cfg.Version, Store: d.cfg.State, MaxBackoff: d.cfg.MaxBackoff,
		Instance: d.instance, Briefs: d.host.Briefs, Manifest: d.engine.Hash, OnMessage: d.onMessage, OnState: onState,
	}, d.log.With("room", "link"))
}

// keepLink runs the link. One that is to use a new device key is followed by one that does;
// one that was refused for good, by a new one when the device is enrolled anew.
func (d *Daemon) keepLink(ctx context.Context) error {
	rotated := false // the link is one of rotatedLink
	for {
		linkCtx, cancel := context.WithCancel(ctx)
		d.mu.Lock()
		l := d.link
		d.relink = cancel
		d.mu.Unlock()
		err := l.Run(linkCtx)
		again := linkCtx.Err() != nil
		cancel()
		if ctx.Err() != nil {
			return nil
		}
		if l, rotated, err = d.nextLink(ctx, again, rotated, err); l == nil {
			return err
		}
		d.mu.Lock()
		d.link = l
		d.mu.Unlock()
	}
}

// nextLink makes the link that follows one that ended: nil, without an error, when ctx ends.
func (d *Daemon) nextLink(ctx context.Context, again, wasRotated bool, refused error) (l *link.Link, rotated bool, err error) {
	if again {
		l, err = d.newLink()
		return l, false, err
	}
	if !wasRotated {
		if l, err = d.rotatedLink(refused); l != nil || err != nil {
			return l, true, err
		}
	}
	d.log.Error("the gateway refused this device; waiting for a new enrollment", "err", refused)
	d.endSessions(link.Explain(refused))
	if !d.waitEnrollment(ctx) {
		return nil, false, nil
	}
	l, err = d.newLink()
	return l, false, err
}

// waitEnrollment blocks until the enrollment record was written anew.
func (d *Daemon) waitEnrollment(ctx context.Context) bool {
	written := func() time.Time {
		info, err := os.Stat(d.cfg.State.Path(state.EnrollmentFile))
		if err != nil {
			return time.Time{}
		}
		return info.ModTime()
	}
	was := written()
	t := time.NewTicker(enrollmentLook)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return false
		case <-t.C:
			if now := written(); !now.IsZero() && !now.Equal(was) {
				return true
			}
		}
	}
}

// endSessions ends what runs: a device that is not welcome any more shows nobody anything.
func (d *Daemon) endSessions(why string) {
	for _, b := range d.host.Briefs() {
		d.host.Handle(signaling.Envelope{Type: signaling.TypeSessionEnd, Body: signaling.SessionEnd{Session: b.Session, Reason: why, By: "gateway"}})
	}
}

func (d *Daemon) onMessage(e signaling.Envelope) {
	switch body := e.Body.(type) {
	case signaling.Nudge:
		if body.What == signaling.NudgeInventory {
			d.reporter.Resync()
		}
		if body.What == signaling.NudgeCommands {
			d.executor.Nudge()
		}
		d.onManifest(body)
	case signaling.Error:
		d.log.Warn("the gateway refused a message", "re", e.Re, "code", body.Code, "message", body.Message)
	default:
		d.host.Handle(e)
	}
}

func (d *Daemon) onState(s client.State) {
	d.mu.Lock()
	was := d.status.Link
	d.mu.Unlock()
	up := s.Phase == client.Online
	d.setStatus(func(st *state.Status) {
		st.Link, st.SinceUS, st.Code = string(s.Phase), s.Since.UnixMicro(), ""
		switch {
		case up:
			st.Problem, st.OnlineUS, st.SkewMS = "", time.Now().UnixMicro(), s.Skew.Milliseconds()
		case s.Err != nil: // kept while the next try is under way
			st.Problem = link.Explain(s.Err)
		}
		var refused *client.RefusedError
		if errors.As(s.Err, &refused) {
			st.Code = refused.Code
		}
	})
	if (was == string(client.Online)) != up {
		d.host.Link(up)
	}
	if up {
		d.log.Info("connected to the gateway", "skew", s.Skew.Round(time.Millisecond))
		if s.Skew > skewLimit || s.Skew < -skewLimit {
			d.log.Warn("this device's clock is wrong", "skew", s.Skew.Round(time.Second))
		}
		d.reporter.Nudge()
		d.engine.Online()
		d.executor.Online()
	}
}

// Status returns how the agent is.
func (d *Daemon) Status() state.Status {
	d.mu.Lock()
	s := d.status
	d.mu.Unlock()
	s.Sessions = d.desk.Sessions()
	s.WrittenUS = time.Now().UnixMicro()
	return s
}

// setStatus changes the status and keeps it on disk, for a look when no agent runs.
func (d *Daemon) setStatus(change func(*state.Status)) {
	d.mu.Lock()
	was := d.status
	change(&d.status)
	if d.status.Link != was.Link && d.status.Link == string(linkOff) {
		d.status.SinceUS = time.Now().UnixMicro()
	}
	s := d.status
	d.mu.Unlock()
	if s.Link == was.Link && s.Problem == was.Problem && s.Display == was.Display && s.Companion == was.Companion {
		return
	}
	if err := d.cfg.State.SaveStatus(s); err != nil {
		d.log.Warn("status could not be kept", "err", err)
	}
}
