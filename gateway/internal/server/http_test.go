package server

import (
	"crypto/tls"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/fstest"

	"handrail/gateway/internal/config"
)

func TestConsole(t *testing.T) {
	c, err := newConsole(fstest.MapFS{
		"index.html":        {Data: []byte("<!doctype html>page")},
		"assets/a.1f.js":    {Data: []byte("plain script")},
		"assets/a.1f.js.br": {Data: []byte("brotli")},
		"assets/a.1f.js.gz": {Data: []byte("gzip")},
		"favicon.svg":       {Data: []byte("<svg/>")},
	}, true)
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		path, accept             string
		code                     int
		body, kind, cache, coded string
	}{
		{"/", "", 200, "<!doctype html>page", "text/html", "no-cache", ""},
		{"/devices/dev_1", "", 200, "<!doctype html>page", "text/html", "no-cache", ""},
		{"/setup", "br", 200, "<!doctype html>page", "text/html", "no-cache", ""},
		{"/assets/a.1f.js", "gzip, br", 200, "brotli", "text/javascript", "immutable", "br"},
		{"/assets/a.1f.js", "gzip;q=0.5", 200, "gzip", "text/javascript", "immutable", "gzip"},
		{"/assets/a.1f.js", "br;q=0", 200, "plain script", "text/javascript", "immutable", ""},
		{"/assets/old.js", "", 404, "404 page not found\n", "text/plain", "", ""},
		{"/assets/a.1f.js.br", "", 404, "404 page not found\n", "text/plain", "", ""},
		{"/favicon.svg", "", 200, "<svg/>", "image/svg+xml", "no-cache", ""},
	}
	for _, tt := range tests {
		r := httptest.NewRequest(http.MethodGet, tt.path, nil)
		r.Header.Set("Accept-Encoding", tt.accept)
		w := httptest.NewRecorder()
		c.ServeHTTP(w, r)
		h := w.Header()
		if w.Code != tt.code || w.Body.String() != tt.body || !strings.HasPrefix(h.Get("Content-Type"), tt.kind) ||
			!strings.Contains(h.Get("Cache-Control"), tt.cache) || h.Get("Content-Encoding") != tt.coded {
			t.Errorf("%s (%s) = %d %q %v", tt.path, tt.accept, w.Code, w.Body, h)
		}
		if tt.code != 200 {
			continue
		}
		for part := range strings.SplitSeq(h.Get("Content-Security-Policy"), ";") {
			if p := strings.TrimSpace(part); strings.HasPrefix(p, "script-src") && p != "script-src 'self'" {
				t.Errorf("%s: %s", tt.path, p)
			}
		}
		again := httptest.NewRequest(http.MethodGet, tt.path, nil)
		again.Header.Set("Accept-Encoding", tt.accept)
		again.Header.Set("If-None-Match", h.Get("ETag"))
		w = httptest.NewRecorder()
		if c.ServeHTTP(w, again); w.Code != http.StatusNotModified {
			t.Errorf("%s with its ETag = %d, want 304", tt.path, w.Code)
		}
	}
}

func TestOrigins(t *testing.T) {
	local := newOrigins(config.Gateway{Origins: []string{"https://other.test"}}, "http://localhost:8080", false)
	secure := newOrigins(config.Gateway{}, "https://gw.test", true)
	tests := []struct {
		list         originList
		origin, host string
		site         string
		want         bool
	}{
		{local, "http://localhost:8080", "localhost:8080", "", true},
		{local, "http://127.0.0.1:8080", "127.0.0.1:8080", "", true},
		{local, "https://other.test", "localhost:8080", "", true},
		{local, "http://evil.test:8080", "evil.test:8080", "", false}, // its name leads to 127.0.0.1
		{local, "null", "localhost:8080", "", false},
		{local, "", "localhost:8080", "", true},
		{local, "", "localhost:8080", "cross-site", false},
		{local, "http://localhost:8081", "localhost:8080", "", false},
		{secure, "https://gw.test", "gw.test", "", true},
		{secure, "https://10.0.0.1", "10.0.0.1", "", true},
		{secure, "http://gw.test", "gw.test", "", false},
		{secure, "https://evil.test", "gw.test", "", false},
	}
	for _, tt := range tests {
		r := httptest.NewRequest(http.MethodGet, "/api/socket", nil)
		r.Host = tt.host
		if tt.origin != "" {
			r.Header.Set("Origin", tt.origin)
		}
		r.Header.Set("Sec-Fetch-Site", tt.site)
		if got := tt.list.allow(r); got != tt.want {
			t.Errorf("origin %q at %s (%s) allowed = %v, want %v", tt.origin, tt.host, tt.site, got, tt.want)
		}
	}
}

func TestMetricsStayHere(t *testing.T) {
	ok := http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})
	get := func(token, from, given string) int {
		s := &Server{cfg: config.Gateway{MetricsToken: token}}
		r := httptest.NewRequest(http.MethodGet, "/metrics", nil)
		r.RemoteAddr = from
		if given != "" {
			r.Header.Set("Authorization", "Bearer "+given)
		}
		w := httptest.NewRecorder()
		s.metricsOnly(ok).ServeHTTP(w, r)
		return w.Code
	}
	for _, tt := range []struct {
		token, from, given string
		want               int
	}{
		{"", "127.0.0.1:5", "", 200},
		{"", "[::1]:5", "", 200},
		{"", "192.0.2.1:5", "", 403},
		{"", "192.0.2.1:5", "x", 403},
		{"secret", "127.0.0.1:5", "", 403},
		{"secret", "192.0.2.1:5", "secret", 200},
		{"secret", "192.0.2.1:5", "wrong", 403},
	} {
		if got := get(tt.token, tt.from, tt.given); got != tt.want {
			t.Errorf("token %q, from %s with %q = %d, want %d", tt.token, tt.from, tt.given, got, tt.want)
		}
	}
}

func TestClientAddressBehindAProxy(t *testing.T) {
	for _, tt := range []struct {
		proxy     bool
		forwarded string
		want      string
	}{
		{true, "203.0.113.9, 198.51.100.7", "198.51.100.7:0"}, // what the client made up comes first
		{true, "", "192.0.2.1:1234"},
		{true, "nonsense", "192.0.2.1:1234"},
		{false, "203.0.113.9", "192.0.2.1:1234"},
	} {
		s := &Server{cfg: config.Gateway{BehindProxy: tt.proxy}}
		var got string
		h := s.remote(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got = r.RemoteAddr }))
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.TLS = &tls.ConnectionState{}
		if tt.forwarded != "" {
			r.Header.Set("X-Forwarded-For", tt.forwarded)
		}
		if h.ServeHTTP(httptest.NewRecorder(), r); got != tt.want {
			t.Errorf("proxy %v, forwarded %q: %s, want %s", tt.proxy, tt.forwarded, got, tt.want)
		}
	}
}
