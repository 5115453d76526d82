package auth

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"handrail/mdm"
)

// TokenPrefix begins every API token, so that one that leaked is known for what it is.
const TokenPrefix = "hpt_"

// Limits of API tokens.
const (
	maxTokens    = 50                   // of one operator
	maxTokenTTL  = 366 * 24 * time.Hour // then somebody looks whether it is still needed
	minTokenTTL  = time.Minute
	keepTokenFor = 30 * 24 * time.Hour // an expired one is still listed
)

// TokenID names an API token: "apt_" and 26 characters.
type TokenID string

// APIToken lets a program act for an operator. What it may do is its grant, as far as the
// operator holds that at the moment, and never accounts or tokens.
type APIToken struct {
	ID        TokenID
	Operator  OperatorID
	Name      string
	Hash      string // of the token
	Grant     Grant
	CreatedAt time.Time
	ExpiresAt time.Time
	UsedAt    time.Time // to the minute; zero: never
}

// TokenStore keeps API tokens.
type TokenStore interface {
	// CreateAPIToken stores a token unless its operator has limit of them: mdm.ErrConflict.
	CreateAPIToken(ctx context.Context, t APIToken, limit int) error
	// APIToken finds a token by hash, with its operator; mdm.ErrNotFound.
	APIToken(ctx context.Context, hash string) (APIToken, Operator, error)
	// APITokens returns an operator's, newest first.
	APITokens(ctx context.Context, id OperatorID) ([]APIToken, error)
	// TouchAPIToken dates its last use.
	TouchAPIToken(ctx context.Context, id TokenID, at time.Time) error
	// DeleteAPIToken removes an operator's token; mdm.ErrNotFound.
	DeleteAPIToken(ctx context.Context, id OperatorID, token TokenID) error
	// PurgeAPITokens removes those that expired before then.
	PurgeAPITokens(ctx context.Context, before time.Time) error
}

// NewToken describes a token to make.
type NewToken struct {
	Name  string
	Grant Grant
	TTL   time.Duration
}

// holds reports whether the caller may do all that a grant gives.
func (c Caller) holds(g Grant) bool {
	s, ok := g.Role.Spec()
	if !ok {
		return false
	}
	for _, p := range s.Permissions {
		if !c.May(p, g.Group) {
			return false
		}
	}
	return true
}

// CreateToken makes a token of the caller's own and returns it, this once. ErrExceeds where
// the caller does not hold the grant itself, or is a token; mdm.ErrInvalid; mdm.ErrConflict
// when there are too many.
func (a *Auth) CreateToken(ctx context.Context, by Caller, n NewToken) (APIToken, string, error) {
	name := mdm.Clean(n.Name, maxName)
	if name == "" {
		return APIToken{}, "", fmt.Errorf("a token needs a name that says what it is for: %w", mdm.ErrInvalid)
	}
	if n.TTL < minTokenTTL || n.TTL > maxTokenTTL {
		return APIToken{}, "", fmt.Errorf("a token is good for a minute at least and %d days at most: %w", int(maxTokenTTL.Hours()/24), mdm.ErrInvalid)
	}
	if _, ok := n.Grant.Role.Spec(); !ok {
		return APIToken{}, "", fmt.Errorf("no role %q: %w", mdm.Clean(string(n.Grant.Role), 32), mdm.ErrInvalid)
	}
	if _, ok := by.tree.Group(n.Grant.Group); !ok {
		return APIToken{}, "", fmt.Errorf("no group %q: %w", mdm.Clean(string(n.Grant.Group), 64), mdm.ErrInvalid)
	}
	if by.Token != nil || !by.holds(n.Grant) {
		return APIToken{}, "", ErrExceeds
	}
	secret, now := TokenPrefix+newSecret(), a.now()
	t := APIToken{
		ID: TokenID(mdm.NewID("apt")), Operator: by.Operator.ID, Name: name, Hash: hashOf(secret), Grant: n.Grant,
		CreatedAt: now, ExpiresAt: now.Add(n.TTL),
	}
	if err := a.store.CreateAPIToken(ctx, t, maxTokens); err != nil {
		return APIToken{}, "", fmt.Errorf("token of operator %s: %w", by.Operator.ID, err)
	}
	return t, secret, nil
}

// TokenCaller returns who a token acts for, as far as the token goes. ErrNotSignedIn when
// nobody: unknown, revoked, expired, the operator disabled. A token of a grant its operator
// does not hold any more may do nothing.
func (a *Auth) TokenCaller(ctx context.Context, secret string) (Caller, error) {
	if !strings.HasPrefix(secret, TokenPrefix) || len(secret) > 128 {
		return Caller{}, ErrNotSignedIn
	}
	t, op, err := a.store.APIToken(ctx, hashOf(secret))
	if errors.Is(err, mdm.ErrNotFound) {
		return Caller{}, ErrNotSignedIn
	}
	if err != nil {
		return Caller{}, fmt.Errorf("look up token: %w", err)
	}
	now := a.now()
	if op.Disabled || !now.Before(t.ExpiresAt) {
		return Caller{}, ErrNotSignedIn
	}
	if now.Sub(t.UsedAt) >= touchEvery {
		if err := a.store.TouchAPIToken(ctx, t.ID, now); err != nil {
			a.log.Warn("token_touch_failed", "operator", op.ID, "token", string(t.ID), "error", err)
		}
	}
	tree, err := a.tree(ctx)
	if err != nil {
		return Caller{}, err
	}
	own := NewCaller(op, tree)
	op.Grants = nil
	if own.holds(t.Grant) {
		op.Grants = []Grant{t.Grant}
	}
	return Caller{Operator: op, Token: &t, tree: tree}, nil
}

// Tokens returns an operator's tokens, newest first; their own, or to whom may see operators.
func (a *Auth) Tokens(ctx context.Context, id OperatorID) ([]APIToken, error) {
	list, err := a.store.APITokens(ctx, id)
	if err != nil {
		return nil, fmt.Errorf("tokens of operator %q: %w", mdm.Clean(string(id), 64), err)
	}
	return list, nil
}

// RevokeToken removes a token: the caller's own, or one of an operator the caller may manage.
// ErrExceeds, mdm.ErrNotFound.
func (a *Auth) RevokeToken(ctx context.Context, by Caller, of OperatorID, id TokenID) error {
	if by.Token != nil {
		return ErrExceeds
	}
	if of != by.Operator.ID {
		op, err := a.Operator(ctx, of)
		if err != nil {
			return err
		}
		if !by.MayManage(op) {
			return ErrExceeds
		}
	}
	if err := a.store.DeleteAPIToken(ctx, of, id); err != nil {
		return fmt.Errorf("token %q: %w", mdm.Clean(string(id), 64), err)
	}
	return nil
}
