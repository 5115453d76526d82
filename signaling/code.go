package signaling

import "errors"

// Code is a machine-readable reason, the same on every socket and in the REST API's
// problem documents. The words for people travel beside it.
type Code string

// The codes.
const (
	CodeMalformed      Code = "malformed"       // not a message, or a field out of range
	CodeTooLarge       Code = "too_large"       // over a size limit
	CodeVersion        Code = "version"         // newer protocol than ours
	CodeUnknownType    Code = "unknown_type"    // no such message
	CodeForbidden      Code = "forbidden"       // signed in, but not allowed
	CodeUnauthorized   Code = "unauthorized"    // not signed in, or the proof failed
	CodeNotFound       Code = "not_found"       // no such session, peer, device
	CodeOffline        Code = "offline"         // the device is not connected
	CodeBusy           Code = "busy"            // a limit is reached; try again later
	CodeInternal       Code = "internal"        // our fault; the message carries an id to search the log for
	CodeUnknownDevice  Code = "unknown_device"  // never enrolled here, or deleted
	CodeRevoked        Code = "revoked"         // the device was revoked by an admin
	CodeIdentityCopied Code = "identity_copied" // this identity belongs to another machine
	CodeIdentityInUse  Code = "identity_in_use" // the same identity is connected from elsewhere, alive
	CodeNotConsented   Code = "not_consented"   // the person at the device has not agreed (yet)
	CodeNotGranted     Code = "not_granted"     // the session does not hold that capability
	CodeNotInControl   Code = "not_in_control"  // another viewer holds control
	CodePaused         Code = "paused"          // the person at the device paused the session
	CodeEnded          Code = "ended"           // the session is over
	CodeNoDisplay      Code = "no_display"      // nothing to capture on the device
	CodeDraining       Code = "draining"        // this gateway is shutting down; reconnect
	CodeTokenUnknown   Code = "token_unknown"   // enrollment token never existed
	CodeTokenExpired   Code = "token_expired"   // enrollment token too old
	CodeTokenSpent     Code = "token_spent"     // enrollment token used up
	CodeTokenRevoked   Code = "token_revoked"   // enrollment token revoked
	CodeRateLimited    Code = "rate_limited"    // too many attempts; retry_after_ms says when
)

// CodeOf maps an error of Decode to the code the sender is told.
func CodeOf(err error) Code {
	switch {
	case errors.Is(err, ErrTooLarge):
		return CodeTooLarge
	case errors.Is(err, ErrVersion):
		return CodeVersion
	case errors.Is(err, ErrUnknownType):
		return CodeUnknownType
	case errors.Is(err, ErrWrongSide):
		return CodeForbidden
	case errors.Is(err, ErrMalformed):
		return CodeMalformed
	}
	return CodeInternal
}
