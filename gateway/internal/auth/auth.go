package auth

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"handrail/gateway/internal/secret"
	"handrail/mdm/group"
)

// Config of the room; the zero value of each field is useful, except Key.
type Config struct {
	Key        secret.Key
	Idle       time.Duration    // a sign-in not used for so long is over; 0 means 8 h
	Lifetime   time.Duration    // and after so long in any case; 0 means 7 days
	AccessTTL  time.Duration    // of device access tokens; 0 means 1 h
	TicketTTL  time.Duration    // of socket tickets; 0 means 30 s
	PurgeEvery time.Duration    // how often Run removes what has expired; 0 means 10 min
	Now        func() time.Time // nil means time.Now
}

// Store is everything auth keeps.
type Store interface {
	OperatorStore
	SignInStore
	SettingStore
	TokenStore
}

// Auth is the room. It is safe for concurrent use.
type Auth struct {
	cfg    Config
	store  Store
	tree   func(context.Context) (group.Tree, error)
	log    *slog.Logger
	now    func() time.Time
	hashes chan struct{}
	macKey []byte

	accounts  *limiter // failed sign-ins by address of the account
	addresses *limiter // failed sign-ins by network address
	enrolls   *limiter // failed enrollments by network address
}

// New returns the room; it starts nothing. tree returns the groups of the moment.
func New(cfg Config, store Store, tree func(context.Context) (group.Tree, error), log *slog.Logger) (*Auth, error) {
	if cfg.Key == (secret.Key{}) {
		return nil, errors.New("auth: no secret key")
	}
	def := func(d *time.Duration, v time.Duration) {
		if *d == 0 {
			*d = v
		}
	}
	def(&cfg.Idle, 8*time.Hour)
	def(&cfg.Lifetime, 7*24*time.Hour)
	def(&cfg.AccessTTL, time.Hour)
	def(&cfg.TicketTTL, 30*time.Second)
	def(&cfg.PurgeEvery, 10*time.Minute)
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	now := cfg.Now
	cfg.Now = func() time.Time { return now().UTC().Truncate(time.Microsecond) } // as exact as it is stored
	return &Auth{
		cfg: cfg, store: store, tree: tree, log: log, now: cfg.Now,
		hashes: make(chan struct{}, hashesAtOnce), macKey: cfg.Key.Derive("device access"),
		// An account can be locked by strangers, so it opens again soon; an address cannot.
		accounts:  newLimiter(cfg.Now, 5, time.Minute),
		addresses: newLimiter(cfg.Now, 20, 15*time.Minute),
		enrolls:   newLimiter(cfg.Now, 10, 15*time.Minute),
	}, nil
}

// Run removes expired sign-ins and tickets until ctx ends.
func (a *Auth) Run(ctx context.Context) error {
	t := time.NewTicker(a.cfg.PurgeEvery)
	defer t.Stop()
	for {
		if err := a.store.PurgeSignIns(ctx, a.now()); err != nil && ctx.Err() == nil {
			a.log.Warn("sign_in_purge_failed", "error", err)
		}
		if err := a.store.PurgeAPITokens(ctx, a.now().Add(-keepTokenFor)); err != nil && ctx.Err() == nil {
			a.log.Warn("token_purge_failed", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-t.C:
		}
	}
}
