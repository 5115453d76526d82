package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"handrail/mdm"
	"handrail/mdm/compliance"
)

// bulkRows is how many rows one statement names, bulkArgs how many parameters one INSERT has.
const (
	bulkRows = 400
	bulkArgs = 2000
)

// insertRows runs prefix + "(…), (…)" + suffix for all rows, a few hundred at a time.
func (s *Store) insertRows(ctx context.Context, tx *sql.Tx, prefix, suffix string, rows [][]any) error {
	for len(rows) > 0 {
		n := min(len(rows), bulkArgs/len(rows[0]))
		var b strings.Builder
		b.WriteString(prefix)
		args := make([]any, 0, n*len(rows[0]))
		for i, row := range rows[:n] {
			if i > 0 {
				b.WriteString(", ")
			}
			b.WriteByte('(')
			for j, v := range row {
				if j > 0 {
					b.WriteString(", ")
				}
				args = append(args, v)
				if s.postgres {
					b.WriteByte('$')
					b.WriteString(strconv.Itoa(len(args)))
				} else {
					b.WriteByte('?') // SQLite looks a parameter with a name up among all that came before
				}
			}
			b.WriteByte(')')
		}
		b.WriteString(suffix)
		if _, err := tx.ExecContext(ctx, b.String(), args...); err != nil {
			return err
		}
		rows = rows[n:]
	}
	return nil
}

// oneOf is in for hundreds of values: as one parameter, so that the statement is always the
// same and quick to prepare.
func oneOf[T ~string](s *Store, c *conditions, column string, values []T) {
	plain := make([]string, len(values))
	for i, v := range values {
		plain[i] = string(v)
	}
	if s.postgres {
		c.add(column+" = ANY(CAST(? AS TEXT[]))", plain)
		return
	}
	text, err := json.Marshal(plain)
	if err != nil {
		text = []byte("[]") // strings are always JSON
	}
	c.add(column+" IN (SELECT value FROM json_each(?))", string(text))
}

// markCompliance makes devices due to be checked at a moment. Whoever changes what rules read
// calls it in the same transaction, so that no change is ever missed.
func markCompliance(ctx context.Context, tx *sql.Tx, at time.Time, ids ...mdm.DeviceID) error {
	for len(ids) > 0 {
		n := min(len(ids), bulkRows)
		var c conditions
		c.args = append(c.args, micros(at), compliance.Unknown)
		in(&c, "id", ids[:n])
		if _, err := tx.ExecContext(ctx, markColumns+c.where()+markConflict, c.args...); err != nil {
			return err
		}
		ids = ids[n:]
	}
	return nil
}

// markAllCompliance is markCompliance for every device.
func markAllCompliance(ctx context.Context, tx *sql.Tx, at time.Time) error {
	_, err := tx.ExecContext(ctx, markColumns+" WHERE true"+markConflict, micros(at), compliance.Unknown)
	return err
}

const (
	markColumns  = "INSERT INTO compliance_devices (device_id, overall, seq, checked_us, due_us) SELECT id, CAST($2 AS TEXT), 0, 0, CAST($1 AS BIGINT) FROM devices"
	markConflict = " ON CONFLICT (device_id) DO UPDATE SET due_us = excluded.due_us"
)

// MarkComplianceDue makes devices due; see compliance.StandingStore.
func (s *Store) MarkComplianceDue(ctx context.Context, at time.Time, ids ...mdm.DeviceID) error {
	return s.write(ctx, func(tx *sql.Tx) error {
		if len(ids) == 0 {
			return markAllCompliance(ctx, tx, at)
		}
		return markCompliance(ctx, tx, at, ids...)
	})
}

// clockSlack is how far the clocks of nodes may be apart.
const clockSlack = time.Minute

// MarkComplianceMissed makes due what was missed; see compliance.StandingStore.
func (s *Store) MarkComplianceMissed(ctx context.Context, now time.Time, settings bool) error {
	missed := "checked_us > $2"
	if settings {
		missed += ` OR device_id IN (SELECT d.device_id FROM desired d JOIN compliance_devices c ON c.device_id = d.device_id
			WHERE c.checked_us > 0 AND d.reported_us > c.checked_us)`
	}
	_, err := s.exec(ctx, "UPDATE compliance_devices SET due_us = $1 WHERE (due_us = 0 OR due_us > $1) AND ("+missed+")",
		micros(now), micros(now.Add(clockSlack)))
	return err
}

