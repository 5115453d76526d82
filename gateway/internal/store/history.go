package store

import (
	"context"
	"encoding/json"
	"time"

	"handrail/mdm"
	"handrail/mdm/inventory"
)

// Bounds of a device's history: whichever is passed first, the oldest goes.
const (
	historyChanges = 50_000 // changes named in all
	historyAge     = 2 * 366 * 24 * time.Hour
	historyBig     = 500 // changes of one upload that are worth counting all for
)

// trimHistory forgets what is too old, or too much: a device that reports other software
// every minute fills no disk.
func (u *upload) trimHistory(ctx context.Context, changes int) error {
	if changes == 0 {
		return nil
	}
	if _, err := u.tx.ExecContext(ctx, "DELETE FROM inventory_history WHERE device_id = $1 AND at_us < $2", u.device, micros(u.at.Add(-historyAge))); err != nil {
		return err
	}
	if changes < historyBig {
		// Small ones are counted as rows: 64 bytes each, at least.
		_, err := u.tx.ExecContext(ctx, `DELETE FROM inventory_history WHERE device_id = $1 AND at_us <
			(SELECT at_us FROM inventory_history WHERE device_id = $1 ORDER BY at_us DESC LIMIT 1 OFFSET 10000)`, u.device)
		return err
	}
	_, err := u.tx.ExecContext(ctx, `DELETE FROM inventory_history WHERE device_id = $1 AND at_us <= (SELECT max(h.at_us) FROM inventory_history h
		WHERE h.device_id = $1 AND (SELECT sum(n.changes) FROM inventory_history n WHERE n.device_id = $1 AND n.at_us >= h.at_us) > $2)`, u.device, historyChanges)
	return err
}

// History returns what changed of a device's inventory, newest first, before a time and
// after another (zero: no bound), of one section or all (""); see inventory.Store.
func (s *Store) History(ctx context.Context, device mdm.DeviceID, section string, after, before time.Time, limit int) ([]inventory.Chapter, error) {
	var c conditions
	c.add("device_id = ?", device)
	if section != "" {
		c.add("section = ?", section)
	}
	if !after.IsZero() {
		c.add("at_us > ?", micros(after))
	}
	if !before.IsZero() {
		c.add("at_us < ?", micros(before))
	}
	c.args = append(c.args, limit)
	rows, err := s.reader.QueryContext(ctx, "SELECT at_us, section, diff FROM inventory_history"+c.where()+" ORDER BY at_us DESC, section LIMIT "+c.last(), c.args...)
	return collect(rows, err, func(row rowScanner) (inventory.Chapter, error) {
		var ch inventory.Chapter
		var at int64
		var diff string
		if err := row.Scan(&at, &ch.Section, &diff); err != nil {
			return ch, err
		}
		ch.At = fromMicros(at)
		if diff == "" {
			ch.First = true
			return ch, nil
		}
		return ch, json.Unmarshal([]byte(diff), &ch.Changes)
	})
}
