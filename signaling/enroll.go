package signaling

import (
	"crypto/ed25519"
	"errors"
)

// The HTTPS routes of agents. Enrollment carries a token and a signature; the others carry
// "Authorization: Bearer " and Welcome's access token.
const (
	PathAgentSocket    = "/agent/socket"    // GET, WebSocket
	PathAgentEnroll    = "/agent/enroll"    // POST EnrollRequest -> EnrollAnswer
	PathAgentInventory = "/agent/inventory" // PUT InventoryUpload -> InventoryAnswer
)

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
