package server

import (
	"context"
	"crypto/subtle"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"handrail/gateway/internal/config"
	"handrail/signaling"
	"handrail/web"
)

// httpServer bounds what a stranger can hold: headers must come soon and be small. Bodies
// and sockets have limits of their own where they are read.
func (s *Server) httpServer() *http.Server {
	return &http.Server{
		Handler:           s.handler,
		TLSConfig:         s.certs.TLS(),
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    32 << 10,
		ErrorLog:          slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
		ConnContext:       nil,
	}
}

// routes says which room answers what.
func (s *Server) routes() (http.Handler, error) {
	m := newMetrics(s)
	pages, err := newConsole(web.FS())
	if err != nil {
		return nil, err
	}
	if err := s.openAPI(); err != nil {
		return nil, err
	}
	rest := s.api.Handler()
	mux := http.NewServeMux()
	mux.Handle("GET /api/socket", s.Browsers)
	mux.Handle("GET "+signaling.PathAgentSocket, s.Links)
	mux.Handle("/api/", m.count("api", apiHeaders(rest)))
	mux.Handle("/agent/", m.count("agent", apiHeaders(rest)))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), 3*time.Second)
		defer cancel()
		if err := s.ready(ctx); err != nil {
			s.log.Warn("not_ready", "error", err)
			http.Error(w, "not ready", http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintln(w, "ok")
	})
	mux.Handle("GET /metrics", s.metricsOnly(m.handler()))
	mux.Handle("/", m.count("console", pages))
	return s.remote(headers(mux, s.certs.TLS() != nil)), nil
}

// remote puts the client's own address into the request where a proxy is in front.
func (s *Server) remote(next http.Handler) http.Handler {
	if !s.cfg.BehindProxy {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// The proxy appends the address it saw; what is before it came from the client.
		all := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
		if ip, err := netip.ParseAddr(strings.TrimSpace(all[len(all)-1])); err == nil {
			r.RemoteAddr = net.JoinHostPort(ip.String(), "0")
		}
		next.ServeHTTP(w, r)
	})
}

// metricsOnly lets this machine read, and who has the token.
func (s *Server) metricsOnly(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		from, err := netip.ParseAddrPort(r.RemoteAddr)
		local := err == nil && from.Addr().Unmap().IsLoopback() && s.cfg.MetricsToken == ""
		given, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		token := ok && s.cfg.MetricsToken != "" && subtle.ConstantTimeCompare([]byte(given), []byte(s.cfg.MetricsToken)) == 1
		if !local && !token {
			http.Error(w, "metrics need the token of --metrics-token, or to be read from this machine", http.StatusForbidden)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// headers go on every answer.
func headers(next http.Handler, secure bool) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-Frame-Options", "DENY")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		if secure {
			h.Set("Strict-Transport-Security", "max-age=31536000")
		}
		next.ServeHTTP(w, r)
	})
}

// apiHeaders are what API answers begin with; a page of documentation sets its own policy.
func apiHeaders(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
		w.Header().Set("Cache-Control", "no-store")
		next.ServeHTTP(w, r)
	})
}

// URL is where people and devices reach the gateway.
func (s *Server) URL() string {
	if s.cfg.PublicURL != "" {
		return strings.TrimRight(s.cfg.PublicURL, "/")
	}
	scheme := "http"
	if s.certs.TLS() != nil {
		scheme = "https"
	}
	host, port, err := net.SplitHostPort(s.listener.Addr().String())
	if err != nil {
		return scheme + "://" + s.listener.Addr().String()
	}
	if ip, err := netip.ParseAddr(host); err == nil && ip.IsLoopback() {
		host = "localhost"
	} else if err == nil && ip.IsUnspecified() {
		host = outwardAddress()
		if len(s.cfg.ACMEDomains) > 0 {
			host = s.cfg.ACMEDomains[0]
		}
	}
	if scheme == "https" && port == "443" {
		return scheme + "://" + host
	}
	return scheme + "://" + net.JoinHostPort(host, port)
}

func hostOf(raw string) string {
	u, err := url.Parse(raw)
	if err != nil {
		return ""
	}
	return u.Hostname()
}

// originList is which pages may speak to the gateway.
type originList struct {
	known []string
	// sameHost trusts an origin that is the very host the request names. It holds behind
	// TLS only: without it another site's name can be made to lead here.
	sameHost bool
}

func newOrigins(cfg config.Gateway, own string, secure bool) originList {
	l := originList{known: append([]string{own}, cfg.Origins...), sameHost: secure || cfg.BehindProxy}
	if u, err := url.Parse(own); err == nil && u.Hostname() == "localhost" {
		for _, h := range []string{"127.0.0.1", "::1"} {
			l.known = append(l.known, u.Scheme+"://"+net.JoinHostPort(h, u.Port()))
		}
	}
	return l
}

// allow reports whether the request comes from a page of ours. One without Origin is not
// from a page of another site.
func (l originList) allow(r *http.Request) bool {
	o := r.Header.Get("Origin")
	if o == "" {
		return r.Header.Get("Sec-Fetch-Site") == "" || r.Header.Get("Sec-Fetch-Site") == "same-origin" || r.Header.Get("Sec-Fetch-Site") == "none"
	}
	return slices.Contains(l.known, o) || l.sameHost && o == "https://"+r.Host
}
