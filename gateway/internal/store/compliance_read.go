package store

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"handrail/mdm"
	"handrail/mdm/compliance"
)

// ComplianceCounts counts devices and findings; see compliance.Reader.
func (s *Store) ComplianceCounts(ctx context.Context, scope compliance.Scope) (compliance.Counts, error) {
	c := compliance.Counts{Overall: map[compliance.State]int64{}, Findings: map[string]map[compliance.State]int64{}, BySeq: map[int64]int64{}}
	if !scope.All && len(scope.Groups) == 0 {
		return c, nil
	}
	err := s.read(ctx, func(tx *sql.Tx) error {
		if scope.All {
			// The indexes alone hold all of it; what devices are revoked is few and taken off.
			if err := countCompliance(ctx, tx, &c, 1, "", conditions{}); err != nil {
				return err
			}
			var revoked conditions
			revoked.add("d.revoked_us > 0")
			return countCompliance(ctx, tx, &c, -1, " JOIN devices d ON d.id = device_id", revoked)
		}
		var w conditions
		w.add("d.revoked_us = 0")
		in(&w, "d.group_id", scope.Groups)
		return countCompliance(ctx, tx, &c, 1, " JOIN devices d ON d.id = device_id", w)
	})
	if err != nil {
		return c, err
	}
	known := int64(0)
	for _, n := range c.BySeq {
		known += n
	}
	// Devices that enrolled a moment ago have no row yet.
	c.Overall[compliance.Unknown] += c.Devices - known
	c.BySeq[0] += c.Devices - known
	return c, nil
}

// countCompliance adds sign times the numbers of the devices that where selects.
func countCompliance(ctx context.Context, tx *sql.Tx, c *compliance.Counts, sign int64, join string, w conditions) error {
	type row struct {
		a, b string
		n    int64
	}
	each := func(query string, take func(row)) error {
		rows, err := tx.QueryContext(ctx, query, w.args...)
		list, err := collect(rows, err, func(r rowScanner) (row, error) {
			var v row
			return v, r.Scan(&v.a, &v.b, &v.n)
		})
		for _, r := range list {
			r.n *= sign
			take(r)
		}
		return err
	}
	devices := "SELECT '', '', count(*) FROM devices d" + w.where()
	if err := each(devices, func(r row) { c.Devices += r.n }); err != nil {
		return err
	}
	if err := each("SELECT overall, '', count(*) FROM compliance_devices"+join+w.where()+" GROUP BY overall", func(r row) {
		c.Overall[compliance.State(r.a)] += r.n
	}); err != nil {
		return err
	}
	if err := each("SELECT CAST(seq AS TEXT), '', count(*) FROM compliance_devices"+join+w.where()+" GROUP BY seq", func(r row) {
		seq, _ := strconv.ParseInt(r.a, 10, 64) // a number the database made
		c.BySeq[seq] += r.n
	}); err != nil {
		return err
	}
	return each("SELECT rule_id, state, count(*) FROM compliance_findings"+join+w.where()+" GROUP BY rule_id, state", func(r row) {
		m := c.Findings[r.a]
		if m == nil {
			m = map[compliance.State]int64{}
			c.Findings[r.a] = m
		}
		m[compliance.State(r.b)] += r.n
	})
}

const foundColumns = "SELECT d.id, d.name, d.group_id, d.enrolled_us, "

func scanFound(row rowScanner) (compliance.Found, error) {
	var f compliance.Found
	var enrolled, since int64
	err := row.Scan(&f.Device, &f.Name, &f.Group, &enrolled, &f.State, &since)
	f.EnrolledAt, f.Since = fromMicros(enrolled), fromMicros(since)
	return f, err
}

// ComplianceDevices lists devices in a state; see compliance.Reader.
func (s *Store) ComplianceDevices(ctx context.Context, q compliance.DeviceQuery) ([]compliance.Found, error) {
	if !q.Scope.All && len(q.Scope.Groups) == 0 {
		return []compliance.Found{}, nil
	}
	var c conditions
	var query, key string
	switch {
	case q.Rule == "" && q.State == compliance.Unknown:
		query, key = foundColumns+"'unknown', 0 FROM devices d LEFT JOIN compliance_devices c ON c.device_id = d.id", "d.id"
		c.add("(c.overall IS NULL OR c.overall = 'unknown')")
	case q.Rule == "":
		query, key = foundColumns+"c.overall, 0 FROM compliance_devices c JOIN devices d ON d.id = c.device_id", "c.device_id"
		c.add("c.overall = ?", q.State)
	case q.State == compliance.Compliant:
		query, key = foundColumns+`'compliant', 0 FROM devices d JOIN compliance_devices c ON c.device_id = d.id`, "d.id"
		c.add("c.seq >= ? AND NOT EXISTS (SELECT 1 FROM compliance_findings f WHERE f.device_id = d.id AND f.rule_id = ?)", q.Seq, q.Rule)
	case q.State == compliance.Unknown:
		query, key = foundColumns+`'unknown', coalesce(f.since_us, 0) FROM devices d LEFT JOIN compliance_devices c ON c.device_id = d.id
			LEFT JOIN compliance_findings f ON f.device_id = d.id AND f.rule_id = `, "d.id"
		c.args = append(c.args, q.Rule)
		query += c.last()
		c.add("(f.state = 'unknown' OR f.state IS NULL AND coalesce(c.seq, 0) < ?)", q.Seq)
	default:
		query, key = foundColumns+"f.state, f.since_us FROM compliance_findings f JOIN devices d ON d.id = f.device_id", "f.device_id"
		c.add("f.rule_id = ? AND f.state = ?", q.Rule, q.State)
	}
	c.add("d.revoked_us = 0")
	if !q.Scope.All {
		in(&c, "d.group_id", q.Scope.Groups)
	}
	if q.After != "" {
		c.add(key+" > ?", q.After)
	}
	rows, err := s.reader.QueryContext(ctx, query+c.where()+" ORDER BY "+key+" LIMIT "+strconv.Itoa(q.Limit), c.args...)
	return collect(rows, err, scanFound)
}

