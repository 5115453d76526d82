// Package server is the roof of the gateway: it puts the rooms together, starts them,
// drains and stops them. What it holds reads like a list; what a room does is in the room.
package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"handrail/gateway/internal/api"
	"handrail/gateway/internal/audit"
	"handrail/gateway/internal/auth"
	"handrail/gateway/internal/browser"
	"handrail/gateway/internal/bus"
	"handrail/gateway/internal/comply"
	"handrail/gateway/internal/config"
	"handrail/gateway/internal/desire"
	"handrail/gateway/internal/dispatch"
	"handrail/gateway/internal/fleet"
	"handrail/gateway/internal/identity"
	"handrail/gateway/internal/link"
	"handrail/gateway/internal/secret"
	"handrail/gateway/internal/session"
	"handrail/gateway/internal/store"
	"handrail/gateway/internal/tlsconf"
	"handrail/gateway/internal/turn"
	"handrail/mdm/command"
	"handrail/mdm/compliance"
	"handrail/mdm/device"
	"handrail/mdm/enroll"
	"handrail/mdm/group"
	"handrail/mdm/inventory"
	"handrail/mdm/label"
	"handrail/mdm/policy"
	"handrail/mdm/script"
)

// Rooms are the parts of a gateway, for the tests and commands that look inside.
type Rooms struct {
	Store     *store.Store
	Auth      *auth.Auth
	Audit     *audit.Log
	Groups    *group.Registry
	Devices   *device.Registry
	Enroll    *enroll.Registry
	Inventory *inventory.Registry
	Labels    *label.Registry
	Fleet     *fleet.Fleet
	Policies  *policy.Registry
	Desire    *desire.Engine

	Compliance *compliance.Registry
	Comply     *comply.Engine

	Sessions *session.Sessions
	Commands *command.Registry
	Scripts  *script.Registry
	Dispatch *dispatch.Dispatch
	Links    *link.Links
	Browsers *browser.Browsers
	Relay    *turn.Relay // nil when turned off
	Bus      *bus.Bus
}

// Server is one gateway node.
type Server struct {
	Rooms
	cfg      config.Gateway
	version  string
	log      *slog.Logger
	key      secret.Key
	identity *identity.Identity
	certs    *tlsconf.Certs
	listener net.Listener
	api      *api.API
	handler  http.Handler
	origins  originList
	draining atomic.Bool
	closed   sync.Once
}

// Open binds the gateway's ports, opens the database and puts the rooms together. Run
// serves; Close is for a server that never ran. Errors say what to do about them.
func Open(ctx context.Context, cfg config.Gateway, version string, log *slog.Logger) (_ *Server, err error) {
	s := &Server{cfg: cfg, version: version, log: log}
	defer func() {
		if err != nil {
			s.Close()
		}
	}()
	if s.listener, err = (&net.ListenConfig{}).Listen(ctx, "tcp", cfg.Listen); err != nil {
		return nil, explain(err, cfg.Listen, "--listen")
	}
	if err := os.MkdirAll(cfg.Data, 0o700); err != nil {
		return nil, fmt.Errorf("data directory: %w; choose another with --data", err)
	}
	if s.key, err = secret.Load(cfg.SecretFile()); err != nil {
		return nil, err
	}
	if s.certs, err = tlsconf.New(s.tlsConfig(), log); err != nil {
		return nil, err
	}
	if s.Store, err = store.Open(ctx, store.Config{URL: cfg.Database, Dir: cfg.Data}, log); err != nil {
		return nil, err
	}
	if s.identity, err = identity.Load(ctx, s.Store, s.key); err != nil {
		return nil, err
	}
	if err := s.openBus(); err != nil {
		return nil, explain(err, cfg.ClusterListen, "--cluster-listen")
	}
	if err := s.openRelay(); err != nil {
		return nil, explain(err, cfg.TurnListen, "--turn-listen (or --turn-listen off)")
	}
	s.origins = newOrigins(cfg, s.URL(), s.certs.TLS() != nil)
	if err := s.furnish(); err != nil {
		return nil, err
	}
	s.handler, err = s.routes()
	return s, err
}

