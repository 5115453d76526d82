package store

import (
	"context"
	"database/sql"
	"errors"
	"strconv"
	"time"

	"handrail/mdm"
	"handrail/mdm/command"
)

// Command returns one; see command.Reader.
func (s *Store) Command(ctx context.Context, id command.ID) (command.Command, error) {
	c, err := scanCommand(s.reader.QueryRowContext(ctx, "SELECT "+commandColumns+" FROM commands WHERE id = $1", id))
	return c, classify(err)
}

// Commands returns a page; see command.Reader.
func (s *Store) Commands(ctx context.Context, f command.Filter) (command.Page, error) {
	var c conditions
	if !f.Scope.All {
		in(&c, "group_id", f.Scope.Groups)
	}
	if f.Device != "" {
		c.add("device_id = ?", string(f.Device))
	}
	if f.Bulk != "" {
		c.add("bulk_id = ?", string(f.Bulk))
	}
	if f.Kind != "" {
		c.add("kind = ?", string(f.Kind))
	}
	if len(f.States) > 0 {
		in(&c, "state", f.States)
	}
	at, id, err := command.DecodeCursor(f.After)
	if err != nil {
		return command.Page{}, err
	}
	if id != "" {
		c.add("(created_us, id) < (?, ?)", micros(at), id)
	}
	rows, err := s.reader.QueryContext(ctx, "SELECT "+commandColumns+" FROM commands"+c.where()+
		" ORDER BY created_us DESC, id DESC LIMIT "+strconv.Itoa(f.Limit+1), c.args...)
	list, err := collect(rows, err, scanCommand)
	if err != nil || len(list) <= f.Limit {
		return command.Page{Commands: list}, err
	}
	list = list[:f.Limit]
	last := list[f.Limit-1]
	return command.Page{Commands: list, Next: command.CursorAfter(last.CreatedAt, string(last.ID))}, nil
}

// Output returns what a script wrote; see command.Reader.
func (s *Store) Output(ctx context.Context, id command.ID) (command.Output, error) {
	var o command.Output
	err := s.reader.QueryRowContext(ctx, `SELECT o.text, c.output_bytes FROM command_outputs o JOIN commands c ON c.id = o.command_id
		WHERE o.command_id = $1`, id).Scan(&o.Text, &o.Total)
	return o, classify(err)
}

// Bulk returns one; see command.Reader.
func (s *Store) Bulk(ctx context.Context, id command.BulkID) (command.Bulk, error) {
	b, err := scanBulk(s.reader.QueryRowContext(ctx, "SELECT "+bulkColumns+" FROM command_bulks WHERE id = $1", id))
	return b, classify(err)
}

// Bulks returns a page; see command.Reader.
func (s *Store) Bulks(ctx context.Context, f command.BulkFilter) (command.BulkPage, error) {
	var c conditions
	if !f.Scope.All {
		var k conditions
		k.args = c.args
		in(&k, "k.group_id", f.Scope.Groups)
		c.args = k.args
		c.parts = append(c.parts, "EXISTS (SELECT 1 FROM command_counts k WHERE k.bulk_id = command_bulks.id AND "+k.parts[0]+")")
	}
	if f.Kind != "" {
		c.add("kind = ?", string(f.Kind))
	}
	at, id, err := command.DecodeCursor(f.After)
	if err != nil {
		return command.BulkPage{}, err
	}
	if id != "" {
		c.add("(created_us, id) < (?, ?)", micros(at), id)
	}
	rows, err := s.reader.QueryContext(ctx, "SELECT "+bulkColumns+" FROM command_bulks"+c.where()+
		" ORDER BY created_us DESC, id DESC LIMIT "+strconv.Itoa(f.Limit+1), c.args...)
	list, err := collect(rows, err, scanBulk)
	if err != nil {
		return command.BulkPage{}, err
	}
	page := command.BulkPage{Bulks: list}
	if len(list) > f.Limit {
		page.Bulks = list[:f.Limit]
		last := page.Bulks[f.Limit-1]
		page.Next = command.CursorAfter(last.CreatedAt, string(last.ID))
	}
	ids := make([]command.BulkID, len(page.Bulks))
	for i, b := range page.Bulks {
		ids[i] = b.ID
	}
	page.Counts, err = s.countsOf(ctx, ids, f.Scope)
	return page, err
}