const intervalColumns = "device_id, rule_id, since_us, until_us, state, waiver_id, reason, evidence"

func scanInterval(row rowScanner) (compliance.Interval, error) {
	var i compliance.Interval
	var since, until int64
	var evidence string
	err := row.Scan(&i.Device, &i.Rule, &since, &until, &i.State, &i.Waiver, &i.Reason, &evidence)
	i.Since, i.Until = fromMicros(since), fromMicros(until)
	if evidence != "" {
		i.Evidence = json.RawMessage(evidence)
	}
	return i, err
}

func openInterval(d mdm.DeviceID, e compliance.Entry) compliance.Interval {
	return compliance.Interval{Device: d, Rule: e.Rule, State: e.State, Since: e.Since, Waiver: e.Waiver, Reason: e.Reason, Evidence: e.Evidence}
}

// ComplianceAt returns what held at a moment; see compliance.Reader.
func (s *Store) ComplianceAt(ctx context.Context, ids []mdm.DeviceID, at time.Time) ([]compliance.Interval, error) {
	if len(ids) == 0 {
		return []compliance.Interval{}, nil
	}
	var c conditions
	in(&c, "device_id", ids)
	c.add("until_us > ? AND since_us <= ?", micros(at), micros(at))
	rows, err := s.reader.QueryContext(ctx, "SELECT "+intervalColumns+" FROM compliance_history"+c.where(), c.args...)
	list, err := collect(rows, err, scanInterval)
	if err != nil {
		return nil, err
	}
	standings, err := s.ComplianceStandings(ctx, ids)
	for id, st := range standings {
		for _, e := range st.Entries {
			if !e.Since.After(at) {
				list = append(list, openInterval(id, e))
			}
		}
	}
	return list, err
}

// ComplianceWaiting counts devices that are due; see compliance.Reader.
func (s *Store) ComplianceWaiting(ctx context.Context, scope compliance.Scope, now time.Time) (compliance.Waiting, error) {
	var w compliance.Waiting
	if !scope.All && len(scope.Groups) == 0 {
		return w, nil
	}
	var c conditions
	c.add("c.due_us > 0 AND c.due_us <= ?", micros(now))
	join := "" // of all devices the index alone knows: a device that is revoked is soon done with
	if !scope.All {
		join = " JOIN devices d ON d.id = c.device_id"
		c.add("d.revoked_us = 0")
		in(&c, "d.group_id", scope.Groups)
	}
	var since int64
	err := s.reader.QueryRowContext(ctx, "SELECT count(*), coalesce(min(c.due_us), 0) FROM compliance_devices c"+join+c.where(), c.args...).Scan(&w.Devices, &since)
	w.Since = fromMicros(since)
	return w, classify(err)
}

// countPage is how many devices are counted between two looks at the database: readers that are
// soon done hold up neither a writer's checkpoint nor a vacuum.
const countPage = 1000

// ComplianceCountsAt counts how devices stood at a moment; see compliance.Reader. What still
// holds and is met stands in documents only: they are read over once, a page at a time, and
// nothing of them is kept.
func (s *Store) ComplianceCountsAt(ctx context.Context, scope compliance.Scope, at time.Time) (compliance.CountsAt, error) {
	n := standingCount{at: micros(at), rules: map[string]map[compliance.State]int64{}, overall: map[compliance.State]int64{}}
	if !scope.All && len(scope.Groups) == 0 {
		return n.counts(), nil
	}
	for after := mdm.DeviceID(""); ; {
		page, err := s.standingTexts(ctx, scope, after, at)
		if err != nil {
			return compliance.CountsAt{}, err
		}
		if err := s.addEnded(ctx, page, at); err != nil {
			return compliance.CountsAt{}, err
		}
		for _, d := range page {
			if err := n.add(d); err != nil {
				return compliance.CountsAt{}, fmt.Errorf("compliance of %s: %w", d.id, err)
			}
		}
		if len(page) < countPage {
			return n.counts(), nil
		}
		after = page[len(page)-1].id
	}
}

// standingText is a device with its entries as they are stored, and the states that held at the
// moment and are over.
type standingText struct {
	id    mdm.DeviceID
	doc   string
	ended []endedState
}

