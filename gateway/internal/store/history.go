package store

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"slices"
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
func trimHistory(ctx context.Context, tx *sql.Tx, device mdm.DeviceID, at time.Time, changes int) error {
	if changes == 0 {
		return nil
	}
	if _, err := tx.ExecContext(ctx, "DELETE FROM inventory_history WHERE device_id = $1 AND at_us < $2", device, micros(at.Add(-historyAge))); err != nil {
		return err
	}
	if changes < historyBig {
		// Small ones are counted as rows: 64 bytes each, at least.
		_, err := tx.ExecContext(ctx, `DELETE FROM inventory_history WHERE device_id = $1 AND at_us <
			(SELECT at_us FROM inventory_history WHERE device_id = $1 ORDER BY at_us DESC LIMIT 1 OFFSET 10000)`, device)
		return err
	}
	_, err := tx.ExecContext(ctx, `DELETE FROM inventory_history WHERE device_id = $1 AND at_us <= (SELECT max(h.at_us) FROM inventory_history h
		WHERE h.device_id = $1 AND (SELECT sum(n.changes) FROM inventory_history n WHERE n.device_id = $1 AND n.at_us >= h.at_us) > $2)`, device, historyChanges)
	return err
}

// History returns what changed of a device's inventory, newest first, before a time and
// after another (zero: no bound), of one section or all (""); see inventory.Store. Sections that
// were reported for the first time at once come together, whatever the limit.
func (s *Store) History(ctx context.Context, device mdm.DeviceID, section string, after, before time.Time, limit int) ([]inventory.Chapter, error) {
	var c conditions
	c.add("device_id = ?", device)
	if section != "" {
		c.add("section IN (?, ?)", section, manySections)
	}
	if !after.IsZero() {
		c.add("at_us > ?", micros(after))
	}
	if !before.IsZero() {
		c.add("at_us < ?", micros(before))
	}
	c.args = append(c.args, limit)
	rows, err := s.reader.QueryContext(ctx, "SELECT at_us, section, diff FROM inventory_history"+c.where()+" ORDER BY at_us DESC, section LIMIT "+c.last(), c.args...)
	list, err := collect(rows, err, scanChapters)
	if err != nil {
		return nil, err
	}
	out := slices.DeleteFunc(slices.Concat(list...), func(ch inventory.Chapter) bool { return section != "" && ch.Section != section })
	slices.SortStableFunc(out, func(a, b inventory.Chapter) int {
		return cmp.Or(b.At.Compare(a.At), cmp.Compare(a.Section, b.Section))
	})
	return out, nil
}

// scanChapters reads a row of the history: one chapter, or the first of many sections.
func scanChapters(row rowScanner) ([]inventory.Chapter, error) {
	var ch inventory.Chapter
	var at int64
	var diff string
	if err := row.Scan(&at, &ch.Section, &diff); err != nil {
		return nil, err
	}
	ch.At = fromMicros(at)
	switch {
	case ch.Section == manySections:
		var names []string
		err := json.Unmarshal([]byte(diff), &names)
		out := make([]inventory.Chapter, len(names))
		for i, name := range names {
			out[i] = inventory.Chapter{At: ch.At, Section: name, First: true}
		}
		return out, err
	case diff == "":
		ch.First = true
		return []inventory.Chapter{ch}, nil
	}
	return []inventory.Chapter{ch}, json.Unmarshal([]byte(diff), &ch.Changes)
}
