package daemon

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"time"

	"handrail/agent/internal/command"
	"handrail/agent/internal/link"
	"handrail/agent/internal/prompt"
	mdmcommand "handrail/mdm/command"
	"handrail/signaling"
	"handrail/signaling/client"
)

// commandDir is the journal of commands, in the state directory.
const commandDir = "commands"

// newExecutor makes the room that carries out commands.
func (d *Daemon) newExecutor() (*command.Executor, error) {
	return command.New(sampled(d.cfg, command.Config{
		Dir: d.cfg.State.Path(commandDir), System: d.cfg.System,
		Claim: func(ctx context.Context, c mdmcommand.Claim) (a mdmcommand.ClaimAnswer, err error) {
			err = d.overLink(func(l *link.Link) error { a, err = l.ClaimCommands(ctx, c); return err })
			return a, err
		},
		Report: func(ctx context.Context, r mdmcommand.Results) (a mdmcommand.ResultsAnswer, err error) {
			err = d.overLink(func(l *link.Link) error { a, err = l.PostResults(ctx, r); return err })
			d.reporter.Nudge() // what was done may show in the inventory
			return a, err
		},
		Upload: func(ctx context.Context, id mdmcommand.ID, path string) error {
			return d.overLink(func(l *link.Link) error { return l.PutBundle(ctx, id, path) })
		},
		Refresh: func(context.Context) error { d.reporter.Resync(); return nil },
		Notify: func(ctx context.Context, n mdmcommand.Notice, begin func() error) (string, error) {
			return d.desk.Notify(ctx, prompt.Notice{Title: n.Title, Text: n.Text, From: n.From, Organisation: d.organisation()}, begin)
		},
		Rotate: d.rotateKey,
	}), d.log.With("room", "command"))
}

// overLink does one request over the newest link.
func (d *Daemon) overLink(do func(*link.Link) error) error {
	d.mu.Lock()
	l := d.link
	d.mu.Unlock()
	if l == nil {
		return command.ErrNotNow
	}
	err := do(l)
	if errors.Is(err, link.ErrOffline) {
		return fmt.Errorf("%w: %w", command.ErrNotNow, err)
	}
	return err
}

func (d *Daemon) organisation() string {
	e, err := d.cfg.State.Enrollment()
	if err != nil {
		return ""
	}
	return e.Organisation
}

// rotatePause is between tries of a change of keys.
const rotatePause = 2 * time.Second

// rotateKey puts a new device key in the place of the old one. The new key is on disk before
// the gateway hears of it and becomes the device's once the gateway has taken it, or is
// found to have taken it (see keepLink). It may be called again after it was broken off
// anywhere: what is half done is done to the end, what is done is done once more.
func (d *Daemon) rotateKey(ctx context.Context) error {
	next, err := d.cfg.State.RotationKey()
	if err != nil {
		return err
	}
	for {
		old, err := d.cfg.State.Identity()
		if err != nil {
			return err
		}
		if old.Equal(next) {
			return nil // the link found the new one in force
		}
		err = d.overLink(func(l *link.Link) error { return l.ChangeKey(ctx, old, next) })
		var p *link.Problem
		switch {
		case err == nil:
			return d.adoptKey(next)
		case errors.As(err, &p) && p.IsFinal():
			return errors.Join(err, d.cfg.State.DropRotationKey())
		}
		t := time.NewTimer(rotatePause)
		select {
		case <-ctx.Done():
			t.Stop()
			return ctx.Err()
		case <-t.C:
		}
	}
}

// adoptKey makes the new key the device's and has the link use it.
func (d *Daemon) adoptKey(next ed25519.PrivateKey) error {
	if err := d.cfg.State.AdoptRotationKey(); err != nil {
		if own, oerr := d.cfg.State.Identity(); oerr == nil && own.Equal(next) {
			return nil // the link was faster, and uses it
		}
		return err
	}
	d.log.Info("the device has a new key")
	d.mu.Lock()
	again := d.relink
	d.mu.Unlock()
	if again != nil {
		again()
	}
	return nil
}

// rotatedLink is a link with the new key of a change that was broken off, for a device whose
// old key the gateway refuses; nil where there is none.
func (d *Daemon) rotatedLink(refused error) (*link.Link, error) {
	var r *client.RefusedError
	if !errors.As(refused, &r) || r.Code != signaling.CodeUnauthorized || !d.cfg.State.HasRotationKey() {
		return nil, nil
	}
	next, err := d.cfg.State.RotationKey()
	if err != nil {
		return nil, err
	}
	d.log.Info("the old device key is refused: trying the new one of a change that was broken off")
	return d.newLinkWith(next, func(s client.State) {
		if s.Phase == client.Online && d.cfg.State.HasRotationKey() {
			if err := d.cfg.State.AdoptRotationKey(); err != nil {
				d.log.Error("the new device key could not be adopted", "err", err)
			}
		}
		d.onState(s)
	})
}

// newLink makes a link with the device's key.
func (d *Daemon) newLink() (*link.Link, error) {
	key, err := d.cfg.State.Identity()
	if err != nil {
		return nil, err
	}
	return d.newLinkWith(key, d.onState)
}
