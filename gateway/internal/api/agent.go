package api

import (
	"context"
	"crypto/ed25519"
	"errors"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"handrail/gateway/internal/audit"
	"handrail/mdm"
	"handrail/mdm/enroll"
	"handrail/signaling"
)

var errRevoked = problem(http.StatusForbidden, signaling.CodeRevoked, "this device was revoked by an administrator")

// unknownDevice says of a device that is not there what its agent understands.
func unknownDevice(err error) error {
	if errors.Is(err, mdm.ErrNotFound) {
		return problem(http.StatusForbidden, signaling.CodeUnknownDevice, "this device is not enrolled here")
	}
	return err
}

func (a *API) registerAgent() {
	operation(a, public, huma.Operation{
		OperationID: "enroll-device", Method: http.MethodPost, Path: signaling.PathAgentEnroll, Tags: []string{"agent"},
		Summary: "Turn an enrollment token into a device", SkipValidateBody: true, MaxBodyBytes: 16 << 10,
	}, a.enrollDevice)
	a.registerAgentInventory()
}

func (a *API) enrollDevice(ctx context.Context, in *body[signaling.EnrollRequest]) (*body[signaling.EnrollAnswer], error) {
	rq, key := in.Body, limitKey(requestOf(ctx).address)
	if err := a.cfg.Auth.EnrollAllowed(key); err != nil {
		return nil, err
	}
	if err := rq.Validate(); err != nil {
		return nil, problem(http.StatusUnprocessableEntity, signaling.CodeMalformed, mdm.Clean(err.Error(), 300))
	}
	if !ed25519.Verify(ed25519.PublicKey(rq.PublicKey), signaling.EnrollTranscript(rq), rq.Signature) {
		return nil, problem(http.StatusForbidden, signaling.CodeUnauthorized, "the signature is not by the key that is to be enrolled")
	}
	e, outcome, err := a.cfg.Enroll.Redeem(ctx, rq.Token, enroll.Machine{
		PublicKey: ed25519.PublicKey(rq.PublicKey), Fingerprint: rq.Fingerprint, Name: rq.DeviceName, Hostname: rq.Hostname,
		OS: rq.OS, Arch: rq.Arch, AgentVersion: rq.AgentVersion,
	}, a.cfg.Now())
	if isTokenError(err) {
		a.cfg.Auth.EnrollFailed(key)
		who := audit.Who{Kind: audit.ByNobody, Name: rq.Hostname} // claimed
		if rerr := a.recordAs(ctx, who, "device.enroll_refused", audit.Who{}, "", map[string]string{"reason": string(a.problemOf(ctx, err).Code)}); rerr != nil {
			return nil, rerr
		}
	}
	if err != nil {
		return nil, err
	}
	if outcome != enroll.Repeated {
		action := map[enroll.Outcome]string{enroll.Created: "device.enroll", enroll.Returned: "device.enroll_again"}[outcome]
		target := audit.Who{Kind: audit.ByDevice, ID: string(e.Device), Name: e.Name}
		if err := a.recordAs(ctx, target, action, target, e.Group, map[string]string{"token": e.TokenID}); err != nil {
			return nil, err
		}
		a.cfg.Changed(signaling.TopicDevices, string(e.Device))
		a.cfg.Changed(signaling.TopicTokens, e.TokenID)
	}
	if outcome == enroll.Returned {
		// The old key no longer counts: whoever is connected with it goes.
		if err := a.cfg.Links.Cut(ctx, e.Device, signaling.CodeUnauthorized, "this device was enrolled again with another key"); err != nil {
			a.log.WarnContext(ctx, "old_link_not_cut", "device", string(e.Device), "error", err)
		}
	}
	organisation, err := a.cfg.Auth.Organisation(ctx)
	if err != nil {
		return nil, err
	}
	return &body[signaling.EnrollAnswer]{signaling.EnrollAnswer{
		DeviceID: signaling.DeviceID(e.Device), DeviceName: e.Name, GatewayKey: a.cfg.Identity.Key(), NextKey: a.cfg.Identity.NextKey(),
		Organisation: organisation, CAPEM: a.cfg.CAPEM,
	}}, nil
}

func isTokenError(err error) bool {
	return errors.Is(err, enroll.ErrTokenUnknown) || errors.Is(err, enroll.ErrTokenExpired) ||
		errors.Is(err, enroll.ErrTokenSpent) || errors.Is(err, enroll.ErrTokenRevoked)
}