type endedState struct {
	rule  string
	state compliance.State
}

func (s *Store) standingTexts(ctx context.Context, scope compliance.Scope, after mdm.DeviceID, at time.Time) ([]standingText, error) {
	var c conditions
	c.add("d.revoked_us = 0 AND d.enrolled_us <= ? AND d.id > ?", micros(at), after)
	if !scope.All {
		in(&c, "d.group_id", scope.Groups)
	}
	rows, err := s.reader.QueryContext(ctx, "SELECT d.id, coalesce(s.doc, '[]') FROM devices d LEFT JOIN compliance_standings s ON s.device_id = d.id"+
		c.where()+" ORDER BY d.id LIMIT "+strconv.Itoa(countPage), c.args...)
	return collect(rows, err, func(row rowScanner) (standingText, error) {
		var t standingText
		return t, row.Scan(&t.id, &t.doc)
	})
}

// addEnded adds to devices what of their history held at the moment.
func (s *Store) addEnded(ctx context.Context, page []standingText, at time.Time) error {
	if len(page) == 0 {
		return nil
	}
	ids, by := make([]mdm.DeviceID, len(page)), make(map[mdm.DeviceID]*standingText, len(page))
	for i := range page {
		ids[i], by[page[i].id] = page[i].id, &page[i]
	}
	var c conditions
	oneOf(s, &c, "device_id", ids)
	c.add("until_us > ? AND since_us <= ?", micros(at), micros(at))
	rows, err := s.reader.QueryContext(ctx, "SELECT device_id, rule_id, state FROM compliance_history"+c.where(), c.args...)
	_, err = collect(rows, err, func(row rowScanner) (struct{}, error) {
		var id mdm.DeviceID
		var e endedState
		err := row.Scan(&id, &e.rule, &e.state)
		if d := by[id]; d != nil {
			d.ended = append(d.ended, e)
		}
		return struct{}{}, err
	})
	return err
}

// standingCount adds up devices as they stood at a moment.
type standingCount struct {
	at      int64
	devices int64
	overall map[compliance.State]int64
	rules   map[string]map[compliance.State]int64
}

func (n *standingCount) add(d standingText) error {
	overall, looked := compliance.Compliant, false
	one := func(rule string, state compliance.State) {
		by := n.rules[rule]
		if by == nil {
			by = map[compliance.State]int64{}
			n.rules[strings.Clone(rule)] = by // not all of the document with it
		}
		by[state]++
		overall, looked = compliance.Worse(overall, state), true
	}
	for _, e := range d.ended {
		one(e.rule, e.state)
	}
	err := eachEntry(d.doc, func(e entryText) {
		if e.since <= n.at {
			one(e.rule, compliance.State(e.state))
		}
	})
	if !looked {
		overall = compliance.Unknown
	}
	n.devices++
	n.overall[overall]++
	return err
}

func (n *standingCount) counts() compliance.CountsAt {
	return compliance.CountsAt{Devices: n.devices, Overall: n.overall, Rules: n.rules}
}

// ComplianceHistory returns a device's intervals; see compliance.Reader.
func (s *Store) ComplianceHistory(ctx context.Context, device mdm.DeviceID, rule string, limit int) ([]compliance.Interval, error) {
	var c conditions
	c.add("device_id = ?", device)
	if rule != "" {
		c.add("rule_id = ?", rule)
	}
	rows, err := s.reader.QueryContext(ctx, "SELECT "+intervalColumns+" FROM compliance_history"+c.where()+" ORDER BY until_us DESC, rule_id LIMIT "+strconv.Itoa(limit), c.args...)
	list, err := collect(rows, err, scanInterval)
	if err != nil {
		return nil, err
	}
	standings, err := s.ComplianceStandings(ctx, []mdm.DeviceID{device})
	if err != nil {
		return nil, err
	}
	for _, e := range standings[device].Entries {
		if rule == "" || e.Rule == rule {
			list = append(list, openInterval(device, e))
		}
	}
	slices.SortFunc(list, func(a, b compliance.Interval) int {
		return cmp.Or(b.Since.Compare(a.Since), cmp.Compare(a.Rule, b.Rule))
	})
	return list[:min(len(list), limit)], nil
}

// ComplianceWalk walks over devices; see compliance.Reader.
func (s *Store) ComplianceWalk(ctx context.Context, scope compliance.Scope, after mdm.DeviceID, limit int) ([]compliance.Named, error) {
	if !scope.All && len(scope.Groups) == 0 {
		return []compliance.Named{}, nil
	}
	var c conditions
	c.add("d.revoked_us = 0")
	if !scope.All {
		in(&c, "d.group_id", scope.Groups)
	}
	c.add("d.id > ?", after)
	rows, err := s.reader.QueryContext(ctx, foundColumns+"'', 0 FROM devices d"+c.where()+" ORDER BY d.id LIMIT "+strconv.Itoa(limit), c.args...)
	return collect(rows, err, func(row rowScanner) (compliance.Named, error) {
		f, err := scanFound(row)
		return f.Named, err
	})
}
