package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"handrail/gateway/internal/desire"
	"handrail/mdm"
	"handrail/mdm/manifest"
)

const standingColumns = "w.device_id, w.generation, w.outcome, w.hash, w.changed_us, w.reported, w.reported_generation, w.reported_us, w.unsaid"

func scanStanding(row rowScanner, more ...any) (desire.Standing, error) {
	var st desire.Standing
	var changed, reported int64
	err := row.Scan(append([]any{
		&st.Device, &st.Generation, &st.Outcome, &st.Hash, &changed, &st.Reported, &st.ReportedGeneration, &reported, &st.Unsaid,
	}, more...)...)
	st.ChangedAt, st.ReportedAt = fromMicros(changed), fromMicros(reported)
	return st, err
}

// Desired returns what a device must be; see desire.Store.
func (s *Store) Desired(ctx context.Context, id mdm.DeviceID) (desire.Standing, error) {
	var st desire.Standing
	err := s.askOftenRow(ctx, func(row rowScanner) (err error) {
		st, err = scanStanding(row)
		return err
	}, "SELECT "+standingColumns+" FROM desired w WHERE w.device_id = $1", id)
	return st, classify(err)
}

// Standing returns everything of one device; see desire.Store.
func (s *Store) Standing(ctx context.Context, id mdm.DeviceID) (desire.Standing, error) {
	st, err := scanWhole(s.reader.QueryRowContext(ctx, "SELECT "+standingColumns+`, COALESCE(b.body, '') FROM desired w
		LEFT JOIN device_status b ON b.device_id = w.device_id WHERE w.device_id = $1`, id))
	return st, classify(err)
}

func scanWhole(row rowScanner) (desire.Standing, error) {
	var body string
	st, err := scanStanding(row, &body)
	if err != nil {
		return st, err
	}
	st.Statuses, err = decodeStatuses(body)
	return st, err
}

func decodeStatuses(body string) (map[manifest.ID]desire.Kept, error) {
	out := map[manifest.ID]desire.Kept{}
	if body == "" {
		return out, nil
	}
	if err := json.Unmarshal([]byte(body), &out); err != nil {
		return nil, fmt.Errorf("kept statuses: %w", err)
	}
	return out, nil
}

// MergeReports takes in what devices report; see desire.Store.
func (s *Store) MergeReports(ctx context.Context, ids []mdm.DeviceID, merge func(ctx context.Context, s *desire.Standing) (bool, error)) error {
	ids = slices.Compact(slices.Sorted(slices.Values(ids)))
	if len(ids) == 0 {
		return nil
	}
	return s.write(ctx, func(tx *sql.Tx) error {
		var c conditions
		in(&c, "device_id", ids)
		// The update that changes nothing locks the rows. A device reports to one node, so that
		// two batches hardly ever meet; where they do, one runs again.
		rows, err := tx.QueryContext(ctx, "UPDATE desired SET reported_us = reported_us"+c.where()+" RETURNING "+
			strings.ReplaceAll(standingColumns, "w.", ""), c.args...)
		standings, err := collect(rows, err, func(row rowScanner) (desire.Standing, error) { return scanStanding(row) })
		if err != nil {
			return err
		}
		rows, err = tx.QueryContext(ctx, "SELECT device_id, body FROM device_status"+c.where(), c.args...)
		bodies, err := collect(rows, err, func(row rowScanner) ([2]string, error) {
			var r [2]string
			return r, row.Scan(&r[0], &r[1])
		})
		if err != nil {
			return err
		}
		of := make(map[mdm.DeviceID]string, len(bodies))
		for _, r := range bodies {
			of[mdm.DeviceID(r[0])] = r[1]
		}
		for i := range standings {
			if standings[i].Statuses, err = decodeStatuses(of[standings[i].Device]); err != nil {
				return err
			}
		}
		b := statusBatch{bare: !s.postgres}
		for i := range standings {
			st := &standings[i]
			before := maps.Clone(st.Statuses)
			changed, err := merge(ctx, st)
			if err == nil && changed {
				err = b.add(st, before)
			}
			if err != nil {
				return err
			}
		}
		return b.write(ctx, tx)
	})
}

