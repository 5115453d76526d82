package store

import (
	"context"
	"encoding/json"
	"fmt"

	"handrail/mdm"
	"handrail/mdm/compliance"
)

// ComplianceSubjects returns devices with the hashes of their sections; see compliance.FactStore.
func (s *Store) ComplianceSubjects(ctx context.Context, ids []mdm.DeviceID, sections []string) ([]compliance.Subject, error) {
	if len(ids) == 0 {
		return []compliance.Subject{}, nil
	}
	var c conditions
	in(&c, "id", ids)
	c.add("revoked_us = 0")
	rows, err := s.reader.QueryContext(ctx, `SELECT id, group_id, name, hostname, os, os_version, arch, model, serial, enrolled_us, last_seen_us
		FROM devices`+c.where(), c.args...)
	list, err := collect(rows, err, func(row rowScanner) (compliance.Subject, error) {
		d := compliance.Subject{Sections: map[string]string{}}
		var enrolled, seen int64
		err := row.Scan(&d.Device, &d.Group, &d.Name, &d.Hostname, &d.OS, &d.OSVersion, &d.Arch, &d.Model, &d.Serial, &enrolled, &seen)
		d.EnrolledAt, d.LastSeenAt = fromMicros(enrolled), fromMicros(seen)
		return d, err
	})
	if err != nil || sections != nil && len(sections) == 0 {
		return list, err
	}
	at := make(map[mdm.DeviceID]int, len(list))
	for i, d := range list {
		at[d.Device] = i
	}
	c = conditions{}
	in(&c, "device_id", ids)
	if sections != nil {
		in(&c, "section", sections)
	}
	type hashed struct {
		device        mdm.DeviceID
		section, hash string
	}
	rows, err = s.reader.QueryContext(ctx, "SELECT device_id, section, hash FROM inventory_sections"+c.where(), c.args...)
	hashes, err := collect(rows, err, func(row rowScanner) (hashed, error) {
		var h hashed
		return h, row.Scan(&h.device, &h.section, &h.hash)
	})
	for _, h := range hashes {
		if i, ok := at[h.device]; ok {
			list[i].Sections[h.section] = h.hash
		}
	}
	return list, err
}

// ComplianceSections returns the content of sections; see compliance.FactStore.
func (s *Store) ComplianceSections(ctx context.Context, keys []compliance.SectionKey) (map[compliance.SectionKey][]byte, error) {
	out := make(map[compliance.SectionKey][]byte, len(keys))
	type content struct {
		key  compliance.SectionKey
		data string
	}
	for len(keys) > 0 {
		n := min(len(keys), bulkRows)
		var c conditions
		query := "SELECT device_id, section, data FROM inventory_sections WHERE (device_id, section) IN (VALUES "
		for i, k := range keys[:n] {
			if i > 0 {
				query += ", "
			}
			c.args = append(c.args, k.Device)
			query += "(" + c.last() + ", "
			c.args = append(c.args, k.Section)
			query += c.last() + ")"
		}
		rows, err := s.reader.QueryContext(ctx, query+")", c.args...)
		list, err := collect(rows, err, func(row rowScanner) (content, error) {
			var v content
			return v, row.Scan(&v.key.Device, &v.key.Section, &v.data)
		})
		if err != nil {
			return nil, err
		}
		for _, v := range list {
			out[v.key] = []byte(v.data)
		}
		keys = keys[n:]
	}
	return out, nil
}

// SettingStates returns the states of settings; see compliance.FactStore.
func (s *Store) SettingStates(ctx context.Context, ids []mdm.DeviceID) (map[mdm.DeviceID]map[string]string, error) {
	out := make(map[mdm.DeviceID]map[string]string, len(ids))
	if len(ids) == 0 {
		return out, nil
	}
	var c conditions
	in(&c, "device_id", ids)
	type reported struct {
		device mdm.DeviceID
		body   string
	}
	rows, err := s.reader.QueryContext(ctx, "SELECT device_id, body FROM device_status"+c.where(), c.args...)
	list, err := collect(rows, err, func(row rowScanner) (reported, error) {
		var r reported
		return r, row.Scan(&r.device, &r.body)
	})
	if err != nil {
		return nil, err
	}
	for _, r := range list {
		var kept map[string]struct {
			State string `json:"state"`
		}
		if err := json.Unmarshal([]byte(r.body), &kept); err != nil {
			return nil, fmt.Errorf("setting states of %s: %w", r.device, err)
		}
		states := make(map[string]string, len(kept))
		for id, k := range kept {
			states[id] = k.State
		}
		out[r.device] = states
	}
	return out, nil
}
