package link

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"handrail/mdm/manifest"
	"handrail/signaling"
	"handrail/signaling/client"
)

// GetManifest fetches what the device must be; same is set, and the manifest empty, where
// it is still the one of that hash. It fails with ErrOffline while there is no link, with
// *Problem where the gateway refuses, and with mdm.ErrInvalid where what came is no
// manifest.
func (l *Link) GetManifest(ctx context.Context, hash string) (m manifest.Manifest, same bool, err error) {
	header := http.Header{}
	if hash != "" {
		header.Set("If-None-Match", `"`+hash+`"`)
	}
	status, b, err := l.bulk(ctx, http.MethodGet, signaling.PathAgentManifest, header, nil, manifest.MaxBytes)
	if err != nil || status == http.StatusNotModified {
		return m, err == nil, err
	}
	m, err = manifest.Decode(b)
	return m, false, err
}

// PostStatus says how settings stand. Errors are as those of GetManifest.
func (l *Link) PostStatus(ctx context.Context, r manifest.Report) error {
	b, err := json.Marshal(r)
	if err != nil {
		return err
	}
	_, _, err = l.bulk(ctx, http.MethodPost, signaling.PathAgentStatus, http.Header{"Content-Type": {"application/json"}}, b, maxAnswer)
	return err
}

// bulk does one request with the access token and returns the answer's status and body.
func (l *Link) bulk(ctx context.Context, method, path string, header http.Header, body []byte, limit int64) (int, []byte, error) {
	s := l.client.State()
	if s.Phase != client.Online {
		return 0, nil, ErrOffline
	}
	l.mu.Lock()
	gateway := l.enrollment.Gateway
	l.mu.Unlock()
	req, err := http.NewRequestWithContext(ctx, method, strings.TrimSuffix(gateway, "/")+path, bytes.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	req.Header = header
	req.Header.Set("Authorization", "Bearer "+s.Welcome.AccessToken)
	resp, err := l.http.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, limit+1))
	switch {
	case err != nil:
	case int64(len(b)) > limit:
		err = fmt.Errorf("the answer is over %d bytes", limit)
	case resp.StatusCode/100 != 2 && resp.StatusCode != http.StatusNotModified:
		err = problemOf(resp.StatusCode, b)
	}
	if resp.StatusCode == http.StatusUnauthorized {
		l.client.Reconnect() // for a fresh access token
	}
	if err != nil {
		err = fmt.Errorf("%s %s: %w", method, path, err)
	}
	return resp.StatusCode, b, err
}

// reachWithin bounds one try of Reach.
const reachWithin = 5 * time.Second

// Reach makes a new connection to the gateway and asks it something, whatever connections
// are open already: those may live on behind a packet filter that lets no new one through. It
// has the link's own connection say something too, of which a new filter knows nothing yet.
func (l *Link) Reach(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, reachWithin)
	defer cancel()
	l.mu.Lock()
	gateway, ca := l.enrollment.Gateway, l.enrollment.CAPEM
	l.mu.Unlock()
	cfg, err := tlsFor(ca, l.now)
	if err != nil {
		return err
	}
	cfg.ClientSessionCache = tls.NewLRUClientSessionCache(1)
	c := &http.Client{CheckRedirect: noRedirect, Transport: &http.Transport{Proxy: http.ProxyFromEnvironment, TLSClientConfig: cfg, DisableKeepAlives: true}}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(gateway, "/")+signaling.PathAgentManifest, http.NoBody)
	if err != nil {
		return err
	}
	resp, err := c.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	// Without a token the gateway refuses, which is as good an answer as any: it is there.
	if resp.StatusCode != http.StatusUnauthorized && resp.StatusCode/100 != 2 {
		return fmt.Errorf("the gateway's address answers with HTTP %d", resp.StatusCode)
	}
	_, err = io.Copy(io.Discard, io.LimitReader(resp.Body, maxAnswer))
	if errors.Is(err, io.EOF) {
		err = nil
	}
	if err == nil {
		l.client.Probe()
	}
	return err
}
