package auth

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"

	"handrail/mdm"
)

// CookieName is the cookie that carries a sign-in.
const CookieName = "handrail_session"

// Errors of signing in.
var (
	ErrNotSignedIn   = errors.New("not signed in")
	ErrWrongPassword = errors.New("e-mail address or password is wrong")
	ErrTicket        = errors.New("socket ticket is unknown, used or too old")
)

// TooManyError refuses an attempt because of failed ones before it.
type TooManyError struct{ RetryAfter time.Duration }

func (e *TooManyError) Error() string {
	return fmt.Sprintf("too many failed attempts; try again in %d s", int(e.RetryAfter.Seconds()+0.999))
}

// SignIn is one browser an operator is signed in at. The cookie itself is not kept.
type SignIn struct {
	Hash      string // of the cookie
	Operator  OperatorID
	Address   string // network address it was made from
	Browser   string // User-Agent
	CreatedAt time.Time
	SeenAt    time.Time
	ExpiresAt time.Time
}

// SignInStore keeps sign-ins and socket tickets.
type SignInStore interface {
	// CreateSignIn stores a sign-in and dates the operator's last one.
	CreateSignIn(ctx context.Context, s SignIn) error
	// SignIn finds a sign-in by hash, with its operator; mdm.ErrNotFound.
	SignIn(ctx context.Context, hash string) (SignIn, Operator, error)
	// TouchSignIn dates its last use.
	TouchSignIn(ctx context.Context, hash string, at time.Time) error
	// EndSignIns ends the sign-in of that hash, or with an operator given all of that
	// operator's but the one of that hash. None is no error.
	EndSignIns(ctx context.Context, operator OperatorID, hash string) error
	// CreateTicket stores a ticket of a sign-in.
	CreateTicket(ctx context.Context, hash, signIn string, expires time.Time) error
	// TakeTicket removes a ticket and returns whose it was; mdm.ErrNotFound. Of two that
	// take the same at once, on any node, one gets it.
	TakeTicket(ctx context.Context, hash string) (signIn string, expires time.Time, err error)
	// PurgeSignIns removes sign-ins and tickets that expired before now.
	PurgeSignIns(ctx context.Context, now time.Time) error
}

// newSecret returns 256 random bits as text, and hashOf what is kept of them.
func newSecret() string {
	var b [32]byte
	rand.Read(b[:]) // never fails; see crypto/rand
	return base64.RawURLEncoding.EncodeToString(b[:])
}

func hashOf(secret string) string {
	sum := sha256.Sum256([]byte(secret))
	return hex.EncodeToString(sum[:])
}

// SignIn checks an address and password and returns the operator and the cookie of a new
// sign-in. ErrWrongPassword for every kind of no, a disabled account included;
// *TooManyError before anything is looked at.
func (a *Auth) SignIn(ctx context.Context, email, password, address, browser string) (Operator, string, error) {
	key := strings.ToLower(strings.TrimSpace(email))
	// The address first: one that is slowed down must not go on locking somebody's account.
	if err := a.attempt(a.addresses, address); err != nil {
		return Operator{}, "", err
	}
	if err := a.attempt(a.accounts, mdm.Clean(key, maxEmail)); err != nil {
		return Operator{}, "", err
	}
	acc, err := a.store.AccountByEmail(ctx, mdm.Clean(key, maxEmail))
	if err != nil && !errors.Is(err, mdm.ErrNotFound) {
		a.accounts.forgive(mdm.Clean(key, maxEmail)) // our fault, not theirs
		a.addresses.forgive(address)
		return Operator{}, "", fmt.Errorf("sign in: %w", err)
	}
	hash := acc.PasswordHash
	if err != nil {
		hash = nobodysHash
	}
	ok, merr := a.passwordMatches(ctx, password, hash)
	if merr != nil {
		return Operator{}, "", fmt.Errorf("sign in: %w", merr)
	}
	if err != nil || !ok || acc.Disabled {
		return acc.Operator, "", ErrWrongPassword
	}
	a.accounts.succeed(mdm.Clean(key, maxEmail))
	a.addresses.forgive(address)
	cookie, err := a.newSignIn(ctx, acc.ID, address, browser)
	return acc.Operator, cookie, err
}

func (a *Auth) newSignIn(ctx context.Context, id OperatorID, address, browser string) (string, error) {
	cookie, now := newSecret(), a.now()
	err := a.store.CreateSignIn(ctx, SignIn{
		Hash: hashOf(cookie), Operator: id, Address: mdm.Clean(address, 64), Browser: mdm.Clean(browser, 255),
		CreatedAt: now, SeenAt: now, ExpiresAt: now.Add(a.cfg.Lifetime),
	})
	if err != nil {
		return "", fmt.Errorf("sign in: %w", err)
	}
	return cookie, nil
}