// ClaimComplianceDue takes devices to check; see compliance.StandingStore.
func (s *Store) ClaimComplianceDue(ctx context.Context, now, lease time.Time, limit int) ([]mdm.DeviceID, error) {
	return s.claimCompliance(ctx, now, lease, limit, "DESC")
}

// ClaimComplianceLate takes devices that wait longest; see compliance.StandingStore.
func (s *Store) ClaimComplianceLate(ctx context.Context, before, lease time.Time, limit int) ([]mdm.DeviceID, error) {
	return s.claimCompliance(ctx, before, lease, limit, "ASC")
}

func (s *Store) claimCompliance(ctx context.Context, until, lease time.Time, limit int, order string) ([]mdm.DeviceID, error) {
	pick := "SELECT device_id FROM compliance_devices WHERE due_us > 0 AND due_us <= $2 ORDER BY due_us " + order + " LIMIT $3"
	if s.postgres {
		pick += " FOR UPDATE SKIP LOCKED" // SQLite has one writer anyway
	}
	rows, err := s.writer.QueryContext(ctx, "UPDATE compliance_devices SET due_us = $1 WHERE device_id IN ("+pick+") RETURNING device_id",
		micros(lease), micros(until), limit)
	return collect(rows, err, scanDeviceID)
}

func scanDeviceID(row rowScanner) (mdm.DeviceID, error) {
	var id mdm.DeviceID
	return id, row.Scan(&id)
}

// NextComplianceDue returns when a device is due; see compliance.StandingStore.
func (s *Store) NextComplianceDue(ctx context.Context) (time.Time, error) {
	var us sql.NullInt64
	err := s.reader.QueryRowContext(ctx, "SELECT min(due_us) FROM compliance_devices WHERE due_us > 0").Scan(&us)
	return fromMicros(us.Int64), classify(err)
}

// ComplianceStandings returns where devices stand; see compliance.StandingStore.
func (s *Store) ComplianceStandings(ctx context.Context, ids []mdm.DeviceID) (map[mdm.DeviceID]compliance.Standing, error) {
	out := make(map[mdm.DeviceID]compliance.Standing, len(ids))
	if len(ids) == 0 {
		return out, nil
	}
	var c conditions
	oneOf(s, &c, "s.device_id", ids)
	rows, err := s.reader.QueryContext(ctx, `SELECT s.device_id, s.revision, s.doc, c.seq, c.checked_us, c.due_us FROM compliance_standings s
		JOIN compliance_devices c ON c.device_id = s.device_id`+c.where(), c.args...)
	list, err := collect(rows, err, func(row rowScanner) (compliance.Standing, error) {
		var st compliance.Standing
		var doc string
		var checked, due int64
		if err := row.Scan(&st.Device, &st.Revision, &doc, &st.Seq, &checked, &due); err != nil {
			return st, err
		}
		st.CheckedAt, st.DueAt = fromMicros(checked), fromMicros(due)
		var err error
		if st.Entries, err = decodeEntries(doc); err != nil {
			return st, fmt.Errorf("compliance of %s: %w", st.Device, err)
		}
		return st, nil
	})
	for _, st := range list {
		out[st.Device] = st
	}
	return out, err
}

// SaveCompliance stores what checking devices came to; see compliance.StandingStore.
func (s *Store) SaveCompliance(ctx context.Context, lease time.Time, changes []compliance.Change) (int, error) {
	stored := 0
	if len(changes) == 0 {
		return 0, nil
	}
	err := s.write(ctx, func(tx *sql.Tx) error {
		stored = 0
		kept, err := s.keptRevisions(ctx, tx, changes)
		if err != nil {
			return err
		}
		var rows complianceRows
		for _, c := range changes {
			revision, exists := kept[c.Standing.Device]
			if !exists || revision != c.From {
				continue
			}
			stored++
			if err := rows.take(c); err != nil {
				return err
			}
		}
		return s.writeRows(ctx, tx, rows, lease)
	})
	return stored, err
}

