package auth

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"

	"handrail/mdm"
)

// Errors of setting up.
var (
	// ErrSetUp says that an administrator exists: the setup is no more.
	ErrSetUp = errors.New("this gateway has been set up")
	// ErrSetupToken says that the setup link is not the one printed at start.
	ErrSetupToken = errors.New("this is not the setup link that the gateway printed")
)

// Names of settings.
const (
	settingOrganisation = "organisation"
	settingSetupNonce   = "setup_nonce"
)

// SettingStore keeps settings by name.
type SettingStore interface {
	// Setting returns a value; mdm.ErrNotFound.
	Setting(ctx context.Context, name string) (string, error)
	// SettingOr returns the value, storing the given one first when there is none. Of two
	// that do so at once both get the same.
	SettingOr(ctx context.Context, name, value string) (string, error)
	// PutSetting stores a value.
	PutSetting(ctx context.Context, name, value string) error
	// SetUp stores the first administrator and the settings, if there is no enabled
	// administrator of the root group; otherwise false, and nothing is stored.
	SetUp(ctx context.Context, first Account, settings map[string]string) (bool, error)
	// HasRootAdmin reports whether an enabled administrator of the root group exists.
	HasRootAdmin(ctx context.Context) (bool, error)
}

// SetupToken returns the token of the setup link, the same on every node and at every
// start until someone used it; needed is false once an administrator exists. The database
// holds a nonce from which only the secret key makes the token.
func (a *Auth) SetupToken(ctx context.Context) (token string, needed bool, err error) {
	done, err := a.store.HasRootAdmin(ctx)
	if err != nil {
		return "", false, fmt.Errorf("setup: %w", err)
	}
	if done {
		return "", false, nil
	}
	nonce, err := a.store.SettingOr(ctx, settingSetupNonce, newSecret())
	if err != nil {
		return "", false, fmt.Errorf("setup: %w", err)
	}
	h := hmac.New(sha256.New, a.cfg.Key.Derive("setup link"))
	h.Write([]byte(nonce))
	return hex.EncodeToString(h.Sum(nil)[:20]), true, nil
}

// Setup is what the first person to come says.
type Setup struct {
	Token        string
	Organisation string
	Name         string
	Email        string
	Password     string
}

// maxOrganisation is the longest organisation name in bytes.
const maxOrganisation = 120

// SetUp makes the first administrator and signs them in; the cookie is as of SignIn. ErrSetUp
// once there is one, ErrSetupToken, *TooManyError, mdm.ErrInvalid.
func (a *Auth) SetUp(ctx context.Context, s Setup, address, browser string) (Operator, string, error) {
	token, needed, err := a.SetupToken(ctx)
	if err != nil {
		return Operator{}, "", err
	}
	if !needed {
		return Operator{}, "", ErrSetUp
	}
	if err := a.attempt(a.addresses, address); err != nil {
		return Operator{}, "", err
	}
	if !hmac.Equal([]byte(s.Token), []byte(token)) {
		return Operator{}, "", ErrSetupToken
	}
	a.addresses.forgive(address)
	organisation := mdm.Clean(s.Organisation, maxOrganisation)
	if organisation == "" {
		return Operator{}, "", fmt.Errorf("the organisation needs a name: %w", mdm.ErrInvalid)
	}
	acc, err := a.newAccount(ctx, NewOperator{Name: s.Name, Email: s.Email, Password: s.Password, Grants: []Grant{{Admin, mdm.RootGroup}}})
	if err != nil {
		return Operator{}, "", err
	}
	first, err := a.store.SetUp(ctx, acc, map[string]string{settingOrganisation: organisation, settingSetupNonce: newSecret()})
	if err != nil {
		return Operator{}, "", fmt.Errorf("setup: %w", err)
	}
	if !first {
		return Operator{}, "", ErrSetUp
	}
	cookie, err := a.newSignIn(ctx, acc.ID, address, browser)
	return acc.Operator, cookie, err
}

// Lifetime is how long a sign-in may live in any case.
func (a *Auth) Lifetime() (seconds int) { return int(a.cfg.Lifetime.Seconds()) }

// Organisation returns the organisation's name; "Handrail" until someone set up.
func (a *Auth) Organisation(ctx context.Context) (string, error) {
	name, err := a.store.Setting(ctx, settingOrganisation)
	if errors.Is(err, mdm.ErrNotFound) {
		return "Handrail", nil
	}
	if err != nil {
		return "", fmt.Errorf("organisation: %w", err)
	}
	return name, nil
}

// RootAdmins counts the enabled administrators of the root group among accounts; for stores.
func RootAdmins(ops []Operator) int {
	return len(slices.DeleteFunc(slices.Clone(ops), func(o Operator) bool { return !o.isRootAdmin() }))
}
