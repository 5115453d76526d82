package link

import (
	"context"
	"crypto/ed25519"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"

	"handrail/mdm/command"
	"handrail/signaling"
	"handrail/signaling/client"
)

// bundleTimeout bounds the upload of a log bundle.
const bundleTimeout = 15 * time.Minute

// IsFinal reports whether sending the same again is of no use.
func (p *Problem) IsFinal() bool {
	return p.Status/100 == 4 && p.Status != http.StatusUnauthorized && p.Status != http.StatusRequestTimeout && p.Status != http.StatusTooManyRequests
}

// ClaimCommands fetches the commands that wait. Errors are as those of GetManifest.
func (l *Link) ClaimCommands(ctx context.Context, c command.Claim) (command.ClaimAnswer, error) {
	b, err := l.post(ctx, signaling.PathAgentClaim, c)
	if err != nil {
		return command.ClaimAnswer{}, err
	}
	return command.DecodeAnswer(b)
}

// PostResults says what came of commands. Errors are as those of GetManifest.
func (l *Link) PostResults(ctx context.Context, r command.Results) (command.ResultsAnswer, error) {
	var answer command.ResultsAnswer
	b, err := l.post(ctx, signaling.PathAgentResults, r)
	if err == nil {
		err = json.Unmarshal(b, &answer)
	}
	return answer, err
}

// ChangeKey has the gateway take next in the place of old; both sign. It may be called
// again with the same keys.
func (l *Link) ChangeKey(ctx context.Context, old, next ed25519.PrivateKey) error {
	change := signaling.KeyChange{Old: publicOf(old), New: publicOf(next)}
	l.mu.Lock()
	device := l.enrollment.Device
	l.mu.Unlock()
	transcript := signaling.KeyChangeTranscript(device, change)
	change.OldSignature, change.NewSignature = ed25519.Sign(old, transcript), ed25519.Sign(next, transcript)
	_, err := l.post(ctx, signaling.PathAgentKey, change)
	return err
}

func publicOf(key ed25519.PrivateKey) signaling.Key {
	public, _ := key.Public().(ed25519.PublicKey)
	return signaling.Key(public)
}

func (l *Link) post(ctx context.Context, path string, body any) ([]byte, error) {
	b, err := json.Marshal(body)
	if err != nil {
		return nil, err
	}
	_, answer, err := l.bulk(ctx, http.MethodPost, path, http.Header{"Content-Type": {"application/json"}}, b, 2*maxAnswer)
	return answer, err
}

// PutBundle uploads the logs a command asked for.
func (l *Link) PutBundle(ctx context.Context, id command.ID, path string) error {
	s := l.client.State()
	if s.Phase != client.Online {
		return ErrOffline
	}
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	l.mu.Lock()
	to := strings.TrimSuffix(l.enrollment.Gateway, "/") + strings.Replace(signaling.PathAgentBundle, "{id}", string(id), 1)
	l.mu.Unlock()
	req, err := http.NewRequestWithContext(ctx, http.MethodPut, to, f)
	if err != nil {
		return err
	}
	req.ContentLength = info.Size()
	req.Header.Set("Content-Type", "application/gzip")
	req.Header.Set("Authorization", "Bearer "+s.Welcome.AccessToken)
	slow := *l.http
	slow.Timeout = bundleTimeout
	resp, err := slow.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return err
	}
	if resp.StatusCode == http.StatusUnauthorized {
		l.client.Reconnect() // for a fresh access token
	}
	if resp.StatusCode/100 != 2 {
		return fmt.Errorf("PUT of a bundle: %w", problemOf(resp.StatusCode, b))
	}
	return nil
}
