package store

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"hash/fnv"
	"maps"
	"slices"
	"strings"
	"time"

	"handrail/mdm"
	"handrail/mdm/command"
)

const bulkColumns = `id, kind, params, payload, note, target, supersede_key, idempotency, created_by, created_name, created_us, not_before_us,
	expires_us, run_limit_us, max_attempts, held, approved_by, approved_name, approved_us, devices, skipped`

func scanBulk(row rowScanner) (command.Bulk, error) {
	var b command.Bulk
	var params string
	var created, notBefore, expires, limit, approved, held int64
	err := row.Scan(&b.ID, &b.Kind, &params, &b.Payload, &b.Note, &b.Target, &b.SupersedeKey, &b.Idempotency, &b.By, &b.ByName, &created, &notBefore,
		&expires, &limit, &b.MaxAttempts, &held, &b.ApprovedBy, &b.ApprovedName, &approved, &b.Devices, &b.Skipped)
	b.Params, b.Held, b.RunLimit = []byte(params), held == 1, time.Duration(limit)*time.Microsecond
	b.CreatedAt, b.NotBefore, b.ExpiresAt, b.ApprovedAt = fromMicros(created), fromMicros(notBefore), fromMicros(expires), fromMicros(approved)
	return b, err
}

const commandColumns = `id, bulk_id, device_id, device_name, group_id, kind, state, attempts, created_us, not_before_us, expires_us, sent_us,
	finished_us, cancel_by, reason, message, exit_code, started_us, ended_us, output_bytes, has_output, file_bytes`

func scanCommand(row rowScanner) (command.Command, error) {
	c, _, err := scanWaking(row, false)
	return c, err
}

// scanWaking reads commandColumns and, where asked, wake_us behind them.
func scanWaking(row rowScanner, waking bool) (command.Command, int64, error) {
	var c command.Command
	var created, notBefore, expires, sent, finished, started, ended, has, wake int64
	var exit sql.NullInt64
	dest := []any{
		&c.ID, &c.Bulk, &c.Device, &c.DeviceName, &c.Group, &c.Kind, &c.State, &c.Attempts, &created, &notBefore, &expires, &sent,
		&finished, &c.CancelBy, &c.Reason, &c.Message, &exit, &started, &ended, &c.OutputBytes, &has, &c.FileBytes,
	}
	if waking {
		dest = append(dest, &wake)
	}
	err := row.Scan(dest...)
	c.CreatedAt, c.NotBefore, c.ExpiresAt, c.SentAt = fromMicros(created), fromMicros(notBefore), fromMicros(expires), fromMicros(sent)
	c.FinishedAt, c.StartedAt, c.EndedAt, c.HasOutput = fromMicros(finished), fromMicros(started), fromMicros(ended), has == 1
	if exit.Valid {
		n := int(exit.Int64)
		c.ExitCode = &n
	}
	return c, wake, err
}

// shardOf spreads a bulk's counts over rows; see command_counts.
func shardOf(d mdm.DeviceID) int64 {
	h := fnv.New32a()
	_, _ = h.Write([]byte(d)) // never fails
	return int64(h.Sum32() % 8)
}

// countKey is one row of command_counts.
type countKey struct {
	bulk  command.BulkID
	group mdm.GroupID
	shard int64
	state command.State
}

// tally gathers changes of counts, to be written in one order by everybody: no deadlocks.
type tally map[countKey]int64

func (t tally) move(c command.Command, from, to command.State) {
	if from != "" {
		t[countKey{c.Bulk, c.Group, shardOf(c.Device), from}]--
	}
	t[countKey{c.Bulk, c.Group, shardOf(c.Device), to}]++
}

func (t tally) bulks() []command.BulkID {
	seen := map[command.BulkID]bool{}
	for k := range t {
		seen[k.bulk] = true
	}
	return slices.Sorted(maps.Keys(seen))
}

