package store

import (
	"context"
	"database/sql"
	"time"

	"handrail/mdm/compliance"
)

// SaveComplianceDay writes down how devices stand, as the day's numbers; see compliance.Reader.
func (s *Store) SaveComplianceDay(ctx context.Context, day time.Time) error {
	return s.write(ctx, func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, "DELETE FROM compliance_days WHERE day_us = $1", micros(day)); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, `INSERT INTO compliance_days (day_us, group_id, overall, devices)
			SELECT CAST($1 AS BIGINT), d.group_id, coalesce(c.overall, 'unknown'), count(*) FROM devices d
			LEFT JOIN compliance_devices c ON c.device_id = d.id WHERE d.revoked_us = 0 GROUP BY d.group_id, coalesce(c.overall, 'unknown')`, micros(day))
		return err
	})
}

// ComplianceDays returns the days' numbers of a scope; see compliance.Reader.
func (s *Store) ComplianceDays(ctx context.Context, scope compliance.Scope, from time.Time) ([]compliance.Day, error) {
	if !scope.All && len(scope.Groups) == 0 {
		return []compliance.Day{}, nil
	}
	var c conditions
	c.add("day_us >= ?", micros(from))
	if !scope.All {
		in(&c, "group_id", scope.Groups)
	}
	type row struct {
		day     int64
		overall compliance.State
		n       int64
	}
	rows, err := s.reader.QueryContext(ctx, "SELECT day_us, overall, sum(devices) FROM compliance_days"+c.where()+" GROUP BY day_us, overall ORDER BY day_us", c.args...)
	list, err := collect(rows, err, func(r rowScanner) (row, error) {
		var v row
		return v, r.Scan(&v.day, &v.overall, &v.n)
	})
	out := []compliance.Day{}
	for _, r := range list {
		if n := len(out); n == 0 || micros(out[n-1].Day) != r.day {
			out = append(out, compliance.Day{Day: fromMicros(r.day), Overall: map[compliance.State]int64{}})
		}
		out[len(out)-1].Overall[r.overall] = r.n
	}
	return out, err
}
