package store

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"handrail/mdm"
	"handrail/mdm/command"
)

// wakeAtOnce is how many due commands one transaction looks after.
const wakeAtOnce = 200

// WakeCommands acts on what is due; see command.Queue.
func (s *Store) WakeCommands(ctx context.Context, now time.Time, online func(mdm.DeviceID) bool) (command.Woken, error) {
	var out command.Woken
	err := s.write(ctx, func(tx *sql.Tx) error {
		out = command.Woken{}
		counts := tally{}
		type due struct {
			command.Command
			wake int64
		}
		rows, err := tx.QueryContext(ctx, `UPDATE commands SET wake_us = wake_us WHERE id IN (SELECT id FROM commands WHERE is_open = 1 AND wake_us <= $1
			ORDER BY wake_us LIMIT $2) RETURNING `+commandColumns+", wake_us", micros(now), wakeAtOnce)
		list, err := collect(rows, err, func(row rowScanner) (due, error) {
			c, wake, err := scanWaking(row, true)
			return due{c, wake}, err
		})
		if err != nil {
			return err
		}
		out.More = len(list) == wakeAtOnce
		for _, d := range list {
			// Another node may have looked after it while we waited for the row.
			if !d.State.IsOpen() || d.wake > micros(now) {
				continue
			}
			nudge, err := wakeOne(ctx, tx, d.Command, now, online, counts)
			if err != nil {
				return err
			}
			if nudge {
				out.Nudge = append(out.Nudge, d.Device)
			}
		}
		out.Bulks = counts.bulks()
		return counts.write(ctx, tx)
	})
	return out, err
}

func wakeOne(ctx context.Context, tx *sql.Tx, c command.Command, now time.Time, online func(mdm.DeviceID) bool, counts tally) (nudge bool, err error) {
	switch {
	case c.State == command.Sent:
		return false, over(ctx, tx, c, command.Failed, command.ReasonNoAnswer, "the device took it and did not say what came of it", now, counts)
	case !c.ExpiresAt.After(now) && c.State == command.Held:
		return false, over(ctx, tx, c, command.Expired, "", "nobody approved it in time", now, counts)
	case !c.ExpiresAt.After(now):
		return false, over(ctx, tx, c, command.Expired, "", "the device did not fetch it in time", now, counts)
	}
	wake := c.ExpiresAt
	if c.State == command.Queued && online(c.Device) {
		since := c.CreatedAt
		if c.NotBefore.After(since) {
			since = c.NotBefore
		}
		wake, nudge = earlier(now.Add(max(renudge, now.Sub(since))), wake), true
	}
	_, err = tx.ExecContext(ctx, "UPDATE commands SET wake_us = $2 WHERE id = $1", c.ID, micros(wake))
	return nudge, err
}

// CancelCommands cancels what waits; see command.Queue.
func (s *Store) CancelCommands(ctx context.Context, sel command.Selection, by string, now time.Time) (cancelled, asked int64, tell []mdm.DeviceID, err error) {
	err = s.write(ctx, func(tx *sql.Tx) error {
		cancelled, asked, tell = 0, 0, nil
		counts := tally{}
		for _, state := range []command.State{command.Held, command.Queued, command.Sent} {
			set, args := "cancel_by = $1", []any{by}
			if state != command.Sent {
				set += ", state = $2, is_open = 0, finished_us = $3, message = $4"
				args = append(args, command.Cancelled, micros(now), "cancelled by "+by)
			}
			c := selected(sel, state, args)
			rows, err := tx.QueryContext(ctx, "UPDATE commands SET "+set+c.where()+" RETURNING "+commandColumns, c.args...)
			list, err := collect(rows, err, scanCommand)
			if err != nil {
				return err
			}
			for _, one := range list {
				if state == command.Sent {
					asked++
					tell = append(tell, one.Device)
					continue
				}
				cancelled++
				counts.move(one, state, command.Cancelled)
			}
		}
		return counts.write(ctx, tx)
	})
	return cancelled, asked, tell, err
}

// selected is the condition of a selection's commands in one state; args come first.
func selected(sel command.Selection, state command.State, args []any) conditions {
	c := conditions{args: args}
	c.add("is_open = 1")
	c.add("state = ?", string(state))
	if sel.ID != "" {
		c.add("id = ?", string(sel.ID))
	} else {
		c.add("bulk_id = ?", string(sel.Bulk))
	}
	if !sel.Scope.All {
		in(&c, "group_id", sel.Scope.Groups)
	}
	return c
}

// ApproveBulk lets a held bulk go; see command.Queue.
func (s *Store) ApproveBulk(ctx context.Context, id command.BulkID, by, byName string, now time.Time) (command.Bulk, []mdm.DeviceID, error) {
	var b command.Bulk
	var tell []mdm.DeviceID
	err := s.write(ctx, func(tx *sql.Tx) error {
		tell = nil
		var err error
		b, err = scanBulk(tx.QueryRowContext(ctx, "UPDATE command_bulks SET id = id WHERE id = $1 RETURNING "+bulkColumns, id))
		switch {
		case err != nil:
			return err
		case !b.Held || !b.ApprovedAt.IsZero():
			return fmt.Errorf("it does not wait for approval: %w", mdm.ErrConflict)
		case b.By == by:
			return fmt.Errorf("who ordered it cannot approve it: %w", mdm.ErrConflict)
		case !b.ExpiresAt.After(now):
			return fmt.Errorf("it has expired: %w", mdm.ErrConflict)
		}
		b.ApprovedBy, b.ApprovedName, b.ApprovedAt = by, byName, now
		if _, err := tx.ExecContext(ctx, "UPDATE command_bulks SET approved_by = $2, approved_name = $3, approved_us = $4 WHERE id = $1", id, by, byName, micros(now)); err != nil {
			return err
		}
		wake := earlier(now.Add(renudge), b.ExpiresAt)
		if b.NotBefore.After(now) {
			wake = b.NotBefore
		}
		rows, err := tx.QueryContext(ctx, "UPDATE commands SET state = $2, wake_us = $3 WHERE bulk_id = $1 AND state = $4 AND is_open = 1 RETURNING "+commandColumns,
			id, command.Queued, micros(wake), command.Held)
		list, err := collect(rows, err, scanCommand)
		if err != nil {
			return err
		}
		counts := tally{}
		for _, c := range list {
			counts.move(c, command.Held, command.Queued)
			tell = append(tell, c.Device)
		}
		return counts.write(ctx, tx)
	})
	return b, tell, err
}