// statusBatch gathers what reports change, to be written in few statements.
type statusBatch struct {
	bare                          bool // see inserter
	desired, status, faults, gone rowsOf
}

// rowsOf is rows of arguments.
type rowsOf [][]any

// each calls write with the text and the arguments of batches of rows: "($1, $2), ($3, $4)".
// bare has "?" instead; see inserter. cast, if given, names the type of each column, for where
// the database cannot know it.
func (r rowsOf) each(bare bool, cast []string, write func(values string, args []any) error) error {
	for len(r) > 0 {
		batch := r[:min(len(r), seenBatch)]
		r = r[len(batch):]
		var values strings.Builder
		var args []any
		for i, row := range batch {
			if i > 0 {
				values.WriteString(", ")
			}
			values.WriteByte('(')
			for k, v := range row {
				if k > 0 {
					values.WriteString(", ")
				}
				args = append(args, v)
				mark := "?"
				if !bare {
					mark = "$" + strconv.Itoa(len(args))
				}
				if cast != nil {
					mark = "CAST(" + mark + " AS " + cast[k] + ")"
				}
				values.WriteString(mark)
			}
			values.WriteByte(')')
		}
		if err := write(values.String(), args); err != nil {
			return err
		}
	}
	return nil
}

func (b *statusBatch) add(st *desire.Standing, before map[manifest.ID]desire.Kept) error {
	body, err := json.Marshal(st.Statuses)
	if err != nil {
		return err
	}
	b.desired = append(b.desired, []any{string(st.Device), st.Reported, st.ReportedGeneration, micros(st.ReportedAt), st.Unsaid})
	b.status = append(b.status, []any{string(st.Device), string(body)})
	for _, id := range slices.Sorted(maps.Keys(before)) {
		if now, still := st.Statuses[id]; before[id].State != manifest.Applied && (!still || now.State == manifest.Applied) {
			b.gone = append(b.gone, []any{string(st.Device), string(id)})
		}
	}
	for _, id := range slices.Sorted(maps.Keys(st.Statuses)) {
		k, was := st.Statuses[id], before[id]
		if k.State == manifest.Applied || was.State == k.State && was.SinceUS == k.SinceUS && was.Source.Policy == k.Source.Policy {
			continue
		}
		b.faults = append(b.faults, []any{string(st.Device), string(id), string(k.State), k.Source.Policy, k.SinceUS})
	}
	return nil
}

func (b *statusBatch) write(ctx context.Context, tx *sql.Tx) error {
	run := func(before, after string) func(string, []any) error {
		return func(values string, args []any) error {
			_, err := tx.ExecContext(ctx, before+values+after, args...)
			return err
		}
	}
	err := b.desired.each(b.bare, []string{"TEXT", "TEXT", "BIGINT", "BIGINT", "TEXT"}, run("WITH r (id, hash, generation, us, unsaid) AS (VALUES ",
		`) UPDATE desired SET reported = r.hash, reported_generation = r.generation, reported_us = r.us, unsaid = r.unsaid FROM r WHERE desired.device_id = r.id`))
	if err == nil {
		err = b.status.each(b.bare, nil, run("INSERT INTO device_status (device_id, body) VALUES ",
			" ON CONFLICT (device_id) DO UPDATE SET body = excluded.body"))
	}
	if err == nil {
		err = b.gone.each(b.bare, []string{"TEXT", "TEXT"}, run("WITH g (device_id, setting_id) AS (VALUES ",
			`) DELETE FROM status_faults WHERE (device_id, setting_id) IN (SELECT device_id, setting_id FROM g)`))
	}
	if err == nil {
		err = b.faults.each(b.bare, nil, run("INSERT INTO status_faults (device_id, setting_id, state, policy_id, since_us) VALUES ",
			` ON CONFLICT (device_id, setting_id) DO UPDATE SET state = excluded.state, policy_id = excluded.policy_id, since_us = excluded.since_us`))
	}
	return err
}

// viewer limits w, the table desired, to devices of some groups.
func viewer(c *conditions, v desire.Viewer) {
	if v.All {
		return
	}
	if len(v.Groups) == 0 {
		c.add("1 = 0")
		return
	}
	args := make([]any, len(v.Groups))
	for i, g := range v.Groups {
		args[i] = string(g)
	}
	c.add("w.device_id IN (SELECT id FROM devices WHERE group_id IN ("+marks(len(args))+"))", args...)
}

