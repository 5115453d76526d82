package api

import (
	"context"
	"net/http"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"handrail/mdm"
	"handrail/mdm/manifest"
	"handrail/signaling"
)

type manifestQuery struct {
	IfNoneMatch string `header:"If-None-Match" maxLength:"256"`
}

type manifestAnswer struct {
	Status int
	ETag   string `header:"ETag"`
	Body   *manifest.Manifest
}

// reportInput is read by hand: package manifest knows what a device may say.
type reportInput struct{ RawBody []byte }

func (a *API) registerManifest() {
	operation(a, byDevice, huma.Operation{
		OperationID: "get-manifest", Method: http.MethodGet, Path: signaling.PathAgentManifest, Tags: []string{"agent"},
		Summary: "What a device must be, secrets in the clear",
	}, a.getManifest)
	operation(a, byDevice, huma.Operation{
		OperationID: "post-status", Method: http.MethodPost, Path: signaling.PathAgentStatus, Tags: []string{"agent"},
		Summary: "Take what a device says of its settings", DefaultStatus: http.StatusNoContent, MaxBodyBytes: manifest.MaxBytes,
		SkipValidateBody: true,
	}, a.postStatus)
}

func (a *API) getManifest(ctx context.Context, in *manifestQuery) (*manifestAnswer, error) {
	m, err := a.cfg.Desire.Manifest(ctx, requestOf(ctx).device)
	if err != nil {
		return nil, err
	}
	out := &manifestAnswer{Status: http.StatusOK, ETag: `"` + m.Hash + `"`, Body: &m}
	if strings.Trim(in.IfNoneMatch, `"`) == m.Hash {
		out.Status, out.Body = http.StatusNotModified, nil
	}
	return out, nil
}

func (a *API) postStatus(ctx context.Context, in *reportInput) (*empty, error) {
	r, err := manifest.DecodeReport(in.RawBody)
	if err != nil {
		return nil, problem(http.StatusUnprocessableEntity, signaling.CodeMalformed, mdm.Clean(err.Error(), 300))
	}
	return nil, a.cfg.Desire.Report(ctx, requestOf(ctx).device, r)
}
