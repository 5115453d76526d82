package signaling

import (
	"crypto/ed25519"
)

// The HTTPS routes of commands, for devices. Bodies but that of PathAgentKey are
// mdm/command's; "{id}" stands for a command's id.
const (
	PathAgentClaim   = "/agent/commands/claim"       // POST Claim -> ClaimAnswer
	PathAgentResults = "/agent/commands/results"     // POST Results -> ResultsAnswer
	PathAgentBundle  = "/agent/commands/{id}/bundle" // PUT the bytes -> 204
	PathAgentKey     = "/agent/key"                  // POST KeyChange -> 204
)

// KeyChange puts a new device key in the place of the old one. The old key signs the new
// one over, and the new one proves that the device holds it. Sent again after it was
// taken, it changes nothing.
type KeyChange struct {
	Old          Key       `json:"old"`
	New          Key       `json:"new"`
	OldSignature Signature `json:"old_signature"`
	NewSignature Signature `json:"new_signature"`
}

// Validate returns why a change cannot be looked at; the signatures are the caller's to verify.
func (c KeyChange) Validate() error {
	return firstError(checkLen("old", c.Old, ed25519.PublicKeySize), checkLen("new", c.New, ed25519.PublicKeySize),
		checkLen("old_signature", c.OldSignature, ed25519.SignatureSize), checkLen("new_signature", c.NewSignature, ed25519.SignatureSize))
}

// KeyChangeTranscript is what both keys sign: whose key, which, and by which.
func KeyChangeTranscript(d DeviceID, c KeyChange) []byte {
	return transcript("handrail device key v1", []byte(d), c.Old, c.New)
}
