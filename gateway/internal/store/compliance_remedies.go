package store

import (
	"context"
	"database/sql"

	"handrail/mdm"
	"handrail/mdm/compliance"
)

// PutComplianceRemedies notes remedies; see compliance.RemedyStore.
func (s *Store) PutComplianceRemedies(ctx context.Context, list []compliance.Remedy) error {
	rows := make([][]any, len(list))
	for i, r := range list {
		rows[i] = []any{r.Device, r.Rule, micros(r.At), r.By, r.Bulk, r.Policy, r.Setting}
	}
	return s.write(ctx, func(tx *sql.Tx) error {
		return s.insertRows(ctx, tx, "INSERT INTO compliance_remedies (device_id, rule_id, at_us, by_name, bulk_id, policy_id, setting) VALUES ",
			` ON CONFLICT (device_id, rule_id) DO UPDATE SET at_us = excluded.at_us, by_name = excluded.by_name, bulk_id = excluded.bulk_id,
				policy_id = excluded.policy_id, setting = excluded.setting`, rows)
	})
}

// ComplianceRemedies returns remedies; see compliance.RemedyStore.
func (s *Store) ComplianceRemedies(ctx context.Context, ids []mdm.DeviceID, rule string) ([]compliance.Remedy, error) {
	var c conditions
	oneOf(s, &c, "device_id", ids)
	if rule != "" {
		c.add("rule_id = ?", rule)
	}
	rows, err := s.reader.QueryContext(ctx, "SELECT device_id, rule_id, at_us, by_name, bulk_id, policy_id, setting FROM compliance_remedies"+c.where()+
		" ORDER BY device_id, rule_id", c.args...)
	return collect(rows, err, func(row rowScanner) (compliance.Remedy, error) {
		var r compliance.Remedy
		var at int64
		err := row.Scan(&r.Device, &r.Rule, &at, &r.By, &r.Bulk, &r.Policy, &r.Setting)
		r.At = fromMicros(at)
		return r, err
	})
}
