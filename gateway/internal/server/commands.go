package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"time"

	"handrail/gateway/internal/audit"
	"handrail/gateway/internal/config"
	"handrail/gateway/internal/store"
	"handrail/mdm"
	"handrail/mdm/enroll"
	"handrail/mdm/group"
)

// Greeting is the line that says where the gateway is, and how to set it up when nobody has.
func (s *Server) Greeting(ctx context.Context) (string, error) {
	token, needed, err := s.Auth.SetupToken(ctx)
	if err != nil {
		return "", err
	}
	if !needed {
		return fmt.Sprintf("Handrail is ready: %s", s.URL()), nil
	}
	return fmt.Sprintf("Handrail is ready. Set it up: %s/setup#%s", s.URL(), token), nil
}

// withStore runs a command straight on the database; the gateway may be running.
func withStore(ctx context.Context, p config.Place, run func(*store.Store) error) error {
	if p.Database == "" {
		if _, err := os.Stat(p.Data); err != nil {
			return fmt.Errorf("data directory: %w; start the gateway first, or name its directory with --data", err)
		}
	}
	st, err := store.Open(ctx, store.Config{URL: p.Database, Dir: p.Data}, slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	return errors.Join(run(st), st.Close())
}

// VerifyAudit checks the chain of the audit log and says what it found on out. A broken
// chain is an error.
func VerifyAudit(ctx context.Context, p config.Place, out io.Writer) error {
	return withStore(ctx, p, func(st *store.Store) error {
		v, err := audit.New(st, time.Now, slog.New(slog.DiscardHandler)).Verify(ctx)
		if err != nil {
			return err
		}
		if !v.OK() {
			return fmt.Errorf("the audit log is broken at entry %d: %s", v.Broken, v.Reason)
		}
		_, err = fmt.Fprintf(out, "The audit log holds: %d entries, head %s\n", v.Entries, v.Head)
		return err
	})
}

// TokenWanted describes an enrollment token.
type TokenWanted struct {
	Group mdm.GroupID
	Uses  int64
	TTL   time.Duration
	Note  string
}

// CreateToken makes an enrollment token and returns its text.
func CreateToken(ctx context.Context, p config.Place, w TokenWanted) (string, error) {
	var text string
	err := withStore(ctx, p, func(st *store.Store) (err error) {
		text, err = createToken(ctx, st, w)
		return err
	})
	return text, err
}

func createToken(ctx context.Context, st *store.Store, w TokenWanted) (string, error) {
	now := time.Now()
	t, text, err := enroll.New(st).Create(ctx, enroll.Wanted{Group: w.Group, Uses: w.Uses, TTL: w.TTL, Note: w.Note, By: "command line"}, now)
	if err != nil {
		return "", err
	}
	return text, audit.New(st, time.Now, slog.New(slog.DiscardHandler)).Record(ctx, audit.Entry{
		Actor:  audit.Who{Kind: audit.BySystem, Name: "command line"},
		Action: "enrollment_token.create", Target: audit.Who{Kind: "enrollment_token", ID: t.ID, Name: w.Note}, Group: w.Group,
		Detail: map[string]string{"uses": fmt.Sprint(t.UsesAllowed), "expires_at": t.ExpiresAt.UTC().Format(time.RFC3339)},
	})
}

// demoGroup is the name of the group of demo devices.
const demoGroup = "Demo"

// DemoToken makes the group Demo below the root, whose devices let sessions in without
// asking, and puts the sample policy in force for it, when it is not there; it returns a token
// for one device in it.
func DemoToken(ctx context.Context, p config.Place) (string, error) {
	var text string
	err := withStore(ctx, p, func(st *store.Store) error {
		groups := group.New(st)
		tree, err := groups.Tree(ctx)
		if err != nil {
			return err
		}
		var id mdm.GroupID
		for _, g := range tree.All() {
			if g.Parent == mdm.RootGroup && g.Name == demoGroup {
				id = g.ID
			}
		}
		if id == "" {
			if id, err = makeDemo(ctx, p, st, groups); err != nil {
				return err
			}
		}
		text, err = createToken(ctx, st, TokenWanted{Group: id, Uses: 1, TTL: time.Hour, Note: "demo device"})
		return err
	})
	return text, err
}

func makeDemo(ctx context.Context, p config.Place, st *store.Store, groups *group.Registry) (mdm.GroupID, error) {
	policy := &group.Unattended{Enabled: true, Capabilities: []string{"view", "control", "clipboard"}}
	g, err := groups.Create(ctx, mdm.RootGroup, demoGroup, policy, time.Now())
	if err != nil {
		return "", err
	}
	err = audit.New(st, time.Now, slog.New(slog.DiscardHandler)).Record(ctx, audit.Entry{
		Actor:  audit.Who{Kind: audit.BySystem, Name: "command line"},
		Action: "group.create", Target: audit.Who{Kind: "group", ID: string(g.ID), Name: demoGroup}, Group: g.ID,
		Detail: map[string]string{"unattended": "view, control, clipboard"},
	})
	if err != nil {
		return "", err
	}
	tree, err := groups.Tree(ctx)
	if err != nil {
		return "", err
	}
	return g.ID, applySample(ctx, p, st, tree)
}
