package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"handrail/gateway/internal/session"
	"handrail/mdm"
	"handrail/signaling"
)

const sessionColumns = `id, device_id, device_name, group_id, operator_id, operator_name, shown, reason, asked, granted,
	consent, state, requested_us, consented_us, live_us, ended_us, deadline_us, window_us, lost_us, ended_by, message`

func scanSession(row rowScanner) (session.Session, error) {
	var s session.Session
	var shown string
	var requested, consented, live, ended, deadline, window, lost int64
	err := row.Scan(&s.ID, &s.Device, &s.DeviceName, &s.Group, &s.Operator, &s.OperatorName, &shown, &s.Reason, &s.Asked, &s.Granted,
		&s.Consent, &s.State, &requested, &consented, &live, &ended, &deadline, &window, &lost, &s.EndedBy, &s.Message)
	if err != nil {
		return s, err
	}
	s.RequestedAt, s.ConsentedAt, s.LiveAt, s.EndedAt = fromMicros(requested), fromMicros(consented), fromMicros(live), fromMicros(ended)
	s.Deadline, s.LostAt, s.Window = fromMicros(deadline), fromMicros(lost), time.Duration(window)*time.Microsecond
	if err := json.Unmarshal([]byte(shown), &s.Shown); err != nil {
		return s, fmt.Errorf("session %s: operator shown: %w", s.ID, err)
	}
	return s, nil
}

func bit(b bool) int {
	if b {
		return 1
	}
	return 0
}

// maxAgentEntries is where a timeline stops taking what an agent reports: no honest session
// comes near it.
const maxAgentEntries = 4000

// CreateSession stores a new session and its first entry; session.ErrTooMany when the
// device has limit open ones.
func (s *Store) CreateSession(ctx context.Context, one session.Session, first session.Entry, limit int) error {
	shown, err := json.Marshal(one.Shown)
	if err != nil {
		return err
	}
	return s.write(ctx, func(tx *sql.Tx) error {
		var open int
		err := tx.QueryRowContext(ctx, `SELECT COUNT(*) FROM support_sessions WHERE is_open = 1 AND device_id = $1`, one.Device).Scan(&open)
		if err != nil {
			return err
		}
		if open >= limit {
			return session.ErrTooMany
		}
		_, err = tx.ExecContext(ctx, `INSERT INTO support_sessions (`+sessionColumns+`, is_open, entries)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, 1)`,
			one.ID, one.Device, one.DeviceName, one.Group, one.Operator, one.OperatorName, string(shown), one.Reason,
			int64(one.Asked), int64(one.Granted), one.Consent, one.State, micros(one.RequestedAt), micros(one.ConsentedAt),
			micros(one.LiveAt), micros(one.EndedAt), micros(one.Deadline), one.Window.Microseconds(), micros(one.LostAt),
			one.EndedBy, one.Message, bit(one.IsOpen()))
		if err != nil {
			return err
		}
		first.Seq = 1
		_, err = addEntry(ctx, tx, one.ID, first)
		return err
	})
}

// ChangeSession runs change on the stored session in a transaction and stores it with the
// entries it returns.
func (s *Store) ChangeSession(ctx context.Context, id signaling.SessionID, change func(*session.Session) ([]session.Entry, error)) (session.Session, error) {
	var out session.Session
	err := s.write(ctx, func(tx *sql.Tx) error {
		// Updating first makes other changes of the row wait, on both databases.
		var seq int64
		err := tx.QueryRowContext(ctx, `UPDATE support_sessions SET entries = entries WHERE id = $1 RETURNING entries`, id).Scan(&seq)
		if err != nil {
			return err
		}
		out, err = scanSession(tx.QueryRowContext(ctx, `SELECT `+sessionColumns+` FROM support_sessions WHERE id = $1`, id))
		if err != nil {
			return err
		}
		entries, err := change(&out)
		if err != nil {
			return err
		}
		for _, e := range entries {
			if e.AgentSeq > 0 && seq >= maxAgentEntries {
				continue
			}
			e.Seq = seq + 1
			added, err := addEntry(ctx, tx, id, e)
			if err != nil {
				return err
			}
			if added {
				seq++
			}
		}
		_, err = tx.ExecContext(ctx, `UPDATE support_sessions SET asked = $2, granted = $3, state = $4, is_open = $5, consented_us = $6,
			live_us = $7, ended_us = $8, deadline_us = $9, lost_us = $10, ended_by = $11, message = $12, entries = $13 WHERE id = $1`,
			id, int64(out.Asked), int64(out.Granted), out.State, bit(out.IsOpen()), micros(out.ConsentedAt), micros(out.LiveAt),
			micros(out.EndedAt), micros(out.Deadline), micros(out.LostAt), out.EndedBy, out.Message, seq)
		return err
	})
	return out, err
}

// addEntry appends to a timeline, unless the agent's entry is there already.
func addEntry(ctx context.Context, tx *sql.Tx, id signaling.SessionID, e session.Entry) (bool, error) {
	agentSeq := sql.NullInt64{Int64: e.AgentSeq, Valid: e.AgentSeq > 0}
	res, err := tx.ExecContext(ctx, `INSERT INTO support_session_entries (session_id, seq, agent_seq, at_us, kind, actor, peer_id, detail)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (session_id, agent_seq) DO NOTHING`,
		id, e.Seq, agentSeq, micros(e.At), e.Kind, e.Actor, e.Peer, e.Detail)
	if err != nil {
		return false, err
	}
	n, err := res.RowsAffected()
	return n > 0, err
}

