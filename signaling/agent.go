package signaling

import (
	"crypto/ed25519"
	"crypto/sha256"
	"fmt"
)

// Key is an Ed25519 public key, Nonce 32 random bytes, Signature an Ed25519 signature.
// All encode as standard base64 in JSON.
type (
	Key       []byte
	Nonce     []byte
	Signature []byte
)

// NonceSize is the length of every nonce in bytes.
const NonceSize = 32

func checkLen(field string, b []byte, n int) error {
	if len(b) != n {
		return fmt.Errorf("%s is %d bytes, want %d", field, len(b), n)
	}
	return nil
}

// Hello opens the agent's socket.
type Hello struct {
	Device      DeviceID       `json:"device"`
	Nonce       Nonce          `json:"nonce"`
	Version     string         `json:"version"`            // of the agent program
	Fingerprint string         `json:"fingerprint"`        // hash over the hardware, as enrolled; at most 128 bytes
	Instance    string         `json:"instance"`           // random per process start; tells a reconnect from a twin
	Manifest    string         `json:"manifest,omitempty"` // hash of the newest manifest it has; "" for none
	Sessions    []SessionBrief `json:"sessions,omitempty"`
}

// SessionBrief is a session the agent still holds alive when it reconnects.
type SessionBrief struct {
	Session SessionID     `json:"session"`
	Granted CapabilitySet `json:"granted"`
	Live    bool          `json:"live"`
	Seq     int64         `json:"seq"` // of the last session.event it has sent
}

func (h Hello) validate() error {
	if len(h.Sessions) > 64 {
		return fmt.Errorf("%d sessions, at most 64", len(h.Sessions))
	}
	for _, s := range h.Sessions {
		if err := s.Session.validate(); err != nil {
			return err
		}
	}
	return firstError(h.Device.validate(), checkLen("nonce", h.Nonce, NonceSize), checkText("version", h.Version, 64),
		checkText("fingerprint", h.Fingerprint, 128), checkText("instance", h.Instance, 64), checkText("manifest", h.Manifest, 64))
}

// Challenge answers hello. Signature is by GatewayKey over GatewayTranscript; an agent
// that has not pinned GatewayKey must not go on. NextKey, when set, will replace it;
// NextSignature is the current key's over NextKeyTranscript, so a pin can move on.
type Challenge struct {
	Nonce         Nonce     `json:"nonce"`
	GatewayKey    Key       `json:"gateway_key"`
	Signature     Signature `json:"signature"`
	NextKey       Key       `json:"next_key,omitempty"`
	NextSignature Signature `json:"next_signature,omitempty"`
}

func (c Challenge) validate() error {
	if len(c.NextKey) != 0 {
		if err := firstError(checkLen("next_key", c.NextKey, ed25519.PublicKeySize), checkLen("next_signature", c.NextSignature, ed25519.SignatureSize)); err != nil {
			return err
		}
	}
	return firstError(checkLen("nonce", c.Nonce, NonceSize), checkLen("gateway_key", c.GatewayKey, ed25519.PublicKeySize),
		checkLen("signature", c.Signature, ed25519.SignatureSize))
}

// Proof is the device key's signature over DeviceTranscript.
type Proof struct {
	Signature Signature `json:"signature"`
}

func (p Proof) validate() error { return checkLen("signature", p.Signature, ed25519.SignatureSize) }

// GatewayTranscript is what the gateway signs: it binds both nonces and the device.
func GatewayTranscript(h Hello, c Challenge) []byte {
	return transcript("handrail gateway v1", []byte(h.Device), h.Nonce, c.Nonce, c.GatewayKey, c.NextKey)
}

// DeviceTranscript is what the device signs: everything the gateway signed, and what the
// device claims about itself.
func DeviceTranscript(h Hello, c Challenge) []byte {
	return transcript("handrail device v1", []byte(h.Device), h.Nonce, c.Nonce, c.GatewayKey, c.NextKey,
		[]byte(h.Fingerprint), []byte(h.Instance), []byte(h.Version))
}

// NextKeyTranscript is what the current gateway key signs to name its successor.
func NextKeyTranscript(current, next Key) []byte {
	return transcript("handrail gateway successor v1", current, next)
}

// transcript hashes a label and length-prefixed parts, so that no two different lists of
// parts give the same bytes.
func transcript(label string, parts ...[]byte) []byte {
	h := sha256.New()
	fmt.Fprintf(h, "%s\n", label)
	for _, p := range parts {
		fmt.Fprintf(h, "%d:", len(p))
		h.Write(p)
	}
	return h.Sum(nil)
}

// Welcome ends the handshake well.
type Welcome struct {
	HeartbeatMS  int64  `json:"heartbeat_ms"` // the gateway pings this often; silence of two of them means the link is dead
	TimeUS       int64  `json:"time_us"`      // gateway's clock, Unix microseconds
	AccessToken  string `json:"access_token"` // bearer for the agent's HTTPS routes, by the gateway's clock
	AccessTTLMS  int64  `json:"access_ttl_ms"`
	Organisation string `json:"organisation"`
	DeviceName   string `json:"device_name"`
}

// Refused ends the handshake, or a link, for a reason the agent shows in its status.
type Refused struct {
	Code         Code   `json:"code"`
	Message      string `json:"message"`
	RetryAfterMS int64  `json:"retry_after_ms,omitempty"` // 0: do not retry by yourself
}

// Paths of what a device is told to be, under the gateway's base address. Both need the
// access token of welcome; what they carry is mdm/manifest's.
const (
	PathAgentManifest = "/agent/manifest" // GET with If-None-Match -> Manifest, ETag its quoted hash; or 304
	PathAgentStatus   = "/agent/status"   // POST Report -> 204
)

// NudgeWhat says what the agent should fetch or send; the bulk goes over HTTPS.
type NudgeWhat string

// The nudges.
const (
	NudgeInventory NudgeWhat = "inventory" // send what changed, now
	NudgeManifest  NudgeWhat = "manifest"  // fetch the manifest, unless Hash is the one it has
	NudgeCommands  NudgeWhat = "commands"  // fetch the commands that wait
)

// Nudge tells the agent to do something it knows how to do. A nudge may be lost or come
// twice; what it is about is asked for anew at every welcome.
type Nudge struct {
	What       NudgeWhat `json:"what"`
	Generation int64     `json:"generation,omitempty"` // of NudgeManifest
	Hash       string    `json:"hash,omitempty"`       // of NudgeManifest
}

// Revoked tells the agent that its device is no longer welcome. The socket closes after it.
type Revoked struct {
	Message string `json:"message"`
}

// Drain announces that this gateway node goes away; reconnect after the given delay
// plus jitter. Sessions live on.
type Drain struct {
	ReconnectAfterMS int64 `json:"reconnect_after_ms"`
}

// Error answers a message that could not be acted upon (Re names it in the envelope).
type Error struct {
	Code    Code   `json:"code"`
	Message string `json:"message"`
}

func (e Error) validate() error { return checkText("message", e.Message, MaxText) }