func (t tally) write(ctx context.Context, tx *sql.Tx) error {
	keys := slices.SortedFunc(maps.Keys(t), func(a, b countKey) int {
		return cmp.Or(strings.Compare(string(a.bulk), string(b.bulk)), strings.Compare(string(a.group), string(b.group)),
			cmp.Compare(a.shard, b.shard), strings.Compare(string(a.state), string(b.state)))
	})
	for _, k := range keys {
		if t[k] == 0 {
			continue
		}
		_, err := tx.ExecContext(ctx, `INSERT INTO command_counts (bulk_id, group_id, shard, state, n) VALUES ($1, $2, $3, $4, $5)
			ON CONFLICT (bulk_id, group_id, shard, state) DO UPDATE SET n = command_counts.n + excluded.n`, k.bulk, k.group, k.shard, k.state, t[k])
		if err != nil {
			return err
		}
	}
	return nil
}

// Pauses of the queue: how long until a device that was nudged and did not come is nudged
// again. It doubles with the command's age.
const renudge = time.Minute

// How many commands one statement stores: SQLite's driver looks for each parameter among
// all.
const (
	createAtOnce       = 1000
	createAtOnceSQLite = 200
)

// CreateBulk stores an order; see command.Queue.
func (s *Store) CreateBulk(ctx context.Context, b command.Bulk, targets []command.Target) (command.Made, error) {
	var made command.Made
	err := s.write(ctx, func(tx *sql.Tx) error {
		made = command.Made{Bulk: b}
		made.Bulk.Devices, made.Bulk.Skipped = 0, 0
		_, err := tx.ExecContext(ctx, "INSERT INTO command_bulks ("+bulkColumns+`)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21)`,
			b.ID, b.Kind, string(b.Params), b.Payload, b.Note, b.Target, b.SupersedeKey, b.Idempotency, b.By, b.ByName, micros(b.CreatedAt), micros(b.NotBefore),
			micros(b.ExpiresAt), b.RunLimit.Microseconds(), b.MaxAttempts, bit(b.Held), b.ApprovedBy, b.ApprovedName, micros(b.ApprovedAt), 0, 0)
		if err != nil {
			return err
		}
		counts, most := tally{}, createAtOnceSQLite
		if s.postgres {
			most = createAtOnce
		}
		for rest := targets; len(rest) > 0; {
			part := rest[:min(len(rest), most)]
			rest = rest[len(part):]
			if err := createCommands(ctx, tx, &made, part, counts); err != nil {
				return err
			}
		}
		if err := counts.write(ctx, tx); err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, "UPDATE command_bulks SET devices = $2, skipped = $3 WHERE id = $1", b.ID, made.Bulk.Devices, made.Bulk.Skipped)
		return err
	})
	if errors.Is(err, mdm.ErrAlreadyExists) && b.Idempotency != "" {
		old, rerr := scanBulk(s.reader.QueryRowContext(ctx, "SELECT "+bulkColumns+" FROM command_bulks WHERE idempotency = $1", b.Idempotency))
		if rerr == nil {
			return command.Made{Bulk: old, Existed: true}, nil
		}
	}
	return made, err
}

