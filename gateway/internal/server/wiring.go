package server

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"time"

	"handrail/gateway/internal/audit"
	"handrail/gateway/internal/browser"
	"handrail/gateway/internal/bus"
	"handrail/gateway/internal/config"
	"handrail/gateway/internal/session"
	"handrail/gateway/internal/tlsconf"
	"handrail/gateway/internal/turn"
	"handrail/mdm"
	"handrail/mdm/device"
	"handrail/signaling"
	"handrail/signaling/hub"
)

func (s *Server) limits() hub.Limits { return hub.Limits{Heartbeat: s.cfg.Heartbeat} }

func (s *Server) tlsConfig() tlsconf.Config {
	c := s.cfg
	return tlsconf.Config{
		Mode: tlsconf.Mode(c.TLS), Listen: s.listener.Addr().String(), BehindProxy: c.BehindProxy,
		CertFile: c.TLSCert, KeyFile: c.TLSKey, Dir: c.Data, Names: append(c.TLSNames, publicHost(c)...),
		Domains: c.ACMEDomains, Email: c.ACMEEmail, Directory: c.ACMEDirectory,
	}
}

func publicHost(c config.Gateway) []string {
	if h := hostOf(c.PublicURL); h != "" {
		return []string{h}
	}
	return nil
}

func (s *Server) openBus() error {
	c := bus.Config{URL: s.cfg.BusURL}
	if s.cfg.ClusterListen != "" {
		t, err := tlsconf.Cluster(s.key.Derive("cluster tls"))
		if err != nil {
			return err
		}
		c.Cluster = bus.Cluster{
			Listen: s.cfg.ClusterListen, Peers: s.cfg.ClusterPeers, TLS: t,
			Secret: hex.EncodeToString(s.key.Derive("cluster")),
		}
	}
	var err error
	s.Bus, err = bus.New(c, s.log)
	return err
}

func (s *Server) openRelay() error {
	c := s.cfg
	if c.TurnListen == config.Off {
		return nil
	}
	host, _, err := net.SplitHostPort(s.listener.Addr().String())
	if err != nil {
		return err
	}
	t := turn.Config{Public: c.TurnPublic, Secret: s.key.Derive("turn")}
	if t.Public == "" {
		t.Public = hostOf(c.PublicURL)
	}
	if ip, err := netip.ParseAddr(host); err == nil && ip.IsUnspecified() && t.Public == "" {
		t.Public = outwardAddress()
	} else if err == nil && ip.IsLoopback() && c.PublicURL == "" {
		// Devices and browsers are on this machine: so are the relay's peers.
		t.AllowPeers = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}
	}
	t.UDP = c.TurnListen
	if t.UDP == "" {
		t.UDP = net.JoinHostPort(host, "3478")
	}
	t.TCP = t.UDP
	if t.Certs = s.certs.TLS(); t.Certs != nil && c.TurnTLSListen != config.Off {
		t.Certs.NextProtos = nil // TURN over TLS has none
		if t.TLS = c.TurnTLSListen; t.TLS == "" {
			t.TLS = net.JoinHostPort(host, "5349")
		}
	}
	if t.RelayIP, err = c.RelayIP(); err != nil {
		return err
	}
	if t.MinPort, t.MaxPort, err = c.RelayPorts(); err != nil {
		return err
	}
	allow, err := c.AllowPeers()
	if err != nil {
		return err
	}
	t.AllowPeers = append(t.AllowPeers, allow...)
	s.Relay, err = turn.New(t, s.log)
	return err
}

// outwardAddress is the address this machine would speak to others from; no packet is sent.
func outwardAddress() string {
	c, err := net.Dial("udp", "192.0.2.1:9") // a documentation address: only routing is asked
	if err != nil {
		return "localhost"
	}
	defer c.Close()
	host, _, err := net.SplitHostPort(c.LocalAddr().String())
	if err != nil {
		return "localhost"
	}
	return host
}

func (s *Server) runRelay(ctx context.Context) error {
	if s.Relay == nil {
		<-ctx.Done()
		return nil
	}
	return s.Relay.Run(ctx)
}

func (s *Server) iceServers(id signaling.SessionID, p signaling.PeerID) []signaling.ICEServer {
	if s.Relay == nil {
		return []signaling.ICEServer{}
	}
	return s.Relay.ICEServers(id, p)
}

