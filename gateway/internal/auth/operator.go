package auth

import (
	"context"
	"errors"
	"fmt"
	"net/mail"
	"slices"
	"strings"
	"time"

	"handrail/mdm"
)

// OperatorID names a member of support staff: "opr_" and 26 characters.
type OperatorID string

// Operator is one human; accounts are never shared.
type Operator struct {
	ID         OperatorID
	Name       string
	Email      string
	Disabled   bool
	Grants     []Grant
	Revision   int64 // 1 when new; each change of name, grants or whether they may sign in adds one
	CreatedAt  time.Time
	SignedInAt time.Time // last sign-in; zero: never
}

// isRootAdmin: may do everything everywhere.
func (o Operator) isRootAdmin() bool {
	return !o.Disabled && slices.Contains(o.Grants, Grant{Admin, mdm.RootGroup})
}

// Limits of an operator's record, in bytes.
const (
	maxName   = 100
	maxEmail  = 254 // RFC 5321, section 4.5.3.1.3
	maxGrants = 50
)

// Errors about operators, beside those of mdm.
var (
	// ErrExceeds says that the caller would give or touch rights it does not hold.
	ErrExceeds = errors.New("that needs rights you do not hold yourself")
	// ErrLastAdmin says that nobody would be left who may do everything.
	ErrLastAdmin = errors.New("one enabled administrator of all devices must remain")
)

// Account is an operator as stored.
type Account struct {
	Operator
	PasswordHash string
}

// OperatorStore keeps operators.
type OperatorStore interface {
	// Account returns one operator; mdm.ErrNotFound.
	Account(ctx context.Context, id OperatorID) (Account, error)
	// AccountByEmail finds an operator by address in lower case; mdm.ErrNotFound.
	AccountByEmail(ctx context.Context, email string) (Account, error)
	// Operators returns a page by address, after the one given ("" is the first page).
	Operators(ctx context.Context, afterEmail string, limit int) ([]Operator, error)
	// ChangeAccounts runs change on an operator (a fresh one when id is "") while nobody else
	// changes any operator, and stores what it leaves. Afterwards keep decides, from the number
	// of enabled administrators of the root group, whether that may stand. Sign-ins of a
	// disabled operator end. mdm.ErrNotFound, mdm.ErrAlreadyExists (the address).
	ChangeAccounts(ctx context.Context, id OperatorID, change func(*Account) error, keep func(rootAdmins int) error) error
	// DeleteAccount removes an operator and its sign-ins, under the same keep.
	DeleteAccount(ctx context.Context, id OperatorID, keep func(rootAdmins int) error) error
}

func keepOneAdmin(rootAdmins int) error {
	if rootAdmins == 0 {
		return ErrLastAdmin
	}
	return nil
}

// Operator returns one operator; mdm.ErrNotFound.
func (a *Auth) Operator(ctx context.Context, id OperatorID) (Operator, error) {
	acc, err := a.store.Account(ctx, id)
	if err != nil {
		return Operator{}, fmt.Errorf("operator %q: %w", mdm.Clean(string(id), 64), err)
	}
	return acc.Operator, nil
}

// Operators returns a page of operators by address and the cursor of the next ("" on the
// last). limit 0 means 50.
func (a *Auth) Operators(ctx context.Context, after string, limit int) ([]Operator, string, error) {
	if limit <= 0 {
		limit = 50
	}
	limit = min(limit, 500)
	email := ""
	if after != "" {
		keys, err := mdm.DecodeCursor(after, 1)
		if err != nil {
			return nil, "", err
		}
		email = keys[0]
	}
	ops, err := a.store.Operators(ctx, email, limit+1)
	if err != nil {
		return nil, "", fmt.Errorf("list operators: %w", err)
	}
	if len(ops) <= limit {
		return ops, "", nil
	}
	return ops[:limit], mdm.EncodeCursor(strings.ToLower(ops[limit-1].Email)), nil
}

// NewOperator describes an account to make.
type NewOperator struct {
	Name, Email, Password string
	Grants                []Grant
}

// CreateOperator makes an account. ErrExceeds when by could not hold the grants,
// mdm.ErrInvalid for a bad name, address, password or grant, mdm.ErrAlreadyExists for the
// address.
func (a *Auth) CreateOperator(ctx context.Context, by Caller, n NewOperator) (Operator, error) {
	if err := a.checkGrants(by, n.Grants); err != nil {
		return Operator{}, err
	}
	acc, err := a.newAccount(ctx, n)
	if err != nil {
		return Operator{}, err
	}
	err = a.store.ChangeAccounts(ctx, "", func(to *Account) error { *to = acc; return nil }, func(int) error { return nil })
	if err != nil {
		return Operator{}, fmt.Errorf("create operator: %w", err)
	}
	return acc.Operator, nil
}

