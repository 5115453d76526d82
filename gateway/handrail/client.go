package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"handrail/mdm"
)

// maxAnswer bounds an answer of the gateway, in bytes.
const maxAnswer = 64 << 20

// problem is an error of the API, after RFC 9457.
type problem struct {
	Status int    `json:"status"`
	Code   string `json:"code"`
	Detail string `json:"detail"`
	Errors []struct {
		Location string `json:"location"`
		Message  string `json:"message"`
	} `json:"errors"`
}

// Error is what the gateway said, and what helps where that is known.
func (p *problem) Error() string {
	switch {
	case p.Status == http.StatusUnauthorized && p.Code != "wrong_password":
		return "you are not signed in, or no longer: handrail login (a token may have expired or been revoked)"
	case p.Status == http.StatusPreconditionFailed:
		return p.Detail + ": somebody else changed it meanwhile; look again, then try again"
	}
	return p.Detail
}

// client speaks to one gateway. cookies are those of the sign-in; token stands in for them.
type client struct {
	base    *url.URL
	http    *http.Client
	cookies []*http.Cookie
	token   string
}

// newClient checks the address and the certificate authority.
func newClient(address string, ca []byte) (*client, error) {
	if address == "" {
		return nil, errors.New("which gateway? Give --url https://gateway.example.org (or HANDRAIL_URL), or sign in first: handrail login")
	}
	if !strings.Contains(address, "://") {
		address = "https://" + address
	}
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		return nil, fmt.Errorf("%q is no address of a gateway; it looks like https://gateway.example.org", clean(address, 200))
	}
	u.Path, u.RawQuery, u.Fragment = "", "", ""
	if host := u.Hostname(); u.Scheme == "http" && host != "localhost" && host != "127.0.0.1" && host != "::1" {
		return nil, errors.New("http:// is only for a gateway on this machine: passwords would cross the network in the clear; use https://")
	}
	t := &http.Transport{Proxy: http.ProxyFromEnvironment, ForceAttemptHTTP2: true, TLSHandshakeTimeout: 10 * time.Second}
	if len(ca) > 0 {
		pool := x509.NewCertPool()
		if !pool.AppendCertsFromPEM(ca) {
			return nil, errors.New("the file of --ca-file holds no certificate in PEM")
		}
		t.TLSClientConfig = &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
	}
	return &client{base: u, http: &http.Client{Transport: t, Timeout: 2 * time.Minute}}, nil
}

// request is one call. In is sent as JSON unless nil; match is the revision a change builds on.
type request struct {
	method, path string
	query        url.Values
	in           any
	match        int64
}

// do calls and decodes the answer into out unless nil. Errors of the API are *problem.
func (c *client) do(ctx context.Context, r request, out any) error {
	b, _, err := c.raw(ctx, r)
	if err != nil || out == nil || len(b) == 0 {
		return err
	}
	if err := json.Unmarshal(b, out); err != nil {
		return fmt.Errorf("the gateway's answer to %s %s is not what was expected (is it a Handrail gateway of about version %s?): %w", r.method, r.path, version, err)
	}
	return nil
}

// raw calls and returns the answer's body and headers.
func (c *client) raw(ctx context.Context, r request) ([]byte, http.Header, error) {
	u := *c.base
	u.Path = r.path
	if len(r.query) > 0 {
		u.RawQuery = r.query.Encode()
	}
	var body io.Reader
	if r.in != nil {
		b, err := json.Marshal(r.in)
		if err != nil {
			return nil, nil, err
		}
		body = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, r.method, u.String(), body)
	if err != nil {
		return nil, nil, err
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	req.Header.Set("User-Agent", "handrail/"+version)
	if r.match > 0 {
		req.Header.Set("If-Match", fmt.Sprintf("%q", fmt.Sprint(r.match)))
	}
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	for _, k := range c.cookies {
		req.AddCookie(k)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, nil, unreachable(c.base, err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	if err != nil {
		return nil, nil, unreachable(c.base, err)
	}
	if len(b) > maxAnswer {
		return nil, nil, fmt.Errorf("the gateway's answer is over %d MiB", maxAnswer>>20)
	}
	if resp.StatusCode >= http.StatusBadRequest {
		return nil, nil, problemOf(resp, b)
	}
	if k := resp.Cookies(); len(k) > 0 {
		c.cookies = k
	}
	return b, resp.Header, nil
}

func problemOf(resp *http.Response, b []byte) error {
	p := &problem{}
	if err := json.Unmarshal(b, p); err != nil || p.Detail == "" {
		p.Detail = fmt.Sprintf("the gateway answered %s, and not as a Handrail gateway does", resp.Status)
	}
	p.Status = resp.StatusCode
	return p
}

// unreachable says in words why a gateway did not answer.
func unreachable(u *url.URL, err error) error {
	var unknown x509.UnknownAuthorityError
	var host x509.HostnameError
	switch {
	case errors.As(err, &unknown):
		return fmt.Errorf("%s shows a certificate nobody here knows; if the gateway made its own authority, give its certificate with --ca-file (on the gateway: tls/ca.pem in its data directory)", u.Host)
	case errors.As(err, &host):
		return fmt.Errorf("the certificate of %s is for another name: %w", u.Host, host)
	case errors.Is(err, context.Canceled):
		return errors.New("interrupted")
	}
	var inner *url.Error
	if errors.As(err, &inner) {
		err = inner.Err
	}
	return fmt.Errorf("cannot reach %s: %w", u, err)
}

// each calls visit for every item of a paged list, up to limit (0: all).
func (c *client) each(ctx context.Context, path string, query url.Values, limit int, visit func(json.RawMessage) error) (more bool, err error) {
	const page = 200
	q := url.Values{}
	for k, v := range query {
		q[k] = v
	}
	for n := 0; ; {
		size := page
		if limit > 0 {
			size = min(size, limit-n)
		}
		q.Set("limit", fmt.Sprint(size))
		var list struct {
			Items []json.RawMessage `json:"items"`
			Next  string            `json:"next"`
		}
		if err := c.do(ctx, request{method: http.MethodGet, path: path, query: q}, &list); err != nil {
			return false, err
		}
		for _, item := range list.Items {
			if err := visit(item); err != nil {
				return false, err
			}
		}
		n += len(list.Items)
		switch {
		case list.Next == "" || len(list.Items) == 0:
			return false, nil
		case limit > 0 && n >= limit:
			return true, nil
		}
		q.Set("after", list.Next)
	}
}

// clean makes text of the gateway, some of it from devices, fit for a terminal.
func clean(s string, limit int) string { return mdm.Clean(s, limit) }

// readFile reads a file that may be -, standard input.
func readFile(s streams, name string) ([]byte, error) {
	if name == "-" {
		return io.ReadAll(io.LimitReader(s.in, maxAnswer))
	}
	return os.ReadFile(name)
}
