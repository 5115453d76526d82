package store

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"handrail/mdm"
	"handrail/mdm/compliance"
)

// ComplianceSubjects returns devices with the hashes of their sections; see compliance.FactStore.
func (s *Store) ComplianceSubjects(ctx context.Context, ids []mdm.DeviceID, sections []string) ([]compliance.Subject, error) {
	if len(ids) == 0 {
		return []compliance.Subject{}, nil
	}
	var c conditions
	oneOf(s, &c, "id", ids)
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
	oneOf(s, &c, "device_id", ids)
	if sections != nil {
		in(&c, "section", sections)
	}
	// One row a device: a fleet has millions of sections, and a row costs more than its hash.
	type hashed struct {
		device mdm.DeviceID
		all    string
	}
	rows, err = s.reader.QueryContext(ctx, "SELECT device_id, string_agg(section || ' ' || hash, ' ') FROM inventory_sections"+c.where()+" GROUP BY device_id", c.args...)
	hashes, err := collect(rows, err, func(row rowScanner) (hashed, error) {
		var h hashed
		return h, row.Scan(&h.device, &h.all)
	})
	for _, h := range hashes {
		i, ok := at[h.device]
		if !ok {
			continue
		}
		for rest := h.all; rest != ""; {
			var section, hash string
			section, rest, _ = strings.Cut(rest, " ")
			hash, rest, _ = strings.Cut(rest, " ")
			list[i].Sections[section] = hash
		}
	}
	return list, err
}

// ComplianceSections returns the content of sections; see compliance.FactStore.
func (s *Store) ComplianceSections(ctx context.Context, keys []compliance.SectionKey) (map[compliance.SectionKey][]byte, error) {
	out := make(map[compliance.SectionKey][]byte, len(keys))
	wanted := map[string][]mdm.DeviceID{}
	for _, k := range keys {
		wanted[k.Section] = append(wanted[k.Section], k.Device)
	}
	for section, devices := range wanted {
		var c conditions
		c.add("section = ?", section)
		oneOf(s, &c, "device_id", devices)
		rows, err := s.reader.QueryContext(ctx, "SELECT device_id, data FROM inventory_sections"+c.where(), c.args...)
		_, err = collect(rows, err, func(row rowScanner) (struct{}, error) {
			k := compliance.SectionKey{Section: section}
			var data []byte
			err := row.Scan(&k.Device, &data)
			out[k] = data
			return struct{}{}, err
		})
		if err != nil {
			return nil, err
		}
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
	oneOf(s, &c, "device_id", ids)
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