// marks is n question marks.
func marks(n int) string { return strings.TrimSuffix(strings.Repeat("?, ", n), ", ") }

// Pairs counts devices by what they must be; see desire.Store.
func (s *Store) Pairs(ctx context.Context, v desire.Viewer) ([]desire.Pair, error) {
	var c conditions
	viewer(&c, v)
	rows, err := s.reader.QueryContext(ctx, "SELECT p.outcome, COALESCE(m.hash, ''), p.reported, p.n FROM (SELECT w.outcome, w.reported, count(*) AS n FROM desired w"+
		c.where()+" GROUP BY w.outcome, w.reported) p LEFT JOIN manifests m ON m.outcome = p.outcome", c.args...)
	all, err := collect(rows, err, func(row rowScanner) (desire.Pair, error) {
		var p desire.Pair
		return p, row.Scan(&p.Outcome, &p.Hash, &p.Reported, &p.Devices)
	})
	if err != nil {
		return nil, err
	}
	// What is unsaid is in no index, being long, and there are few of these.
	c.add("w.unsaid <> ''")
	rows, err = s.reader.QueryContext(ctx, "SELECT w.outcome, w.reported, w.unsaid, count(*) FROM desired w"+c.where()+
		" GROUP BY w.outcome, w.reported, w.unsaid", c.args...)
	partly, err := collect(rows, err, func(row rowScanner) (desire.Pair, error) {
		var p desire.Pair
		return p, row.Scan(&p.Outcome, &p.Reported, &p.Unsaid, &p.Devices)
	})
	if err != nil || len(partly) == 0 {
		return all, err
	}
	at := make(map[[2]string]int, len(all))
	for i := range all {
		at[[2]string{all[i].Outcome, all[i].Reported}] = i
	}
	for _, p := range partly {
		i, ok := at[[2]string{p.Outcome, p.Reported}]
		if !ok {
			continue // since the first look
		}
		whole := &all[i]
		p.Hash, p.Devices = whole.Hash, min(p.Devices, whole.Devices)
		whole.Devices -= p.Devices
		all = append(all, p)
	}
	return slices.DeleteFunc(all, func(p desire.Pair) bool { return p.Devices == 0 }), nil
}

// FaultCounts counts what is not applied; see desire.Store.
func (s *Store) FaultCounts(ctx context.Context, v desire.Viewer) ([]desire.FaultCount, error) {
	var c conditions
	viewer(&c, v)
	rows, err := s.reader.QueryContext(ctx, `SELECT f.setting_id, f.state, w.outcome, w.reported, w.unsaid, count(*) FROM status_faults f
		JOIN desired w ON w.device_id = f.device_id`+c.where()+" GROUP BY f.setting_id, f.state, w.outcome, w.reported, w.unsaid", c.args...)
	return collect(rows, err, func(row rowScanner) (desire.FaultCount, error) {
		var n desire.FaultCount
		return n, row.Scan(&n.Setting, &n.State, &n.Outcome, &n.Reported, &n.Unsaid, &n.Devices)
	})
}

// DevicesInState finds devices by how settings stand; see desire.Store.
func (s *Store) DevicesInState(ctx context.Context, q desire.DeviceQuery) ([]mdm.DeviceID, error) {
	if len(q.Pairs) == 0 || len(q.Settings) == 0 && len(q.Any) > 0 && !q.None {
		return nil, nil
	}
	var c conditions
	viewer(&c, q.Viewer)
	var pairs []string
	var args []any
	for _, p := range q.Pairs {
		pairs = append(pairs, "w.outcome = ? AND w.reported = ? AND w.unsaid = ?")
		args = append(args, p.Outcome, p.Reported, p.Unsaid)
	}
	c.add("("+strings.Join(pairs, " OR ")+")", args...)
	if len(q.Any) > 0 && len(q.Settings) > 0 {
		args = args[:0]
		part := "EXISTS (SELECT 1 FROM status_faults f WHERE f.device_id = w.device_id AND f.state IN (" + marks(len(q.Any)) +
			") AND f.setting_id IN (" + marks(len(q.Settings)) + "))"
		if q.None {
			part = "NOT " + part
		}
		for _, state := range q.Any {
			args = append(args, string(state))
		}
		for _, id := range q.Settings {
			args = append(args, string(id))
		}
		c.add(part, args...)
	}
	c.add("w.device_id > ?", q.After)
	rows, err := s.reader.QueryContext(ctx, "SELECT w.device_id FROM desired w"+c.where()+" ORDER BY w.device_id LIMIT "+strconv.Itoa(q.Limit), c.args...)
	return collect(rows, err, func(row rowScanner) (mdm.DeviceID, error) {
		var id mdm.DeviceID
		return id, row.Scan(&id)
	})
}

