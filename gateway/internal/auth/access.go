package auth

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"time"

	"handrail/mdm"
)

// ErrAccess says that an access token is not ours, altered or too old.
var ErrAccess = errors.New("access token is invalid or has expired")

// An access token is "hat1." and base64url of: 8 bytes expiry (Unix seconds, big endian,
// gateway's clock), the device id, 32 bytes HMAC-SHA-256 over both.
const accessPrefix = "hat1."

// MintAccess returns a bearer token for a device's HTTPS routes. It says who the device is,
// not that it is still welcome: check that it is not revoked.
func (a *Auth) MintAccess(d mdm.DeviceID) (token string, ttl time.Duration) {
	b := binary.BigEndian.AppendUint64(nil, uint64(a.now().Add(a.cfg.AccessTTL).Unix())) //nolint:gosec // after 1970
	b = append(b, d...)
	b = append(b, a.accessMAC(b)...)
	return accessPrefix + base64.RawURLEncoding.EncodeToString(b), a.cfg.AccessTTL
}

// VerifyAccess returns the device a token was minted for; ErrAccess.
func (a *Auth) VerifyAccess(token string) (mdm.DeviceID, error) {
	text, ok := strings.CutPrefix(token, accessPrefix)
	if !ok || len(text) > 256 {
		return "", ErrAccess
	}
	b, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil || len(b) <= 8+sha256.Size {
		return "", ErrAccess
	}
	signed, mac := b[:len(b)-sha256.Size], b[len(b)-sha256.Size:]
	if !hmac.Equal(mac, a.accessMAC(signed)) {
		return "", ErrAccess
	}
	if uint64(a.now().Unix()) >= binary.BigEndian.Uint64(signed) { //nolint:gosec // after 1970
		return "", fmt.Errorf("too old: %w", ErrAccess)
	}
	return mdm.DeviceID(signed[8:]), nil
}

func (a *Auth) accessMAC(b []byte) []byte {
	h := hmac.New(sha256.New, a.macKey)
	h.Write(b)
	return h.Sum(nil)
}
