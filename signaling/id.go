package signaling

import (
	"crypto/rand"
	"encoding/base32"
	"errors"
	"strings"
)

// SessionID names a support session for ever: "ses_" and 26 characters.
type SessionID string

// PeerID names one viewer's connection to one device within a session: "peer_" and
// 26 characters. A viewer that reconnects keeps its peer id.
type PeerID string

// DeviceID is opaque here; the management side gives it its meaning ("dev_…").
type DeviceID string

// ErrBadID says that a text is not an id of the wanted kind.
var ErrBadID = errors.New("malformed id")

var idEncoding = base32.NewEncoding("0123456789abcdefghjkmnpqrstvwxyz").WithPadding(base32.NoPadding)

// idBytes of randomness: 128 bits, so that ids cannot be guessed.
const idBytes = 16

// NewID returns prefix + "_" + 26 characters of fresh randomness (128 bits, Crockford base32).
func NewID(prefix string) string {
	var b [idBytes]byte
	rand.Read(b[:]) // never fails; see crypto/rand
	return prefix + "_" + idEncoding.EncodeToString(b[:])
}

// NewSessionID returns a fresh session id.
func NewSessionID() SessionID { return SessionID(NewID("ses")) }

// NewPeerID returns a fresh peer id.
func NewPeerID() PeerID { return PeerID(NewID("peer")) }

// CheckID returns ErrBadID unless s is prefix + "_" + 1 to 40 characters of a-z and 0-9.
func CheckID(prefix, s string) error {
	rest, ok := strings.CutPrefix(s, prefix+"_")
	if !ok || rest == "" || len(rest) > 40 {
		return ErrBadID
	}
	for i := range len(rest) {
		c := rest[i]
		if (c < '0' || c > '9') && (c < 'a' || c > 'z') {
			return ErrBadID
		}
	}
	return nil
}

func (id SessionID) validate() error { return CheckID("ses", string(id)) }
func (id PeerID) validate() error    { return CheckID("peer", string(id)) }
func (id DeviceID) validate() error  { return CheckID("dev", string(id)) }