// Failures returns where settings failed; see desire.Store.
func (s *Store) Failures(ctx context.Context, settings []manifest.ID) (map[mdm.DeviceID][]desire.Failure, error) {
	out := map[mdm.DeviceID][]desire.Failure{}
	for some := range slices.Chunk(settings, seenBatch) {
		var c conditions
		in(&c, "setting_id", some)
		c.add("state IN ('failed', 'conflict')")
		rows, err := s.reader.QueryContext(ctx, "SELECT device_id, setting_id, since_us FROM status_faults"+c.where(), c.args...)
		if _, err = collect(rows, err, func(row rowScanner) (struct{}, error) {
			var id mdm.DeviceID
			var f desire.Failure
			var since int64
			err := row.Scan(&id, &f.Setting, &since)
			f.At = fromMicros(since)
			out[id] = append(out[id], f)
			return struct{}{}, err
		}); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// FaultsOn counts devices of a pair by state; see desire.Store.
func (s *Store) FaultsOn(ctx context.Context, v desire.Viewer, p desire.Pair, settings []manifest.ID) ([]desire.PolicyCount, error) {
	if len(settings) == 0 {
		return nil, nil
	}
	var out []desire.PolicyCount
	for _, by := range []struct{ state, where, group string }{
		{"f.state", "f.state <> 'applied'", " GROUP BY f.state"},
		{"''", "f.state IN ('failed', 'conflict', 'drifted')", ""},
	} {
		var c conditions
		c.add(by.where)
		c.add("w.outcome = ? AND w.reported = ? AND w.unsaid = ?", p.Outcome, p.Reported, p.Unsaid)
		in(&c, "f.setting_id", settings)
		viewer(&c, v)
		rows, err := s.reader.QueryContext(ctx, "SELECT "+by.state+`, count(DISTINCT f.device_id) FROM status_faults f
			JOIN desired w ON w.device_id = f.device_id`+c.where()+by.group, c.args...)
		list, err := collect(rows, err, func(row rowScanner) (desire.PolicyCount, error) {
			n := desire.PolicyCount{Outcome: p.Outcome, Reported: p.Reported, Unsaid: p.Unsaid}
			return n, row.Scan(&n.State, &n.Devices)
		})
		if err != nil {
			return nil, err
		}
		out = append(out, list...)
	}
	return out, nil
}

// PolicyCounts counts devices by policy; see desire.Store.
func (s *Store) PolicyCounts(ctx context.Context, v desire.Viewer) ([]desire.PolicyCount, error) {
	var out []desire.PolicyCount
	for _, by := range []struct{ state, where string }{
		{"f.state", "f.state <> 'applied'"},
		{"''", "f.state IN ('failed', 'conflict', 'drifted')"},
	} {
		var c conditions
		c.add(by.where)
		viewer(&c, v)
		rows, err := s.reader.QueryContext(ctx, "SELECT f.policy_id, "+by.state+`, w.outcome, w.reported, w.unsaid, count(DISTINCT f.device_id) FROM status_faults f
			JOIN desired w ON w.device_id = f.device_id`+c.where()+" GROUP BY 1, 2, 3, 4, 5", c.args...)
		list, err := collect(rows, err, func(row rowScanner) (desire.PolicyCount, error) {
			var n desire.PolicyCount
			return n, row.Scan(&n.Policy, &n.State, &n.Outcome, &n.Reported, &n.Unsaid, &n.Devices)
		})
		if err != nil {
			return nil, err
		}
		out = append(out, list...)
	}
	return out, nil
}
