// Package vitals tells viewers what the device's parts are doing, second by second: processors,
// memory, pressure, disks, networks, temperatures, battery. Nothing is read while nobody looks;
// however many look, each reads for itself, as a reading costs less than a millisecond.
package vitals

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"time"

	"handrail/signaling"
	"handrail/signaling/tool"
)

// mostParts bounds each list, as the wire does; a machine with more has its first ones told.
const mostParts = 64

// Vitals is the tool. It is safe for concurrent use.
type Vitals struct{ root string }

// New returns the tool for the machine whose files lie under root, "/" but in tests.
func New(root string) *Vitals { return &Vitals{root: root} }

// Serve tells one viewer, from when it asks until the channel ends; a tool.Serve.
func (v *Vitals) Serve(ctx context.Context, c tool.Conn) error {
	asked := make(chan any)
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	go func() { cancel(listen(ctx, c, asked)) }()
	var (
		r      = newReader(v.root)
		before reading
		parts  signaling.VitalsParts
		last   signaling.Vitals
		noted  time.Time
		every  time.Duration
		due    = time.NewTimer(time.Hour)
	)
	defer due.Stop()
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case wish := <-asked:
			w, ok := wish.(signaling.VitalsWatch)
			if !ok { // VitalsKeep
				if parts.Cores > 0 && time.Since(noted) >= time.Second {
					noted = time.Now()
					c.Note("snapshot: " + words(parts, last))
				}
				continue
			}
			if every = time.Duration(w.EveryMS) * time.Millisecond; before.at.IsZero() {
				var err error
				if before, err = r.read(); err != nil {
					return fmt.Errorf("this device's figures cannot be read: %w", err)
				}
			}
			due.Reset(max(0, time.Until(before.at.Add(min(every, firstAfter(parts, every))))))
			continue
		case <-due.C:
		}
		now, err := r.read()
		if err != nil {
			return fmt.Errorf("this device's figures cannot be read: %w", err)
		}
		p, f := between(before, now)
		if !reflect.DeepEqual(p, parts) {
			if err := send(ctx, c, signaling.TypeVitalsParts, p); err != nil {
				return err
			}
			parts = p
		}
		if err := send(ctx, c, signaling.TypeVitals, f); err != nil {
			return err
		}
		before, last = now, f
		due.Reset(every)
	}
}

// firstAfter is how soon after the first reading figures come: graphs should not stay empty for as
// long as later figures are apart.
func firstAfter(told signaling.VitalsParts, every time.Duration) time.Duration {
	if told.Cores > 0 {
		return every
	}
	return 200 * time.Millisecond
}

func listen(ctx context.Context, c tool.Conn, asked chan<- any) error {
	for {
		m, err := c.Recv(ctx)
		if err != nil {
			return err
		}
		if !m.Text {
			return errors.New("vitals are asked for in text")
		}
		e, err := signaling.Decode(m.Data, signaling.FromViewer)
		if err != nil {
			return err
		}
		switch e.Body.(type) {
		case signaling.VitalsWatch, signaling.VitalsKeep:
		default:
			return fmt.Errorf("%s is not for this tool", e.Type)
		}
		select {
		case asked <- e.Body:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

func send(ctx context.Context, c tool.Conn, t signaling.Type, body any) error {
	b, err := signaling.Encode(signaling.Envelope{Type: t, Body: body})
	if err != nil {
		return err
	}
	return c.Send(ctx, tool.Message{Text: true, Data: b})
}
