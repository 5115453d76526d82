// Package enroll turns machines into devices: tokens that say how many machines may join which
// group until when, and their redemption. A token is shown once and kept hashed. The same
// hardware that enrolls again becomes the same device.
package enroll

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"time"

	"handrail/mdm"
)

// Limits of a token.
const (
	MaxUses    = 100_000
	MinTTL     = time.Minute
	MaxTTL     = 366 * 24 * time.Hour
	DefaultTTL = 24 * time.Hour
	MaxNote    = 200 // bytes
)

// Why a token was refused. The sender may be told which: who holds 160 random bits of a
// token may know what became of it.
var (
	ErrTokenUnknown = errors.New("enrollment token is unknown")
	ErrTokenExpired = errors.New("enrollment token is too old")
	ErrTokenSpent   = errors.New("enrollment token is used up")
	ErrTokenRevoked = errors.New("enrollment token was revoked")
)

// Token is an enrollment token as it is kept: without the secret.
type Token struct {
	ID          string // "enr_…"
	Group       mdm.GroupID
	Note        string // for the operators: who it was given to
	UsesAllowed int64
	UsesSpent   int64
	CreatedBy   string // operator id
	CreatedAt   time.Time
	ExpiresAt   time.Time
	RevokedAt   time.Time // zero: not revoked
}

// Check returns why the token cannot be redeemed now; nil when it can.
func (t Token) Check(now time.Time) error {
	switch {
	case !t.RevokedAt.IsZero():
		return ErrTokenRevoked
	case !now.Before(t.ExpiresAt):
		return ErrTokenExpired
	case t.UsesSpent >= t.UsesAllowed:
		return ErrTokenSpent
	}
	return nil
}

// Machine is what asks to become a device. The caller has verified that it holds the
// private half of PublicKey; text in it is cleaned here.
type Machine struct {
	PublicKey    ed25519.PublicKey
	Fingerprint  string // hash over the hardware
	Name         string // wanted; "" means the hostname
	Hostname     string
	OS           string
	Arch         string
	AgentVersion string
}

// Enrolled is the device a machine has become, or is going to be.
type Enrolled struct {
	Machine
	Device  mdm.DeviceID
	Group   mdm.GroupID
	TokenID string
	At      time.Time // of the enrollment that counts
}

// Outcome says what a redemption did.
type Outcome uint8

// The outcomes.
const (
	Created  Outcome = iota // a new device
	Returned                // hardware known before, with a new key: the same device
	Repeated                // the very same request again, whose answer was lost: nothing changed
)

// Store keeps tokens, and devices as far as enrolling goes.
type Store interface {
	// CreateToken stores a token under its hash; mdm.ErrInvalid when its group does not exist.
	CreateToken(ctx context.Context, t Token, hash string) error
	// Tokens returns a page of the tokens of the groups (or all), newest first, before the one whose
	// creation time (Unix microseconds) and id are given; 0 and "" for the first page.
	Tokens(ctx context.Context, groups []mdm.GroupID, all bool, beforeUS int64, beforeID string, limit int) ([]Token, error)
	// Token returns one token by its id; mdm.ErrNotFound.
	Token(ctx context.Context, id string) (Token, error)
	// RevokeToken sets RevokedAt unless it is set; mdm.ErrNotFound.
	RevokeToken(ctx context.Context, id string, at time.Time) error
	// RedeemToken runs decide, in one transaction, with the token of that hash and the
	// device of that fingerprint that is not revoked (nil: none), and does what it says:
	// stores the device it returns, and spends one use if told to. Nobody else redeems the
	// token meanwhile. mdm.ErrNotFound when there is no such token; decide may run twice.
	RedeemToken(ctx context.Context, hash, fingerprint string, decide Decide) error
}

// Decide is a Store's question to the rules: what a token and a known device make of a
// request. It has no effect when it returns an error.
type Decide func(t Token, known *Enrolled) (device Enrolled, spend bool, err error)

// Registry applies the rules of enrollment over a Store. It is safe for concurrent use.
type Registry struct{ store Store }

// New returns a registry over store.
func New(store Store) *Registry { return &Registry{store: store} }

// Wanted describes a token to make.
type Wanted struct {
	Group mdm.GroupID
	Note  string
	Uses  int64         // 0 means 1
	TTL   time.Duration // 0 means DefaultTTL
	By    string        // operator id
}

// Create makes a token. The second value is its text, which nobody can get again.
// mdm.ErrInvalid when uses or time to live are out of range or the group does not exist.
func (r *Registry) Create(ctx context.Context, w Wanted, now time.Time) (Token, string, error) {
	if w.Uses == 0 {
		w.Uses = 1
	}
	if w.TTL == 0 {
		w.TTL = DefaultTTL
	}
	if w.Uses < 1 || w.Uses > MaxUses {
		return Token{}, "", fmt.Errorf("%d uses, want 1 to %d: %w", w.Uses, MaxUses, mdm.ErrInvalid)
	}
	if w.TTL < MinTTL || w.TTL > MaxTTL {
		return Token{}, "", fmt.Errorf("time to live %v, want %v to %v: %w", w.TTL, MinTTL, MaxTTL, mdm.ErrInvalid)
	}
	text := newText()
	t := Token{
		ID: mdm.NewID("enr"), Group: w.Group, Note: mdm.Clean(w.Note, MaxNote), UsesAllowed: w.Uses,
		CreatedBy: w.By, CreatedAt: now, ExpiresAt: now.Add(w.TTL),
	}
	hash, err := ParseToken(text)
	if err != nil {
		return Token{}, "", err
	}
	if err := r.store.CreateToken(ctx, t, hash); err != nil {
		return Token{}, "", fmt.Errorf("create enrollment token: %w", err)
	}
	return t, text, nil
}