func (a *Auth) newAccount(ctx context.Context, n NewOperator) (Account, error) {
	name, email, err := checkPerson(n.Name, n.Email)
	if err != nil {
		return Account{}, err
	}
	hash, err := a.hashPassword(ctx, n.Password, name, email)
	if err != nil {
		return Account{}, err
	}
	return Account{PasswordHash: hash, Operator: Operator{
		ID: OperatorID(mdm.NewID("opr")), Name: name, Email: email, Grants: slices.Compact(slices.Clone(n.Grants)), Revision: 1, CreatedAt: a.now(),
	}}, nil
}

// Change is what may change of an operator; nil leaves a field.
type Change struct {
	Name     *string
	Disabled *bool
	Grants   *[]Grant
	Revision int64 // what the caller saw; 0 takes any
}

// ChangeOperator changes an account. ErrExceeds when it holds, or would hold, rights by does
// not; ErrLastAdmin; mdm.ErrInvalid; mdm.ErrNotFound; mdm.ErrConflict (another revision).
func (a *Auth) ChangeOperator(ctx context.Context, by Caller, id OperatorID, c Change) (Operator, error) {
	if id == "" { // to the store that is a new account
		return Operator{}, mdm.ErrNotFound
	}
	var out Operator
	err := a.store.ChangeAccounts(ctx, id, func(acc *Account) error {
		if !by.MayManage(acc.Operator) {
			return ErrExceeds
		}
		if c.Revision != 0 && c.Revision != acc.Revision {
			return fmt.Errorf("somebody else changed it meanwhile: %w", mdm.ErrConflict)
		}
		if c.Name != nil {
			name := mdm.Clean(*c.Name, maxName)
			if name == "" {
				return fmt.Errorf("an operator needs a name: %w", mdm.ErrInvalid)
			}
			acc.Name = name
		}
		if c.Disabled != nil {
			acc.Disabled = *c.Disabled
		}
		if c.Grants != nil {
			if err := a.checkGrants(by, *c.Grants); err != nil {
				return err
			}
			acc.Grants = *c.Grants
		}
		acc.Revision++
		out = acc.Operator
		return nil
	}, keepOneAdmin)
	if err != nil {
		return Operator{}, fmt.Errorf("change operator %q: %w", mdm.Clean(string(id), 64), err)
	}
	return out, nil
}

// DeleteOperator removes an account; its entries in the audit log stay. Errors as of
// ChangeOperator.
func (a *Auth) DeleteOperator(ctx context.Context, by Caller, id OperatorID) error {
	acc, err := a.store.Account(ctx, id)
	if err == nil && !by.MayManage(acc.Operator) {
		err = ErrExceeds
	}
	if err == nil {
		err = a.store.DeleteAccount(ctx, id, keepOneAdmin)
	}
	if err != nil {
		return fmt.Errorf("delete operator %q: %w", mdm.Clean(string(id), 64), err)
	}
	return nil
}

// SetPassword gives an operator a new password and ends its sign-ins. Errors as of
// ChangeOperator.
func (a *Auth) SetPassword(ctx context.Context, by Caller, id OperatorID, password string) error {
	acc, err := a.store.Account(ctx, id)
	if err != nil {
		return fmt.Errorf("operator %q: %w", mdm.Clean(string(id), 64), err)
	}
	hash, err := a.hashPassword(ctx, password, acc.Name, acc.Email)
	if err != nil {
		return err
	}
	err = a.store.ChangeAccounts(ctx, id, func(acc *Account) error {
		if !by.MayManage(acc.Operator) {
			return ErrExceeds
		}
		acc.PasswordHash = hash
		return nil
	}, keepOneAdmin)
	if err != nil {
		return fmt.Errorf("password of operator %s: %w", id, err)
	}
	return a.store.EndSignIns(ctx, id, "")
}

func (a *Auth) checkGrants(by Caller, grants []Grant) error {
	if len(grants) > maxGrants {
		return fmt.Errorf("%d grants, at most %d: %w", len(grants), maxGrants, mdm.ErrInvalid)
	}
	for i, g := range grants {
		if _, ok := g.Role.Spec(); !ok {
			return fmt.Errorf("no role %q: %w", mdm.Clean(string(g.Role), 32), mdm.ErrInvalid)
		}
		if _, ok := by.tree.Group(g.Group); !ok {
			return fmt.Errorf("no group %q: %w", mdm.Clean(string(g.Group), 64), mdm.ErrInvalid)
		}
		if slices.Contains(grants[:i], g) {
			return fmt.Errorf("the same grant twice: %w", mdm.ErrInvalid)
		}
		if !by.MayGrant(g) {
			return ErrExceeds
		}
	}
	return nil
}

func checkPerson(name, email string) (string, string, error) {
	name, email = mdm.Clean(name, maxName), strings.TrimSpace(email)
	if name == "" {
		return "", "", fmt.Errorf("an operator needs a name: %w", mdm.ErrInvalid)
	}
	addr, err := mail.ParseAddress(email)
	if err != nil || addr.Address != email || len(email) > maxEmail || mdm.Clean(email, maxEmail) != email {
		return "", "", fmt.Errorf("that is not an e-mail address: %w", mdm.ErrInvalid)
	}
	return name, email, nil
}
