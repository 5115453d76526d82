package prompt

import (
	"context"
	"errors"
	"time"

	"handrail/signaling"
)

// ErrNotShown says that a companion was there and did not put a notice on the screen.
var ErrNotShown = errors.New("the device could not put the message on its screen")

// Notify shows a notice. It waits for a companion until ctx ends, calls begin once one is
// there and before it is told, and returns the account on whose screen the notice is.
func (d *Desk) Notify(ctx context.Context, n Notice, begin func() error) (by string, err error) {
	if err := d.awaitCompanion(ctx); err != nil {
		return "", err
	}
	if err := begin(); err != nil {
		return "", err
	}
	n.ID = signaling.NewID("ntc")
	shown := make(chan string, 1)
	d.mu.Lock()
	d.notices[n.ID] = shown
	d.tell(Message{Type: TypeNotice, Notice: &n})
	d.mu.Unlock()
	defer func() {
		d.mu.Lock()
		delete(d.notices, n.ID)
		d.mu.Unlock()
	}()
	t := time.NewTimer(d.cfg.ShowWithin)
	defer t.Stop()
	select {
	case by = <-shown:
		return by, nil
	case <-ctx.Done():
		return "", ctx.Err()
	case <-t.C:
		return "", ErrNotShown
	}
}

// awaitCompanion blocks until a companion is there.
func (d *Desk) awaitCompanion(ctx context.Context) error {
	for {
		d.mu.Lock()
		changed, present := d.changed, len(d.clients) > 0
		d.mu.Unlock()
		if present {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-changed:
		}
	}
}
