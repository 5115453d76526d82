package store

import (
	"context"
	"database/sql"
	"maps"
	"slices"

	"handrail/mdm"
)

// sweepMost is how many buckets, and how many titles, one sweep deletes at most: the lock is held
// for less than a second.
const sweepMost = 20_000

// SweepSoftware deletes software that no device has any more; see fleet.Store.
func (s *Store) SweepSoftware(ctx context.Context) (int, error) {
	// A first look without the lock: most of the time there is nothing to do.
	w := sweep{q: s.reader}
	if err := w.look(ctx); err != nil || len(w.buckets)+len(w.titles) == 0 {
		return 0, classify(err)
	}
	var swept int64
	err := s.write(ctx, func(tx *sql.Tx) error {
		w = sweep{q: tx}
		// Uploads take the first row, the index the second: nobody is about to refer to what goes.
		if err := tx.QueryRowContext(ctx, "UPDATE fleet_counters SET swept = swept + 1 WHERE id = 1 RETURNING swept").Scan(&swept); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, "UPDATE fleet_counters SET id = id WHERE id = 2"); err != nil {
			return err
		}
		if err := w.look(ctx); err != nil {
			return err
		}
		return w.delete(ctx, tx)
	})
	if err != nil {
		return 0, err
	}
	s.titles.sweptAt(swept)
	return len(w.buckets) + len(w.titles), nil
}

// sweep is what nothing refers to.
type sweep struct {
	q       querier
	buckets []int64
	titles  []int64
	names   []int64 // of the titles
}

func (w *sweep) look(ctx context.Context) error {
	used, err := w.usedBuckets(ctx)
	if err != nil {
		return err
	}
	// Of the titles only those can go that the index counts nowhere.
	idle := map[int64]int64{}
	if err := w.each(ctx, "SELECT id, name_id FROM software_titles WHERE devices = 0 AND id > $1 ORDER BY id LIMIT $2", func(row rowScanner) (int64, error) {
		var id, name int64
		err := row.Scan(&id, &name)
		idle[id] = name
		return id, err
	}); err != nil {
		return err
	}
	if err := w.each(ctx, "SELECT id, titles FROM software_buckets WHERE id > $1 ORDER BY id LIMIT $2", func(row rowScanner) (int64, error) {
		var id int64
		var b []byte
		if err := row.Scan(&id, &b); err != nil {
			return id, err
		}
		if !used[id] && len(w.buckets) < sweepMost {
			w.buckets = append(w.buckets, id)
			return id, nil
		}
		if len(idle) == 0 {
			return id, nil
		}
		titles, err := decodeIDs(b)
		for _, t := range titles {
			delete(idle, t)
		}
		return id, err
	}); err != nil {
		return err
	}
	names := map[int64]bool{}
	for _, id := range slices.Sorted(maps.Keys(idle)) {
		if len(w.titles) < sweepMost {
			w.titles = append(w.titles, id)
			names[idle[id]] = true
		}
	}
	w.names = slices.Sorted(maps.Keys(names))
	return nil
}

// usedBuckets returns the buckets that a device has, or that the index holds of one.
func (w *sweep) usedBuckets(ctx context.Context) (map[int64]bool, error) {
	used := map[int64]bool{}
	last := mdm.DeviceID("")
	for {
		n := 0
		rows, err := w.q.QueryContext(ctx, "SELECT device_id, buckets, indexed FROM device_software WHERE device_id > $1 ORDER BY device_id LIMIT $2", last, sweepPage)
		if _, err = collect(rows, err, func(row rowScanner) (struct{}, error) {
			var a, b []byte
			n++
			if err := row.Scan(&last, &a, &b); err != nil {
				return struct{}{}, err
			}
			for _, blob := range [][]byte{a, b} {
				h, err := decodeHeld(blob)
				if err != nil {
					return struct{}{}, err
				}
				for _, id := range h {
					used[id] = true
				}
			}
			return struct{}{}, nil
		}); err != nil {
			return nil, err
		}
		if n < sweepPage {
			return used, nil
		}
	}
}

// sweepPage is how many rows are read at a time.
const sweepPage = 5000

// each walks over a table by its id.
func (w *sweep) each(ctx context.Context, query string, scan func(row rowScanner) (int64, error)) error {
	last := int64(0)
	for {
		n := 0
		rows, err := w.q.QueryContext(ctx, query, last, sweepPage)
		if _, err = collect(rows, err, func(row rowScanner) (struct{}, error) {
			n++
			id, err := scan(row)
			last = id
			return struct{}{}, err
		}); err != nil {
			return err
		}
		if n < sweepPage {
			return nil
		}
	}
}

func (w *sweep) delete(ctx context.Context, tx *sql.Tx) error {
	for _, d := range []struct {
		from string
		ids  []int64
		also string
	}{
		{"software_buckets", w.buckets, ""},
		{"software_titles", w.titles, ""},
		{"software_names", w.names, " AND NOT EXISTS (SELECT 1 FROM software_titles t WHERE t.name_id = software_names.id)"},
	} {
		for some := range slices.Chunk(d.ids, 1000) {
			if _, err := tx.ExecContext(ctx, "DELETE FROM "+d.from+" WHERE id IN ("+numbers(some)+")"+d.also); err != nil {
				return err
			}
		}
	}
	return nil
}
