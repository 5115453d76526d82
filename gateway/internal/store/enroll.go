package store

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"handrail/mdm"
	"handrail/mdm/device"
	"handrail/mdm/enroll"
)

const tokenColumns = "id, group_id, note, uses_allowed, uses_spent, created_by, created_us, expires_us, revoked_us"

func scanToken(row rowScanner) (enroll.Token, error) {
	var t enroll.Token
	var created, expires, revoked int64
	err := row.Scan(&t.ID, &t.Group, &t.Note, &t.UsesAllowed, &t.UsesSpent, &t.CreatedBy, &created, &expires, &revoked)
	t.CreatedAt, t.ExpiresAt, t.RevokedAt = fromMicros(created), fromMicros(expires), fromMicros(revoked)
	return t, err
}

// CreateToken stores an enrollment token; see enroll.Store.
func (s *Store) CreateToken(ctx context.Context, t enroll.Token, hash string) error {
	return s.write(ctx, func(tx *sql.Tx) error {
		if err := groupExists(ctx, tx, t.Group); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, `INSERT INTO enrollment_tokens (id, hash, group_id, note, uses_allowed, uses_spent, created_by, created_us, expires_us, revoked_us)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)`,
			t.ID, hash, t.Group, t.Note, t.UsesAllowed, t.UsesSpent, t.CreatedBy, micros(t.CreatedAt), micros(t.ExpiresAt), micros(t.RevokedAt))
		return err
	})
}

// Tokens returns a page of enrollment tokens; see enroll.Store.
func (s *Store) Tokens(ctx context.Context, groups []mdm.GroupID, all bool, beforeUS int64, beforeID string, limit int) ([]enroll.Token, error) {
	var c conditions
	if !all {
		in(&c, "group_id", groups)
	}
	if beforeID != "" {
		c.add("(created_us, id) < (?, ?)", beforeUS, beforeID)
	}
	c.args = append(c.args, limit)
	rows, err := s.reader.QueryContext(ctx, "SELECT "+tokenColumns+" FROM enrollment_tokens"+c.where()+
		" ORDER BY created_us DESC, id DESC LIMIT "+c.last(), c.args...)
	return collect(rows, err, scanToken)
}

// Token returns one enrollment token; see enroll.Store.
func (s *Store) Token(ctx context.Context, id string) (enroll.Token, error) {
	t, err := scanToken(s.reader.QueryRowContext(ctx, "SELECT "+tokenColumns+" FROM enrollment_tokens WHERE id = $1", id))
	return t, classify(err)
}

// RevokeToken revokes an enrollment token; see enroll.Store.
func (s *Store) RevokeToken(ctx context.Context, id string, at time.Time) error {
	return s.execOne(ctx, "UPDATE enrollment_tokens SET revoked_us = CASE WHEN revoked_us > 0 THEN revoked_us ELSE $2 END WHERE id = $1", id, micros(at))
}

// RedeemToken redeems an enrollment token; see enroll.Store.
func (s *Store) RedeemToken(ctx context.Context, hash, fingerprint string, decide enroll.Decide) error {
	return s.write(ctx, func(tx *sql.Tx) error {
		// Updates that change nothing lock the rows; see ChangeDevice.
		t, err := scanToken(tx.QueryRowContext(ctx, "UPDATE enrollment_tokens SET id = id WHERE hash = $1 RETURNING "+tokenColumns, hash))
		if err != nil {
			return err
		}
		d, err := scanDevice(tx.QueryRowContext(ctx, "UPDATE devices SET id = id WHERE fingerprint = $1 AND revoked_us = 0 RETURNING "+deviceColumns, fingerprint))
		var known *enroll.Enrolled
		switch {
		case err == nil:
			known = &enroll.Enrolled{
				Device: d.ID, Group: d.Group, TokenID: d.TokenID, At: d.EnrolledAt,
				Machine: enroll.Machine{
					PublicKey: d.PublicKey, Fingerprint: d.Fingerprint, Name: d.Name, Hostname: d.Hostname,
					OS: d.OS, Arch: d.Arch, AgentVersion: d.AgentVersion,
				},
			}
		case !errors.Is(err, sql.ErrNoRows):
			return err
		}
		e, spend, err := decide(t, known)
		if err != nil || !spend {
			return err
		}
		if _, err := tx.ExecContext(ctx, "UPDATE enrollment_tokens SET uses_spent = uses_spent + 1 WHERE id = $1", t.ID); err != nil {
			return err
		}
		if err := putDevice(ctx, tx, enrolledDevice(d, e)); err != nil {
			return err
		}
		return resolveDevices(ctx, tx, e.Device)
	})
}

// enrolledDevice is the device d (zero for a new one) as the enrollment leaves it.
func enrolledDevice(d device.Device, e enroll.Enrolled) device.Device {
	if d.ID == "" {
		d.Hardware = device.UnknownHardware()
	} else {
		d.ReturnedAt = e.At
	}
	d.ID, d.Group, d.TokenID, d.EnrolledAt = e.Device, e.Group, e.TokenID, e.At
	d.PublicKey, d.Fingerprint, d.Name, d.Hostname = e.PublicKey, e.Fingerprint, e.Name, e.Hostname
	d.OS, d.Arch, d.AgentVersion = e.OS, e.Arch, e.AgentVersion
	return d
}
