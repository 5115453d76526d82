package api

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"handrail/gateway/internal/audit"
	"handrail/gateway/internal/auth"
	"handrail/mdm"
	"handrail/mdm/command"
	"handrail/mdm/device"
	"handrail/signaling"
)

// bundlePiece is how much of a bundle is stored at a time, in bytes.
const bundlePiece = 512 << 10

func (a *API) registerAgentCommands() {
	tags := []string{"agent"}
	operation(a, byDevice, huma.Operation{
		OperationID: "claim-commands", Method: http.MethodPost, Path: signaling.PathAgentClaim, Tags: tags,
		Summary: "Fetch the commands that wait for the device", SkipValidateBody: true, MaxBodyBytes: 64 << 10,
	}, a.claimCommands)
	operation(a, byDevice, huma.Operation{
		OperationID: "put-command-results", Method: http.MethodPost, Path: signaling.PathAgentResults, Tags: tags,
		Summary: "Take what came of commands", SkipValidateBody: true, MaxBodyBytes: command.MaxResultBytes, BodyReadTimeout: time.Minute,
	}, a.putResults)
	operation(a, byDevice, huma.Operation{
		OperationID: "put-command-bundle", Method: http.MethodPut, Path: signaling.PathAgentBundle, Tags: tags,
		Summary: "Take the logs a device collected", Description: "The body is the bundle.", DefaultStatus: http.StatusNoContent,
	}, a.putBundle)
	operation(a, byDevice, huma.Operation{
		OperationID: "change-device-key", Method: http.MethodPost, Path: signaling.PathAgentKey, Tags: tags,
		Summary: "Put a new device key in the place of the old one", SkipValidateBody: true, DefaultStatus: http.StatusNoContent,
	}, a.changeDeviceKey)
}

func (a *API) claimCommands(ctx context.Context, in *body[command.Claim]) (*body[command.ClaimAnswer], error) {
	answer, err := a.cfg.Dispatch.Claim(ctx, requestOf(ctx).device, in.Body)
	if err != nil {
		return nil, err
	}
	return &body[command.ClaimAnswer]{answer}, nil
}

func (a *API) putResults(ctx context.Context, in *body[command.Results]) (*body[command.ResultsAnswer], error) {
	if err := in.Body.Validate(); err != nil {
		return nil, err
	}
	answer, err := a.cfg.Dispatch.Finish(ctx, requestOf(ctx).device, in.Body)
	if err != nil {
		return nil, err
	}
	return &body[command.ResultsAnswer]{answer}, nil
}

// putBundle streams: a bundle is too much to hold in memory for many devices at once.
func (a *API) putBundle(ctx context.Context, in *IDPath) (*empty, error) {
	rq, id := requestOf(ctx), command.ID(in.ID)
	if !mdm.IsID("cmd", in.ID) {
		return nil, notFound("command")
	}
	c, err := a.cfg.Commands.Command(ctx, id)
	if errors.Is(err, mdm.ErrNotFound) || err == nil && (c.Device != rq.device || c.Kind != command.CollectLogs) {
		return nil, notFound("command")
	}
	if err != nil {
		return nil, err
	}
	if c.FileBytes > 0 {
		return nil, nil // sent again although it is here
	}
	if rq.http.ContentLength > command.MaxFile {
		return nil, problem(http.StatusRequestEntityTooLarge, signaling.CodeTooLarge, fmt.Sprintf("a bundle may have %d bytes", command.MaxFile))
	}
	size, err := a.storeBundle(ctx, rq.device, id, io.LimitReader(rq.http.Body, command.MaxFile+1))
	if err != nil {
		return nil, err
	}
	if size == 0 || size > command.MaxFile {
		return nil, problem(http.StatusRequestEntityTooLarge, signaling.CodeTooLarge, fmt.Sprintf("a bundle may have 1 to %d bytes", command.MaxFile))
	}
	if err := a.cfg.Commands.SealFile(ctx, id, size); err != nil {
		return nil, err
	}
	a.cfg.Changed(signaling.TopicCommands, string(c.Bulk))
	return nil, nil
}

func (a *API) storeBundle(ctx context.Context, d mdm.DeviceID, id command.ID, r io.Reader) (int64, error) {
	var size int64
	piece := make([]byte, bundlePiece)
	for seq := 0; ; seq++ {
		n, err := io.ReadFull(r, piece)
		if n > 0 {
			size += int64(n)
			if perr := a.cfg.Commands.PutPiece(ctx, d, id, seq, piece[:n]); perr != nil {
				return size, perr
			}
		}
		switch {
		case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
			return size, nil
		case err != nil:
			return size, problem(http.StatusBadRequest, signaling.CodeMalformed, "the bundle broke off")
		}
	}
}

func (a *API) getBundle(ctx context.Context, in *IDPath) (*huma.StreamResponse, error) {
	c, err := a.commandFor(ctx, in.ID, auth.CommandRun)
	if err != nil {
		return nil, err
	}
	if c.FileBytes == 0 {
		return nil, notFound("bundle, or it was removed after a week")
	}
	target := audit.Who{Kind: "device", ID: string(c.Device), Name: c.DeviceName}
	if err := a.record(ctx, "command.bundle", target, c.Group, map[string]string{"command": in.ID}); err != nil {
		return nil, err
	}
	return &huma.StreamResponse{Body: func(hc huma.Context) {
		hc.SetHeader("Content-Type", "application/gzip")
		hc.SetHeader("Content-Length", strconv.FormatInt(c.FileBytes, 10))
		hc.SetHeader("Content-Disposition", fmt.Sprintf(`attachment; filename="logs-%s.tar.gz"`, c.ID))
		for seq := 0; ; seq++ {
			b, err := a.cfg.Commands.Piece(hc.Context(), c.ID, seq)
			if errors.Is(err, mdm.ErrNotFound) {
				return
			}
			if err == nil {
				_, err = hc.BodyWriter().Write(b)
			}
			if err != nil {
				a.log.Warn("bundle_not_sent", "command", string(c.ID), "error", err)
				panic(http.ErrAbortHandler) // the client must not take a part for the whole
			}
		}
	}}, nil
}

// changeDeviceKey replaces a device's key. The old key signs the new one over, so that a
// stolen access token cannot. What was taken already is taken again: the answer may have
// been lost.
func (a *API) changeDeviceKey(ctx context.Context, in *body[signaling.KeyChange]) (*empty, error) {
	id, change := requestOf(ctx).device, in.Body
	if err := change.Validate(); err != nil {
		return nil, problem(http.StatusUnprocessableEntity, signaling.CodeMalformed, mdm.Clean(err.Error(), 300))
	}
	transcript := signaling.KeyChangeTranscript(signaling.DeviceID(id), change)
	if !ed25519.Verify(ed25519.PublicKey(change.New), transcript, change.NewSignature) ||
		!ed25519.Verify(ed25519.PublicKey(change.Old), transcript, change.OldSignature) {
		return nil, problem(http.StatusForbidden, signaling.CodeUnauthorized, "the new key is not signed by both keys")
	}
	d, changed, err := a.cfg.Devices.Rekey(ctx, id, ed25519.PublicKey(change.Old), ed25519.PublicKey(change.New))
	if errors.Is(err, device.ErrKey) {
		return nil, problem(http.StatusForbidden, signaling.CodeUnauthorized, "the old key is not this device's")
	}
	if err != nil {
		return nil, unknownDevice(err)
	}
	if !changed {
		return nil, nil
	}
	a.cfg.Changed(signaling.TopicDevices, string(id))
	return nil, a.record(ctx, "device.key", deviceWho(d), d.Group, nil)
}
