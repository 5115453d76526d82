package signaling

import (
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
)

// The HTTPS routes of agents. Enrollment carries a token and a signature; the others carry
// "Authorization: Bearer " and Welcome's access token.
const (
	PathAgentSocket    = "/agent/socket"    // GET, WebSocket
	PathAgentEnroll    = "/agent/enroll"    // POST EnrollRequest -> EnrollAnswer
	PathAgentInventory = "/agent/inventory" // PUT InventoryUpload -> InventoryAnswer
)

// MaxInventory is the most an InventoryUpload may take, encoded, in bytes.
const MaxInventory = 1 << 20

// MaxSections is how many sections an InventoryUpload may name.
const MaxSections = 112

// EnrollRequest turns an enrollment token into a device. The device made its key itself;
// Signature, over EnrollTranscript, proves that it holds the private half.
type EnrollRequest struct {
	Token        string    `json:"token"`
	PublicKey    Key       `json:"public_key"`
	Fingerprint  string    `json:"fingerprint"` // hash over the hardware; finds the same device again
	Hostname     string    `json:"hostname"`
	DeviceName   string    `json:"device_name,omitempty"` // wanted; "" means the hostname
	OS           string    `json:"os"`                    // GOOS
	Arch         string    `json:"arch"`                  // GOARCH
	AgentVersion string    `json:"agent_version"`
	Nonce        Nonce     `json:"nonce"`
	Signature    Signature `json:"signature"`
}

// Validate returns why a request cannot be looked at; the signature is the caller's to verify.
func (r EnrollRequest) Validate() error {
	if r.Hostname == "" || r.Fingerprint == "" {
		return errors.New("hostname and fingerprint must be given")
	}
	return firstError(checkText("token", r.Token, 256), checkLen("public_key", r.PublicKey, ed25519.PublicKeySize),
		checkText("fingerprint", r.Fingerprint, 128), checkText("hostname", r.Hostname, 255), checkText("device_name", r.DeviceName, 255), checkText("os", r.OS, 32),
		checkText("arch", r.Arch, 32), checkText("agent_version", r.AgentVersion, 64),
		checkLen("nonce", r.Nonce, NonceSize), checkLen("signature", r.Signature, ed25519.SignatureSize))
}

// EnrollTranscript is what an enrolling device signs: everything in its request.
func EnrollTranscript(r EnrollRequest) []byte {
	return transcript("handrail enroll v1", []byte(r.Token), r.PublicKey, []byte(r.Fingerprint), []byte(r.Hostname),
		[]byte(r.DeviceName), []byte(r.OS), []byte(r.Arch), []byte(r.AgentVersion), r.Nonce)
}

// EnrollAnswer is what an enrolled device keeps. GatewayKey and NextKey are the pins.
type EnrollAnswer struct {
	DeviceID     DeviceID `json:"device_id"`
	DeviceName   string   `json:"device_name"`
	GatewayKey   Key      `json:"gateway_key"`
	NextKey      Key      `json:"next_key,omitempty"`
	Organisation string   `json:"organisation"`
	CAPEM        string   `json:"ca_pem,omitempty"` // set where the gateway made its own certificate authority
}

// Section is one part of a device's inventory. Hash is the lower-case hex SHA-256 of Data
// as sent, so that both ends can tell what the other has. In a full upload Data is left out
// of what the gateway holds already.
type Section struct {
	Hash string          `json:"hash"`
	Data json.RawMessage `json:"data,omitempty"`
}

// InventoryUpload carries the sections that changed; with Full set, all there are, and
// sections not named are gone.
type InventoryUpload struct {
	Full     bool               `json:"full"`
	Sections map[string]Section `json:"sections"`
}

// InventoryAnswer names what the gateway now holds, so that the agent resends what is missing.
type InventoryAnswer struct {
	Have    map[string]string `json:"have"`              // section name to hash
	Refused map[string]string `json:"refused,omitempty"` // section name to why it was not taken; sending it again unchanged is of no use
}

// Validate refuses section names and sizes out of range; what is inside is the inventory's to check.
func (u InventoryUpload) Validate() error {
	if len(u.Sections) > MaxSections {
		return fmt.Errorf("%d sections, at most %d", len(u.Sections), MaxSections)
	}
	for name, s := range u.Sections {
		if err := firstError(checkText("section name", name, 64), checkText("hash", s.Hash, 64)); err != nil {
			return err
		}
		if len(s.Data) > 0 && !json.Valid(s.Data) {
			return fmt.Errorf("section %q is not JSON", trim(name, 64))
		}
	}
	return nil
}