// SupportSession returns one session.
func (s *Store) SupportSession(ctx context.Context, id signaling.SessionID) (session.Session, error) {
	one, err := scanSession(s.reader.QueryRowContext(ctx, `SELECT `+sessionColumns+` FROM support_sessions WHERE id = $1`, id))
	return one, classify(err)
}

// SupportSessions returns a page, newest first, and the cursor of the next.
func (s *Store) SupportSessions(ctx context.Context, f session.Filter) ([]session.Session, string, error) {
	var c conditions
	if !f.AllGroups {
		in(&c, "group_id", f.Groups)
	}
	if f.Device != "" {
		c.add("device_id = ?", f.Device)
	}
	if f.Operator != "" {
		c.add("operator_id = ?", f.Operator)
	}
	if len(f.States) > 0 {
		in(&c, "state", f.States)
	}
	if f.After != "" {
		k, err := mdm.DecodeCursor(f.After, 2)
		if err != nil {
			return nil, "", err
		}
		us, err := strconv.ParseInt(k[0], 10, 64)
		if err != nil {
			return nil, "", fmt.Errorf("cursor: %w", mdm.ErrInvalid)
		}
		c.add("(requested_us < ? OR (requested_us = ? AND id < ?))", us, us, k[1])
	}
	rows, err := s.reader.QueryContext(ctx, `SELECT `+sessionColumns+` FROM support_sessions`+c.where()+
		` ORDER BY requested_us DESC, id DESC LIMIT `+strconv.Itoa(f.Limit+1), c.args...)
	page, err := collect(rows, err, scanSession)
	if err != nil || len(page) <= f.Limit {
		return page, "", err
	}
	page = page[:f.Limit]
	last := page[len(page)-1]
	return page, mdm.EncodeCursor(strconv.FormatInt(micros(last.RequestedAt), 10), string(last.ID)), nil
}

// OpenSessions returns the sessions of a device that are not final; of all devices for "".
func (s *Store) OpenSessions(ctx context.Context, d mdm.DeviceID) ([]session.Session, error) {
	c := conditions{parts: []string{"is_open = 1"}}
	if d != "" {
		c.add("device_id = ?", d)
	}
	rows, err := s.reader.QueryContext(ctx, `SELECT `+sessionColumns+` FROM support_sessions`+c.where()+` ORDER BY id`, c.args...)
	return collect(rows, err, scanSession)
}

// SessionEntries returns a timeline in order of time.
func (s *Store) SessionEntries(ctx context.Context, id signaling.SessionID) ([]session.Entry, error) {
	rows, err := s.reader.QueryContext(ctx, `SELECT e.seq, COALESCE(e.agent_seq, 0), e.at_us, e.kind,
		CASE WHEN e.actor = '' THEN COALESCE(p.operator_name, '') ELSE e.actor END, e.peer_id, e.detail
		FROM support_session_entries e LEFT JOIN support_session_peers p ON p.id = e.peer_id AND p.session_id = e.session_id
		WHERE e.session_id = $1 ORDER BY e.at_us, e.seq LIMIT 5000`, id)
	return collect(rows, err, func(row rowScanner) (session.Entry, error) {
		var e session.Entry
		var at int64
		err := row.Scan(&e.Seq, &e.AgentSeq, &at, &e.Kind, &e.Actor, &e.Peer, &e.Detail)
		e.At = fromMicros(at)
		return e, err
	})
}

// CountSessions counts the open sessions in the groups, or in all.
func (s *Store) CountSessions(ctx context.Context, groups []mdm.GroupID, all bool) (session.Counts, error) {
	c := conditions{parts: []string{"is_open = 1"}}
	if !all {
		in(&c, "group_id", groups)
	}
	var out session.Counts
	err := s.reader.QueryRowContext(ctx, `SELECT COALESCE(SUM(CASE WHEN state = 'requested' THEN 0 ELSE 1 END), 0),
		COALESCE(SUM(CASE WHEN state = 'requested' THEN 1 ELSE 0 END), 0) FROM support_sessions`+c.where(), c.args...).Scan(&out.Live, &out.Waiting)
	return out, classify(err)
}

// AddSessionPeer stores a viewer.
func (s *Store) AddSessionPeer(ctx context.Context, p session.Peer) error {
	_, err := s.exec(ctx, `INSERT INTO support_session_peers (id, session_id, operator_id, operator_name, made_us) VALUES ($1, $2, $3, $4, $5)`,
		p.ID, p.Session, p.Operator, p.Name, micros(p.MadeAt))
	return err
}

// SessionPeer returns a viewer.
func (s *Store) SessionPeer(ctx context.Context, id signaling.PeerID) (session.Peer, error) {
	p := session.Peer{ID: id}
	var at int64
	err := s.reader.QueryRowContext(ctx, `SELECT session_id, operator_id, operator_name, made_us FROM support_session_peers WHERE id = $1`, id).
		Scan(&p.Session, &p.Operator, &p.Name, &at)
	p.MadeAt = fromMicros(at)
	return p, classify(err)
}

var _ session.Store = (*Store)(nil)