// attempt counts a try in advance, so that many at once do not all get through.
func (a *Auth) attempt(l *limiter, key string) error {
	if wait := l.begin(key); wait > 0 {
		return &TooManyError{RetryAfter: wait}
	}
	return nil
}

// EnrollAllowed refuses an address with too many failed enrollments before it:
// *TooManyError. Those that go well are never slowed down, however many at once.
func (a *Auth) EnrollAllowed(address string) error {
	if wait := a.enrolls.wait(address); wait > 0 {
		return &TooManyError{RetryAfter: wait}
	}
	return nil
}

// EnrollFailed counts an enrollment that was refused for its token.
func (a *Auth) EnrollFailed(address string) { a.enrolls.begin(address) }

// touchEvery is how exactly the last use of a sign-in is known.
const touchEvery = time.Minute

// Caller returns who a cookie belongs to, with the groups of this moment. ErrNotSignedIn
// when nobody: unknown, signed out, expired, idle for too long, disabled.
func (a *Auth) Caller(ctx context.Context, cookie string) (Caller, error) {
	if cookie == "" || len(cookie) > 128 {
		return Caller{}, ErrNotSignedIn
	}
	return a.callerOf(ctx, hashOf(cookie))
}

func (a *Auth) callerOf(ctx context.Context, hash string) (Caller, error) {
	s, op, err := a.store.SignIn(ctx, hash)
	if errors.Is(err, mdm.ErrNotFound) {
		return Caller{}, ErrNotSignedIn
	}
	if err != nil {
		return Caller{}, fmt.Errorf("look up sign-in: %w", err)
	}
	now := a.now()
	if op.Disabled || !now.Before(s.ExpiresAt) || now.Sub(s.SeenAt) >= a.cfg.Idle {
		return Caller{}, ErrNotSignedIn
	}
	if now.Sub(s.SeenAt) >= touchEvery {
		if err := a.store.TouchSignIn(ctx, hash, now); err != nil {
			a.log.Warn("sign_in_touch_failed", "operator", op.ID, "error", err)
		}
	}
	tree, err := a.tree(ctx)
	if err != nil {
		return Caller{}, err
	}
	return Caller{Operator: op, tree: tree, signIn: hash}, nil
}

// SignOut ends the caller's sign-in.
func (a *Auth) SignOut(ctx context.Context, by Caller) error {
	return a.store.EndSignIns(ctx, "", by.signIn)
}

// ChangeOwnPassword needs the current one, and ends every other sign-in of the operator.
// ErrWrongPassword, mdm.ErrInvalid, *TooManyError.
func (a *Auth) ChangeOwnPassword(ctx context.Context, by Caller, current, next string) error {
	key := strings.ToLower(by.Operator.Email)
	if err := a.attempt(a.accounts, key); err != nil {
		return err
	}
	acc, err := a.store.Account(ctx, by.Operator.ID)
	if err != nil {
		return fmt.Errorf("own password: %w", err)
	}
	ok, err := a.passwordMatches(ctx, current, acc.PasswordHash)
	if err != nil {
		return fmt.Errorf("own password: %w", err)
	}
	if !ok {
		return ErrWrongPassword
	}
	a.accounts.succeed(key)
	hash, err := a.hashPassword(ctx, next, acc.Name, acc.Email)
	if err != nil {
		return err
	}
	err = a.store.ChangeAccounts(ctx, acc.ID, func(acc *Account) error { acc.PasswordHash = hash; return nil }, keepOneAdmin)
	if err != nil {
		return fmt.Errorf("own password: %w", err)
	}
	return a.store.EndSignIns(ctx, acc.ID, by.signIn)
}

// NewTicket returns a ticket for one browser socket of the caller's sign-in, good once and
// for Config.TicketTTL, on any node.
func (a *Auth) NewTicket(ctx context.Context, by Caller) (string, error) {
	ticket := newSecret()
	if err := a.store.CreateTicket(ctx, hashOf(ticket), by.signIn, a.now().Add(a.cfg.TicketTTL)); err != nil {
		return "", fmt.Errorf("socket ticket: %w", err)
	}
	return ticket, nil
}

// RedeemTicket takes a ticket of the sign-in the cookie belongs to. ErrTicket, ErrNotSignedIn.
func (a *Auth) RedeemTicket(ctx context.Context, cookie, ticket string) (Caller, error) {
	signIn, expires, err := a.store.TakeTicket(ctx, hashOf(ticket))
	if errors.Is(err, mdm.ErrNotFound) {
		return Caller{}, ErrTicket
	}
	if err != nil {
		return Caller{}, fmt.Errorf("socket ticket: %w", err)
	}
	if !a.now().Before(expires) || signIn != hashOf(cookie) {
		return Caller{}, ErrTicket
	}
	return a.callerOf(ctx, signIn)
}