// furnish makes the rooms and hands each the functions of the others.
func (s *Server) furnish() error {
	var err error
	s.Audit = audit.New(s.Store, time.Now, s.log)
	s.Groups = group.New(s.Store)
	s.Devices = device.New(s.Store)
	s.Enroll = enroll.New(s.Store)
	s.Inventory = inventory.New(s.Store)
	if err := s.openFleet(); err != nil {
		return err
	}
	if err := s.openPolicies(); err != nil {
		return err
	}
	if err := s.openCompliance(); err != nil {
		return err
	}
	s.Auth, err = auth.New(auth.Config{Key: s.key}, s.Store, s.Groups.Tree, s.log)
	if err != nil {
		return err
	}
	if err := s.furnishCommands(); err != nil {
		return err
	}
	s.Sessions = session.New(session.Config{
		AnswerWithin: s.cfg.AnswerWithin,
		Window:       s.cfg.ConsentWindow,
		Store:        s.Store,
		Unattended:   s.unattended,
		Device:       s.Devices.Device,
		Deliver:      s.deliver,
		Present:      s.present,
		Announce:     s.announce,
		Changed:      s.changed,
		Organisation: s.organisation,
		ICEServers:   s.iceServers,
		Audit:        s.auditSession,
	}, s.log)
	s.Links = link.New(link.Config{
		Limits:        s.limits(),
		Bus:           s.Bus,
		Devices:       s.Devices,
		Identity:      s.identity,
		MintAccess:    s.Auth.MintAccess,
		Organisation:  s.organisation,
		Copied:        s.copied,
		Back:          s.deviceBack,
		Greeted:       s.greeted,
		Lost:          s.Sessions.DeviceLost,
		Cut:           s.deviceCut,
		FromDevice:    s.Sessions.FromDevice,
		InventoryTurn: s.inventoryTurn,
		Changed:       s.changed,
	}, s.log)
	s.Browsers = browser.New(browser.Config{
		Limits:   s.limits(),
		Bus:      s.Bus,
		Auth:     s.Auth,
		Sessions: s.Sessions,
		Origin:   s.origins.allow,
		Deliver:  s.Links.Deliver,
		Post:     s.Links.Post,
	}, s.log)
	return nil
}

// Addr returns where the gateway listens.
func (s *Server) Addr() net.Addr { return s.listener.Addr() }

// Run serves until ctx ends, then drains: it stops taking new work, tells agents and
// browsers to connect again, lets requests under way finish, and stops the rooms.
func (s *Server) Run(ctx context.Context) error {
	defer s.Close()
	busCtx, stopBus := context.WithCancel(context.WithoutCancel(ctx))
	defer stopBus()
	busDone := make(chan error, 1)
	go func() { busDone <- s.Bus.Run(busCtx) }()

	roomCtx, stopRooms := context.WithCancel(context.WithoutCancel(ctx))
	defer stopRooms()
	rooms, roomCtx := errgroup.WithContext(roomCtx)
	for _, run := range []func(context.Context) error{
		s.certs.Run, s.Auth.Run, s.Links.Run, s.Browsers.Run, s.Sessions.Run, s.runPolicies, s.runFleet, s.Comply.Run, s.runRelay, s.Dispatch.Run,
	} {
		rooms.Go(func() error { return run(roomCtx) })
	}
	web := s.httpServer()
	door := bounded(s.listener, maxConnections(), s.log)
	rooms.Go(func() error {
		var err error
		if web.TLSConfig != nil {
			err = web.ServeTLS(door, "", "")
		} else {
			err = web.Serve(door)
		}
		if errors.Is(err, http.ErrServerClosed) {
			return nil
		}
		return fmt.Errorf("serve: %w", err)
	})
	select {
	case <-ctx.Done():
	case <-roomCtx.Done(): // a room failed; stop the others
	}
	s.drain(web)
	stopRooms()
	err := rooms.Wait()
	stopBus()
	return errors.Join(err, <-busDone)
}

// reconnectAfter is what agents and browsers are told when this node goes away: soon, as
// another node may be there, or this one again; they add jitter.
const reconnectAfter = 250 * time.Millisecond

func (s *Server) drain(web *http.Server) {
	s.log.Info("draining", "agents", s.Links.Len(), "browsers", s.Browsers.Len())
	s.draining.Store(true)
	s.Browsers.Drain(reconnectAfter)
	s.Links.Drain(reconnectAfter)
	ctx, cancel := context.WithTimeout(context.Background(), s.cfg.DrainTime)
	defer cancel()
	if err := web.Shutdown(ctx); err != nil {
		s.log.Warn("requests_cut_off", "error", err)
		web.Close()
	}
}

// Close releases what Open took. Run does it by itself.
func (s *Server) Close() {
	s.closed.Do(func() {
		if s.listener != nil {
			_ = s.listener.Close() // closed already when the HTTP server has run
		}
		if s.Relay != nil {
			s.Relay.Close()
		}
		if s.Bus != nil {
			s.Bus.Close()
		}
		if s.Store != nil {
			if err := s.Store.Close(); err != nil {
				s.log.Warn("database_close", "error", err)
			}
		}
	})
}

// explain turns an error of binding an address into words that say what to do.
func explain(err error, addr, flag string) error {
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return fmt.Errorf("%s is taken by another program; stop that one or choose another address with %s", addrOf(err, addr), flag)
	case errors.Is(err, syscall.EACCES):
		return fmt.Errorf("no permission to listen on %s; ports under 1024 need root or CAP_NET_BIND_SERVICE, or choose another address with %s", addrOf(err, addr), flag)
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return fmt.Errorf("%s is not an address of this machine; choose another with %s", addrOf(err, addr), flag)
	}
	return err
}

// addrOf names the address of the error itself, where it has one.
func addrOf(err error, other string) string {
	var oe *net.OpError
	if errors.As(err, &oe) && oe.Addr != nil {
		return oe.Addr.String() + " (" + oe.Net + ")"
	}
	return other
}

// Identity is who the gateway is to its devices.
func (s *Server) Identity() *identity.Identity { return s.identity }
