package auth

import (
	"context"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/alexedwards/argon2id"

	"handrail/mdm"
)

// Limits of a password: 10 characters to 256 bytes. Length is what counts; no classes of
// characters are asked for (NIST SP 800-63B, 3.1.1.2).
const (
	minPassword = 10
	maxPassword = 256
)

// passwordParams are the second of OWASP's recommended settings for argon2id: 19 MiB, two
// passes. A gateway holds at most hashesAtOnce of these at a time.
var passwordParams = argon2id.Params{Memory: 19 << 10, Iterations: 2, Parallelism: 1, SaltLength: 16, KeyLength: 32}

// hashesAtOnce bounds what sign-ins may take of memory and processors.
const hashesAtOnce = 2

func checkPassword(password string, personal ...string) error {
	switch {
	case utf8.RuneCountInString(password) < minPassword:
		return fmt.Errorf("a password needs at least %d characters: %w", minPassword, mdm.ErrInvalid)
	case len(password) > maxPassword:
		return fmt.Errorf("a password has at most %d bytes: %w", maxPassword, mdm.ErrInvalid)
	case !utf8.ValidString(password):
		return fmt.Errorf("the password is not text: %w", mdm.ErrInvalid)
	case strings.Trim(password, password[:1]) == "":
		return fmt.Errorf("one character over and over is no password: %w", mdm.ErrInvalid)
	}
	for _, p := range personal {
		if strings.EqualFold(password, p) {
			return fmt.Errorf("your own name or address is no password: %w", mdm.ErrInvalid)
		}
	}
	return nil
}

// hashPassword checks and hashes a new password; it may wait for others being hashed.
func (a *Auth) hashPassword(ctx context.Context, password string, personal ...string) (string, error) {
	if err := checkPassword(password, personal...); err != nil {
		return "", err
	}
	release, err := a.hashing(ctx)
	if err != nil {
		return "", err
	}
	defer release()
	return argon2id.CreateHash(password, &passwordParams)
}

// nobodysHash is compared with when an account does not exist, so that the time it takes
// does not tell. No password is known for it.
const nobodysHash = "$argon2id$v=19$m=19456,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"

// passwordMatches may wait for others being hashed.
func (a *Auth) passwordMatches(ctx context.Context, password, hash string) (bool, error) {
	if len(password) > maxPassword {
		return false, nil
	}
	release, err := a.hashing(ctx)
	if err != nil {
		return false, err
	}
	defer release()
	return argon2id.ComparePasswordAndHash(password, hash)
}

func (a *Auth) hashing(ctx context.Context) (release func(), err error) {
	select {
	case a.hashes <- struct{}{}:
		return func() { <-a.hashes }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}