func (s *Server) unattended(ctx context.Context, g mdm.GroupID) (bool, signaling.CapabilitySet, error) {
	t, err := s.Groups.Tree(ctx)
	if err != nil {
		return false, 0, err
	}
	u := t.Unattended(g)
	var caps signaling.CapabilitySet
	for _, name := range u.Capabilities {
		caps |= signaling.SetOf(signaling.Capability(name))
	}
	return u.Enabled, caps, nil
}

// deliver and present go by s, as the links are made after the sessions.
func (s *Server) deliver(ctx context.Context, d mdm.DeviceID, e signaling.Envelope) error {
	return s.Links.Deliver(ctx, d, e)
}

func (s *Server) present(ctx context.Context, d mdm.DeviceID) error { return s.Links.Present(ctx, d) }

func (s *Server) announce(n session.News) {
	if err := browser.Announce(s.Bus, n); err != nil {
		s.log.Warn("session_unannounced", "session", n.State.Session, "error", err)
	}
}

func (s *Server) changed(topic signaling.Topic, ids ...string) {
	s.nudgeCompliance(topic)
	s.touchFleet(topic, ids) // before anybody is told: who asks at once sees it
	s.touchPolicies(topic)
	if err := browser.TellChanged(s.Bus, topic, ids...); err != nil {
		s.log.Warn("change_untold", "topic", topic, "error", err)
	}
}

func (s *Server) organisation(ctx context.Context) string {
	name, err := s.Auth.Organisation(ctx)
	if err != nil {
		s.log.Warn("organisation_unknown", "error", err)
	}
	return name
}

// copied is told of a proven identity that turned up on another machine.
func (s *Server) copied(ctx context.Context, d device.Device, fingerprint, remote string) {
	if time.Since(d.CopiedAt) < time.Minute {
		return // it tries again and again; once is enough in the record
	}
	s.log.Warn("identity_copied", "device", d.ID, "remote", remote)
	if _, err := s.Devices.MarkCopied(ctx, d.ID, time.Now()); err != nil {
		s.log.Error("identity_copied_unmarked", "device", d.ID, "error", err)
	}
	s.record(ctx, audit.Entry{
		Actor:  audit.Who{Kind: audit.ByDevice, ID: string(d.ID), Name: d.Name},
		Action: "device.identity_copied", Target: audit.Who{Kind: "device", ID: string(d.ID), Name: d.Name}, Group: d.Group, Address: remote,
		Detail: map[string]string{"fingerprint": mdm.Clean(fingerprint, 128)},
	})
	s.changed(signaling.TopicDevices, string(d.ID))
}

func (s *Server) auditSession(ctx context.Context, e session.Event) {
	one := e.Session
	actor := audit.Who{Kind: audit.BySystem, Name: "gateway"}
	if e.Actor != "" {
		actor = audit.Who{Kind: audit.ByDevice, ID: string(one.Device), Name: strings.TrimSpace(fmt.Sprintf("%s at %s", e.Actor, one.DeviceName))}
	}
	detail := map[string]string{"device": string(one.Device), "operator": one.OperatorName, "granted": capabilities(one.Granted)}
	if e.Detail != "" {
		detail["detail"] = e.Detail
	}
	s.record(ctx, audit.Entry{
		Actor: actor, Action: e.Action, Target: audit.Who{Kind: "session", ID: string(one.ID), Name: one.DeviceName},
		Group: one.Group, Detail: detail,
	})
}

func capabilities(c signaling.CapabilitySet) string {
	var names []string
	for _, one := range c.List() {
		names = append(names, string(one))
	}
	return strings.Join(names, ", ")
}

// record writes to the audit log even when the request that caused it is given up.
func (s *Server) record(ctx context.Context, e audit.Entry) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	if err := s.Audit.Record(ctx, e); err != nil {
		s.log.Error("audit_unwritten", "action", e.Action, "target", e.Target.ID, "error", err)
	}
	s.changed(signaling.TopicAudit)
}

// ready reports why this node should get no new work.
func (s *Server) ready(ctx context.Context) error {
	if s.draining.Load() {
		return errors.New("draining")
	}
	return errors.Join(s.Store.Ping(ctx), s.Bus.Healthy())
}