// createCommands stores the commands of some of a bulk's devices.
func createCommands(ctx context.Context, tx *sql.Tx, made *command.Made, targets []command.Target, counts tally) error {
	b := made.Bulk
	ids := make([]mdm.DeviceID, len(targets))
	for i, t := range targets {
		ids[i] = t.Device
	}
	if b.SupersedeKey != "" {
		if err := supersede(ctx, tx, made, ids, counts); err != nil {
			return err
		}
	}
	full, err := fullDevices(ctx, tx, ids)
	if err != nil {
		return err
	}
	state := command.Queued
	if b.Held {
		state = command.Held
	}
	var values strings.Builder
	args := []any{string(b.ID), string(b.Kind), b.SupersedeKey, string(state), micros(b.CreatedAt), micros(b.NotBefore), micros(b.ExpiresAt)}
	for _, t := range targets {
		if full[t.Device] {
			made.Bulk.Skipped++
			continue
		}
		made.Bulk.Devices++
		wake := b.ExpiresAt
		switch {
		case b.Held:
		case !b.NotBefore.IsZero():
			wake = b.NotBefore
		case t.Online:
			wake = earlier(b.CreatedAt.Add(renudge), wake)
		}
		if values.Len() > 0 {
			values.WriteString(", ")
		}
		n := len(args)
		fmt.Fprintf(&values, "($%d, $1, $%d, $%d, $%d, $2, $3, $4, 1, 0, $5, $6, $7, 0, 0, $%d, '', '', '', 0, 0, 0, 0, 0)", n+1, n+2, n+3, n+4, n+5)
		args = append(args, mdm.NewID("cmd"), string(t.Device), t.Name, string(t.Group), micros(wake))
		counts.move(command.Command{Bulk: b.ID, Device: t.Device, Group: t.Group}, "", state)
	}
	if values.Len() == 0 {
		return nil
	}
	_, err = tx.ExecContext(ctx, `INSERT INTO commands (id, bulk_id, device_id, device_name, group_id, kind, supersede_key, state, is_open, attempts, created_us,
		not_before_us, expires_us, sent_us, finished_us, wake_us, cancel_by, reason, message, started_us, ended_us, output_bytes, has_output, file_bytes)
		VALUES `+values.String(), args...)
	return err
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// supersede ends waiting commands of the same key.
func supersede(ctx context.Context, tx *sql.Tx, made *command.Made, ids []mdm.DeviceID, counts tally) error {
	var c conditions
	c.add("is_open = 1")
	c.add("supersede_key = ?", made.Bulk.SupersedeKey)
	in(&c, "state", []command.State{command.Held, command.Queued})
	in(&c, "device_id", ids)
	// A first statement that changes nothing tells what the states were, and locks the rows.
	rows, err := tx.QueryContext(ctx, "UPDATE commands SET wake_us = wake_us"+c.where()+" RETURNING "+commandColumns, c.args...)
	old, err := collect(rows, err, scanCommand)
	if err != nil {
		return err
	}
	for _, o := range old {
		if err := over(ctx, tx, o, command.Superseded, "", "a newer command took its place", made.Bulk.CreatedAt, counts); err != nil {
			return err
		}
		made.Superseded = append(made.Superseded, o.Device)
	}
	return nil
}

// fullDevices returns those that have as many open commands as a device may have.
func fullDevices(ctx context.Context, tx *sql.Tx, ids []mdm.DeviceID) (map[mdm.DeviceID]bool, error) {
	var c conditions
	c.add("is_open = 1")
	in(&c, "device_id", ids)
	c.args = append(c.args, command.MaxOpen)
	rows, err := tx.QueryContext(ctx, "SELECT device_id FROM commands"+c.where()+" GROUP BY device_id HAVING count(*) >= "+c.last(), c.args...)
	list, err := collect(rows, err, func(row rowScanner) (id mdm.DeviceID, err error) { return id, row.Scan(&id) })
	full := map[mdm.DeviceID]bool{}
	for _, id := range list {
		full[id] = true
	}
	return full, err
}

// over ends a command without its device's word.
func over(ctx context.Context, tx *sql.Tx, c command.Command, to command.State, why command.Reason, message string, now time.Time, counts tally) error {
	counts.move(c, c.State, to)
	_, err := tx.ExecContext(ctx, "UPDATE commands SET state = $2, is_open = 0, finished_us = $3, reason = $4, message = $5 WHERE id = $1",
		c.ID, to, micros(now), why, message)
	return err
}

// lockOpen locks the open commands of a device and returns them, oldest first.
func lockOpen(ctx context.Context, tx *sql.Tx, d mdm.DeviceID) ([]command.Command, error) {
	rows, err := tx.QueryContext(ctx, "UPDATE commands SET wake_us = wake_us WHERE device_id = $1 AND is_open = 1 RETURNING "+commandColumns, d)
	list, err := collect(rows, err, scanCommand)
	slices.SortFunc(list, func(a, b command.Command) int {
		return cmp.Or(a.CreatedAt.Compare(b.CreatedAt), strings.Compare(string(a.ID), string(b.ID)))
	})
	return list, err
}

// ClaimCommands hands a device what waits for it; see command.Queue.
func (s *Store) ClaimCommands(ctx context.Context, d mdm.DeviceID, have []command.ID, limit int, now time.Time) (command.Claimed, error) {
	var out command.Claimed
	if open, err := s.anyOpen(ctx, d); err != nil || !open {
		return out, err // no transaction for those who ask in vain
	}
	err := s.write(ctx, func(tx *sql.Tx) error {
		out = command.Claimed{}
		counts := tally{}
		list, err := lockOpen(ctx, tx, d)
		if err != nil {
			return err
		}
		for _, c := range list {
			if err := claimOne(ctx, tx, c, slices.Contains(have, c.ID), limit, now, &out, counts); err != nil {
				return err
			}
		}
		out.Bulks = counts.bulks()
		return counts.write(ctx, tx)
	})
	return out, err
}

func claimOne(ctx context.Context, tx *sql.Tx, c command.Command, has bool, limit int, now time.Time, out *command.Claimed, counts tally) error {
	switch {
	case c.State == command.Held, c.NotBefore.After(now):
		return nil
	case c.State == command.Queued && !c.ExpiresAt.After(now):
		return over(ctx, tx, c, command.Expired, "", "the device did not fetch it in time", now, counts)
	case c.State == command.Sent && c.CancelBy != "" && has:
		out.Cancel = append(out.Cancel, c.ID)
		return nil
	case c.State == command.Sent && c.CancelBy != "":
		return over(ctx, tx, c, command.Cancelled, "", "cancelled before the device began", now, counts)
	case has:
		return nil
	}
	b, err := scanBulk(tx.QueryRowContext(ctx, "SELECT "+bulkColumns+" FROM command_bulks WHERE id = $1", c.Bulk))
	switch {
	case err != nil:
		return err
	case c.Attempts >= b.MaxAttempts:
		return over(ctx, tx, c, command.Failed, command.ReasonAttempts, fmt.Sprintf("sent %d times without an answer", c.Attempts), now, counts)
	case c.State == command.Sent && !c.ExpiresAt.After(now):
		// It never got there: the device does not know it.
		return over(ctx, tx, c, command.Expired, "", "the device did not get it in time", now, counts)
	case len(out.Commands) >= limit:
		out.More = true
		return nil
	}
	from := c.State
	c.State, c.SentAt = command.Sent, now
	c.Attempts++
	wake := c.ExpiresAt
	if end := now.Add(b.RunLimit); end.After(wake) {
		wake = end
	}
	_, err = tx.ExecContext(ctx, "UPDATE commands SET state = $2, attempts = $3, sent_us = $4, wake_us = $5 WHERE id = $1",
		c.ID, c.State, c.Attempts, micros(now), micros(wake.Add(command.Answer)))
	if err != nil {
		return err
	}
	if from != c.State {
		counts.move(c, from, c.State)
	}
	out.Commands = append(out.Commands, command.ClaimedCommand{Command: c, Payload: b.Payload})
	return nil
}

func (s *Store) anyOpen(ctx context.Context, d mdm.DeviceID) (bool, error) {
	var n int
	err := s.reader.QueryRowContext(ctx, "SELECT 1 FROM commands WHERE device_id = $1 AND is_open = 1 LIMIT 1", d).Scan(&n)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	return err == nil, classify(err)
}

// HasCommands reports whether a device has something to fetch; see command.Queue.
func (s *Store) HasCommands(ctx context.Context, d mdm.DeviceID, now time.Time) (bool, error) {
	var waits, queued int64
	err := s.reader.QueryRowContext(ctx, `SELECT count(*), coalesce(sum(CASE WHEN state = $3 THEN 1 ELSE 0 END), 0) FROM commands
		WHERE device_id = $1 AND is_open = 1 AND state <> $4 AND not_before_us <= $2`, d, micros(now), command.Queued, command.Held).Scan(&waits, &queued)
	if err != nil || waits == 0 {
		return false, classify(err)
	}
	if queued > 0 {
		soon := micros(now.Add(renudge))
		_, err = s.exec(ctx, `UPDATE commands SET wake_us = $2 WHERE device_id = $1 AND is_open = 1 AND state = $3 AND not_before_us <= $4 AND wake_us > $2`,
			d, soon, command.Queued, micros(now))
	}
	return true, err
}

// FinishCommand stores a device's result; see command.Queue.
func (s *Store) FinishCommand(ctx context.Context, d mdm.DeviceID, r command.Result, now time.Time) (command.Finished, error) {
	var f command.Finished
	err := s.write(ctx, func(tx *sql.Tx) error {
		f = command.Finished{}
		c, err := scanCommand(tx.QueryRowContext(ctx, "UPDATE commands SET wake_us = wake_us WHERE id = $1 AND device_id = $2 RETURNING "+commandColumns, r.ID, d))
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		if err != nil {
			return err
		}
		f.Command, f.Known = c, true
		if !c.State.IsOpen() && (c.State == command.Succeeded || c.State == command.Failed && c.Reason != command.ReasonNoAnswer && c.Reason != command.ReasonAttempts) {
			return nil // its word is known
		}
		counts := tally{}
		if c.State != r.State {
			counts.move(c, c.State, r.State)
		}
		c.State, c.Reason, c.Message, c.ExitCode, c.FinishedAt = r.State, r.Reason, r.Message, r.ExitCode, now
		c.StartedAt, c.EndedAt, c.OutputBytes, c.HasOutput = fromMicros(r.StartedUS), fromMicros(r.EndedUS), r.OutputBytes, r.Output != ""
		var exit sql.NullInt64
		if r.ExitCode != nil {
			exit = sql.NullInt64{Int64: int64(*r.ExitCode), Valid: true}
		}
		_, err = tx.ExecContext(ctx, `UPDATE commands SET state = $2, is_open = 0, reason = $3, message = $4, exit_code = $5, finished_us = $6, started_us = $7,
			ended_us = $8, output_bytes = $9, has_output = $10 WHERE id = $1`,
			c.ID, c.State, c.Reason, c.Message, exit, micros(now), micros(c.StartedAt), micros(c.EndedAt), c.OutputBytes, bit(c.HasOutput))
		if err != nil {
			return err
		}
		if c.HasOutput {
			_, err = tx.ExecContext(ctx, `INSERT INTO command_outputs (command_id, text) VALUES ($1, $2)
				ON CONFLICT (command_id) DO UPDATE SET text = excluded.text`, c.ID, r.Output)
			if err != nil {
				return err
			}
		}
		f.Command, f.Changed = c, true
		if err := counts.write(ctx, tx); err != nil {
			return err
		}
		return trimDevice(ctx, tx, d)
	})
	return f, err
}

// trimDevice removes what is over beyond the newest of a device.
func trimDevice(ctx context.Context, tx *sql.Tx, d mdm.DeviceID) error {
	_, err := tx.ExecContext(ctx, `DELETE FROM commands WHERE id IN (SELECT id FROM commands WHERE device_id = $1 AND is_open = 0
		ORDER BY created_us DESC, id DESC LIMIT 100 OFFSET $2)`, d, command.KeepPerUnit)
	return err
}