// keptRevisions locks the devices that exist and returns the revision each stands at.
func (s *Store) keptRevisions(ctx context.Context, tx *sql.Tx, changes []compliance.Change) (map[mdm.DeviceID]int64, error) {
	ids := make([]mdm.DeviceID, len(changes))
	for i, c := range changes {
		ids[i] = c.Standing.Device
	}
	var c conditions
	oneOf(s, &c, "d.id", ids)
	query := `SELECT d.id, coalesce(s.revision, 0) FROM devices d LEFT JOIN compliance_standings s ON s.device_id = d.id` + c.where() + " ORDER BY d.id"
	if s.postgres {
		query += " FOR KEY SHARE OF d"
	}
	type kept struct {
		id       mdm.DeviceID
		revision int64
	}
	rows, err := tx.QueryContext(ctx, query, c.args...)
	list, err := collect(rows, err, func(row rowScanner) (kept, error) {
		var k kept
		return k, row.Scan(&k.id, &k.revision)
	})
	out := make(map[mdm.DeviceID]int64, len(list))
	for _, k := range list {
		out[k.id] = k.revision
	}
	return out, err
}

// complianceRows are the rows several changes come to, by table.
type complianceRows struct {
	devices, standings, findings, history, gone [][]any
}

func (r *complianceRows) take(c compliance.Change) error {
	st := c.Standing
	r.devices = append(r.devices, []any{st.Device, st.Overall(), st.Seq, micros(st.CheckedAt), micros(st.DueAt)})
	if st.Revision == c.From {
		return nil
	}
	doc, err := encodeEntries(st.Entries)
	if err != nil {
		return fmt.Errorf("compliance of %s: %w", st.Device, err)
	}
	r.standings = append(r.standings, []any{st.Device, st.Revision, doc})
	for _, e := range c.Opened {
		if e.State != compliance.Compliant {
			r.findings = append(r.findings, []any{st.Device, e.Rule, e.State, micros(e.Since)})
		} else if st.Revision > 1 {
			r.gone = append(r.gone, []any{st.Device, e.Rule})
		}
	}
	for _, rule := range c.Gone {
		r.gone = append(r.gone, []any{st.Device, rule})
	}
	for _, i := range c.Closed {
		r.history = append(r.history, []any{st.Device, i.Rule, micros(i.Since), micros(i.Until), i.State, i.Waiver, i.Reason, string(i.Evidence)})
	}
	return nil
}

func (s *Store) writeRows(ctx context.Context, tx *sql.Tx, r complianceRows, lease time.Time) error {
	for _, w := range []struct {
		prefix, suffix string
		rows           [][]any
	}{
		{
			"INSERT INTO compliance_devices (device_id, overall, seq, checked_us, due_us) VALUES ",
			fmt.Sprintf(` ON CONFLICT (device_id) DO UPDATE SET overall = excluded.overall, seq = excluded.seq, checked_us = excluded.checked_us,
				due_us = CASE WHEN compliance_devices.due_us = %d THEN excluded.due_us ELSE compliance_devices.due_us END`, micros(lease)),
			r.devices,
		},
		{
			"INSERT INTO compliance_standings (device_id, revision, doc) VALUES ",
			" ON CONFLICT (device_id) DO UPDATE SET revision = excluded.revision, doc = excluded.doc", r.standings,
		},
		{
			"INSERT INTO compliance_findings (device_id, rule_id, state, since_us) VALUES ",
			" ON CONFLICT (device_id, rule_id) DO UPDATE SET state = excluded.state, since_us = excluded.since_us", r.findings,
		},
		{"DELETE FROM compliance_findings WHERE (device_id, rule_id) IN (VALUES ", ")", r.gone},
		{
			"INSERT INTO compliance_history (device_id, rule_id, since_us, until_us, state, waiver_id, reason, evidence) VALUES ",
			" ON CONFLICT (device_id, rule_id, since_us) DO NOTHING", r.history,
		},
	} {
		if err := s.insertRows(ctx, tx, w.prefix, w.suffix, w.rows); err != nil {
			return err
		}
	}
	return nil
}