// Tokens returns a page of tokens, newest first, and the cursor of the next page ("" on
// the last). limit 0 means 50.
func (r *Registry) Tokens(ctx context.Context, groups []mdm.GroupID, all bool, after string, limit int) ([]Token, string, error) {
	if !all && len(groups) == 0 {
		return []Token{}, "", nil
	}
	if limit <= 0 {
		limit = 50
	}
	limit = min(limit, 500)
	var beforeUS int64
	var beforeID string
	if after != "" {
		keys, err := mdm.DecodeCursor(after, 2)
		if err != nil {
			return nil, "", err
		}
		if _, err := fmt.Sscanf(keys[0], "%d", &beforeUS); err != nil {
			return nil, "", fmt.Errorf("cursor: %w", mdm.ErrInvalid)
		}
		beforeID = keys[1]
	}
	ts, err := r.store.Tokens(ctx, groups, all, beforeUS, beforeID, limit+1)
	if err != nil {
		return nil, "", fmt.Errorf("list enrollment tokens: %w", err)
	}
	if len(ts) <= limit {
		return ts, "", nil
	}
	last := ts[limit-1]
	return ts[:limit], mdm.EncodeCursor(fmt.Sprint(last.CreatedAt.UnixMicro()), last.ID), nil
}

// Token returns one token; mdm.ErrNotFound.
func (r *Registry) Token(ctx context.Context, id string) (Token, error) {
	t, err := r.store.Token(ctx, id)
	if err != nil {
		return Token{}, fmt.Errorf("enrollment token %q: %w", mdm.Clean(id, 64), err)
	}
	return t, nil
}

// Revoke makes a token useless at once. Devices that came with it stay. mdm.ErrNotFound.
func (r *Registry) Revoke(ctx context.Context, id string, now time.Time) error {
	if err := r.store.RevokeToken(ctx, id, now); err != nil {
		return fmt.Errorf("revoke enrollment token %q: %w", mdm.Clean(id, 64), err)
	}
	return nil
}

// Redeem turns a machine into a device. The same hardware (fingerprint) becomes the device
// it was, with the new key and in the token's group only if it is new; the same request
// twice costs one use. Errors: ErrTokenUnknown, ErrTokenExpired, ErrTokenSpent,
// ErrTokenRevoked, mdm.ErrInvalid for a machine without key, fingerprint or hostname.
func (r *Registry) Redeem(ctx context.Context, token string, m Machine, now time.Time) (Enrolled, Outcome, error) {
	hash, err := ParseToken(token)
	if err != nil {
		return Enrolled{}, 0, ErrTokenUnknown // not of our making, so never given out
	}
	if m, err = m.clean(); err != nil {
		return Enrolled{}, 0, err
	}
	for try := 1; ; try++ {
		var result Enrolled
		var outcome Outcome
		err := r.store.RedeemToken(ctx, hash, m.Fingerprint, func(t Token, known *Enrolled) (Enrolled, bool, error) {
			result, outcome, err = decide(t, known, m, now)
			return result, outcome != Repeated, err
		})
		switch {
		case err == nil:
			return result, outcome, nil
		case errors.Is(err, mdm.ErrNotFound):
			return Enrolled{}, 0, ErrTokenUnknown
		case errors.Is(err, mdm.ErrAlreadyExists) && try == 1:
			// The same hardware came in by another token at the same moment; now it is known.
		default:
			return Enrolled{}, 0, fmt.Errorf("redeem enrollment token: %w", err)
		}
	}
}

func decide(t Token, known *Enrolled, m Machine, now time.Time) (Enrolled, Outcome, error) {
	if known != nil && known.TokenID == t.ID && known.PublicKey.Equal(m.PublicKey) && t.RevokedAt.IsZero() {
		return *known, Repeated, nil
	}
	if err := t.Check(now); err != nil {
		return Enrolled{}, 0, err
	}
	if known == nil {
		return Enrolled{Machine: m, Device: mdm.NewDeviceID(), Group: t.Group, TokenID: t.ID, At: now}, Created, nil
	}
	d := *known
	name := d.Name
	if m.Name != m.Hostname || d.Name == d.Hostname {
		name = m.Name // asked for by name, or it only ever was the hostname
	}
	d.Machine, d.TokenID, d.At = m, t.ID, now
	d.Name = name
	return d, Returned, nil
}

func (m Machine) clean() (Machine, error) {
	m.Fingerprint = mdm.Clean(m.Fingerprint, 128)
	m.Hostname = mdm.Clean(m.Hostname, 255)
	m.Name = mdm.Clean(m.Name, 128)
	m.OS, m.Arch = mdm.Clean(m.OS, 32), mdm.Clean(m.Arch, 32)
	m.AgentVersion = mdm.Clean(m.AgentVersion, 64)
	if len(m.PublicKey) != ed25519.PublicKeySize {
		return m, fmt.Errorf("public key is %d bytes: %w", len(m.PublicKey), mdm.ErrInvalid)
	}
	if m.Fingerprint == "" || m.Hostname == "" {
		return m, fmt.Errorf("a machine needs a fingerprint and a hostname: %w", mdm.ErrInvalid)
	}
	if m.Name == "" {
		m.Name = mdm.Clean(m.Hostname, 128)
	}
	return m, nil
}