func (s *Store) countsOf(ctx context.Context, ids []command.BulkID, scope command.Scope) (map[command.BulkID]command.Counts, error) {
	out := map[command.BulkID]command.Counts{}
	if len(ids) == 0 {
		return out, nil
	}
	var c conditions
	in(&c, "bulk_id", ids)
	if !scope.All {
		in(&c, "group_id", scope.Groups)
	}
	type line struct {
		bulk  command.BulkID
		state command.State
		n     int64
	}
	rows, err := s.reader.QueryContext(ctx, "SELECT bulk_id, state, sum(n) FROM command_counts"+c.where()+" GROUP BY bulk_id, state", c.args...)
	list, err := collect(rows, err, func(row rowScanner) (l line, err error) { return l, row.Scan(&l.bulk, &l.state, &l.n) })
	if err != nil {
		return nil, err
	}
	for _, id := range ids {
		out[id] = command.Counts{}
	}
	for _, l := range list {
		if l.n != 0 {
			out[l.bulk][l.state] = l.n
		}
	}
	return out, nil
}

// Counts sums a bulk's states; see command.Reader.
func (s *Store) Counts(ctx context.Context, id command.BulkID, scope command.Scope) (command.Counts, error) {
	all, err := s.countsOf(ctx, []command.BulkID{id}, scope)
	return all[id], err
}

// PutPiece stores a piece of a bundle; see command.Files.
func (s *Store) PutPiece(ctx context.Context, d mdm.DeviceID, id command.ID, seq int, b []byte) error {
	return s.write(ctx, func(tx *sql.Tx) error {
		var known command.ID
		err := tx.QueryRowContext(ctx, "UPDATE commands SET wake_us = wake_us WHERE id = $1 AND device_id = $2 AND kind = $3 AND file_bytes = 0 RETURNING id",
			id, d, command.CollectLogs).Scan(&known)
		if err != nil {
			return err
		}
		if seq == 0 {
			if _, err := tx.ExecContext(ctx, "DELETE FROM command_pieces WHERE command_id = $1", id); err != nil {
				return err
			}
		}
		_, err = tx.ExecContext(ctx, `INSERT INTO command_pieces (command_id, seq, data) VALUES ($1, $2, $3)
			ON CONFLICT (command_id, seq) DO UPDATE SET data = excluded.data`, id, seq, b)
		return err
	})
}

// SealFile says that a bundle is whole; see command.Files.
func (s *Store) SealFile(ctx context.Context, id command.ID, size int64) error {
	return s.execOne(ctx, "UPDATE commands SET file_bytes = $2 WHERE id = $1", id, size)
}

// Piece returns a piece of a bundle; see command.Files.
func (s *Store) Piece(ctx context.Context, id command.ID, seq int) ([]byte, error) {
	var b []byte
	err := s.reader.QueryRowContext(ctx, "SELECT data FROM command_pieces WHERE command_id = $1 AND seq = $2", id, seq).Scan(&b)
	return b, classify(err)
}

// PruneCommands removes what is too old; see command.Queue.
func (s *Store) PruneCommands(ctx context.Context, before, files time.Time, limit int) (int64, error) {
	old, err := s.removeAny(ctx, "commands", "id", "SELECT id FROM commands WHERE is_open = 0 AND finished_us < $1 ORDER BY finished_us LIMIT $2",
		micros(before), limit)
	if err != nil {
		return old, err
	}
	// Bundles: a command that is over, and pieces of one that was never whole.
	pieces, err := s.removeAny(ctx, "command_pieces", "command_id", `SELECT DISTINCT p.command_id FROM command_pieces p JOIN commands c ON c.id = p.command_id
		WHERE c.is_open = 0 AND c.finished_us < $1 LIMIT 100`, micros(files))
	if err != nil {
		return old, err
	}
	if pieces > 0 {
		_, err = s.exec(ctx, `UPDATE commands SET file_bytes = 0 WHERE file_bytes > 0 AND is_open = 0 AND finished_us < $1`, micros(files))
		if err != nil {
			return old, err
		}
	}
	bulks, err := s.removeAny(ctx, "command_bulks", "id", `SELECT b.id FROM command_bulks b WHERE b.expires_us < $1
		AND NOT EXISTS (SELECT 1 FROM commands c WHERE c.bulk_id = b.id) LIMIT $2`, micros(before), limit)
	return old + pieces + bulks, err
}

// removeAny deletes the rows of a table whose column is among what a query finds, and writes
// nothing where that is nothing.
func (s *Store) removeAny(ctx context.Context, table, column, found string, args ...any) (int64, error) {
	if due, err := s.isAny(ctx, "SELECT 1 FROM ("+found+") AS found LIMIT 1", args...); err != nil || !due {
		return 0, err
	}
	return s.exec(ctx, "DELETE FROM "+table+" WHERE "+column+" IN ("+found+")", args...)
}

// NextWake returns when something is due; see command.Queue.
func (s *Store) NextWake(ctx context.Context) (time.Time, error) {
	var us int64
	err := s.reader.QueryRowContext(ctx, "SELECT wake_us FROM commands WHERE is_open = 1 ORDER BY wake_us LIMIT 1").Scan(&us)
	if errors.Is(err, sql.ErrNoRows) {
		return time.Time{}, nil
	}
	return fromMicros(us), classify(err)
}
