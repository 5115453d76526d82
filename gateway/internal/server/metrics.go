package server

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// metrics are this node's figures for Prometheus.
type metrics struct {
	registry *prometheus.Registry
	requests *prometheus.CounterVec
	took     *prometheus.HistogramVec
}

func newMetrics(s *Server) *metrics {
	m := &metrics{
		registry: prometheus.NewRegistry(),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "handrail_http_requests_total", Help: "HTTP requests answered, by room and status.",
		}, []string{"room", "code"}),
		took: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "handrail_http_request_seconds", Help: "Time to answer an HTTP request.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 10},
		}, []string{"room"}),
	}
	gauge := func(name, help string, read func() float64) {
		m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, read))
	}
	gauge("handrail_agents", "Agents connected to this node.", func() float64 { return float64(s.Links.Len()) })
	gauge("handrail_browsers", "Browsers connected to this node.", func() float64 { return float64(s.Browsers.Len()) })
	gauge("handrail_devices_online", "Devices connected to any node.", func() float64 { return float64(len(s.Links.Online())) })
	gauge("handrail_cluster_nodes", "Routes to other nodes.", func() float64 { return float64(s.Bus.Nodes()) })
	gauge("handrail_relays", "TURN relays open on this node.", func() float64 {
		if s.Relay == nil {
			return 0
		}
		return float64(s.Relay.Allocations())
	})
	gauge("handrail_sessions_live", "Sessions consented or live, all nodes.", func() float64 { live, _ := s.countSessions(); return live })
	gauge("handrail_sessions_waiting", "Sessions waiting for consent, all nodes.", func() float64 { _, waiting := s.countSessions(); return waiting })
	gauge("handrail_compliance_behind_seconds", "How long the device that waits longest for a check of its rules has been due, all nodes.", s.complianceBehind)
	m.registry.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{
		Name: "handrail_db_writes_total", Help: "Writing transactions of this node.",
	}, func() float64 { return float64(s.Store.Writes()) }))
	m.registry.MustRegister(m.requests, m.took,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "handrail_info", Help: "Always 1; the version is a label.", ConstLabels: prometheus.Labels{"version": s.version},
	}, func() float64 { return 1 }))
	return m
}

func (s *Server) countSessions() (live, waiting float64) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	c, err := s.Sessions.Counts(ctx, nil, true)
	if err != nil {
		s.log.Warn("sessions_uncounted", "error", err)
	}
	return float64(c.Live), float64(c.Waiting)
}

func (s *Server) complianceBehind() float64 {
	if s.Comply == nil {
		return 0
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	d, err := s.Comply.Behind(ctx)
	if err != nil {
		s.log.Warn("compliance_uncounted", "error", err)
	}
	return d.Seconds()
}

func (m *metrics) handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{})
}

// count measures what a room answers.
func (m *metrics) count(room string, next http.Handler) http.Handler {
	took := m.took.WithLabelValues(room)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		began := time.Now()
		c := &coded{ResponseWriter: w, code: http.StatusOK}
		defer func() {
			took.Observe(time.Since(began).Seconds())
			m.requests.WithLabelValues(room, strconv.Itoa(c.code)).Inc()
		}()
		next.ServeHTTP(c, r)
	})
}

// coded remembers the status.
type coded struct {
	http.ResponseWriter
	code int
}

// WriteHeader implements http.ResponseWriter.
func (c *coded) WriteHeader(code int) {
	c.code = code
	c.ResponseWriter.WriteHeader(code)
}

// Unwrap is for http.ResponseController.
func (c *coded) Unwrap() http.ResponseWriter { return c.ResponseWriter }
