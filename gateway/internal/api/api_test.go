package api_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"handrail/gateway/internal/api"
	"handrail/gateway/internal/audit"
	"handrail/gateway/internal/auth"
	"handrail/gateway/internal/baseline"
	"handrail/gateway/internal/comply"
	"handrail/gateway/internal/desire"
	"handrail/gateway/internal/dispatch"
	"handrail/gateway/internal/fleet"
	"handrail/gateway/internal/identity"
	"handrail/gateway/internal/rule"
	"handrail/gateway/internal/secret"
	"handrail/gateway/internal/session"
	"handrail/gateway/internal/store"
	"handrail/mdm"
	"handrail/mdm/command"
	"handrail/mdm/compliance"
	"handrail/mdm/device"
	"handrail/mdm/enroll"
	"handrail/mdm/group"
	"handrail/mdm/inventory"
	"handrail/mdm/label"
	"handrail/mdm/policy"
	"handrail/mdm/script"
	"handrail/signaling"
)

// gateway is the API over a real database, with sessions and links of the test.
type gateway struct {
	t       *testing.T
	store   *store.Store
	auth    *auth.Auth
	audit   *audit.Log
	groups  *group.Registry
	id      *identity.Identity
	links   *links
	session *sessions
	server  *httptest.Server
	api     *api.API
	fleet   *fleet.Fleet
	comply  *comply.Engine
	rules   *compliance.Registry
	log     *bytes.Buffer

	mu      sync.Mutex
	clock   time.Time
	changed []string
}

func (g *gateway) now() time.Time {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.clock
}

func (g *gateway) pass(d time.Duration) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.clock = g.clock.Add(d)
}

// lockedBuffer is a log that handlers may write to at once.
type lockedBuffer struct {
	mu *sync.Mutex
	b  *bytes.Buffer
}

func (l lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func newGateway(t *testing.T, s *store.Store) *gateway {
	t.Helper()
	g := &gateway{t: t, store: s, links: &links{online: map[mdm.DeviceID]bool{}}, session: newSessions(), log: &bytes.Buffer{}}
	g.clock = time.Now()
	log := slog.New(slog.NewTextHandler(lockedBuffer{&g.mu, g.log}, nil))
	key := secret.New()
	g.groups = group.New(s)
	var err error
	if g.auth, err = auth.New(auth.Config{Key: key, Now: g.now}, s, g.groups.Tree, log); err != nil {
		t.Fatal(err)
	}
	if g.id, err = identity.Load(t.Context(), s, key); err != nil {
		t.Fatal(err)
	}
	g.audit = audit.New(s, g.now, log)
	compiler, err := rule.NewCompiler()
	if err != nil {
		t.Fatal(err)
	}
	g.rules = compliance.New(s, baseline.Rules(), comply.Check(compiler))
	g.comply, err = comply.New(comply.Config{Store: s, Rules: g.rules, Compiler: compiler, Tree: g.groups.Tree, Now: g.now}, log)
	if err != nil {
		t.Fatal(err)
	}
	labels := label.New(s)
	g.fleet, err = fleet.New(fleet.Config{Store: s, Labels: labels, Groups: g.groups.Tree, Online: g.links.Online, Now: g.now}, log)
	if err != nil {
		t.Fatal(err)
	}
	policies := policy.New(s, policy.Standard(), key)
	engine, err := desire.New(desire.Config{
		Store: s, Policies: policies, Sealer: key, Key: key.Derive("desire"), Online: g.links.Online,
		Nudge: func(mdm.DeviceID, int64, string) {},
	}, log)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = engine.Run(ctx)
	}()
	t.Cleanup(func() {
		stop()
		<-ended
	})
	commands, scripts := command.New(s), script.New(s)
	g.api, err = api.New(api.Config{
		Commands: commands, Scripts: scripts, Dispatch: dispatch.New(dispatch.Config{
			Commands: commands, Scripts: scripts, Key: key, Online: g.links.Online, IsOnline: g.links.IsOnline,
			Nudge: func(mdm.DeviceID) error { return nil }, Changed: func(signaling.Topic, ...string) {}, Now: g.now,
		}, log),
		LabelDevices: s.LabelDevices, LabelName: func(_ context.Context, id mdm.LabelID) (string, error) { return string(id), nil },
		Policies: policies, Desire: engine,
		Auth: g.auth, Audit: g.audit, Identity: g.id, Devices: device.New(s), Groups: g.groups, Enroll: enroll.New(s),
		Inventory: inventory.New(s), Labels: labels, Fleet: g.fleet, Compliance: g.rules, Comply: g.comply, Sessions: g.session, Links: g.links, Version: "test", Now: g.now,
		Changed: func(topic signaling.Topic, ids ...string) {
			g.fleet.Touch() // as the server does
			g.mu.Lock()
			defer g.mu.Unlock()
			g.changed = append(g.changed, fmt.Sprint(topic, ids))
		},
	}, log)
	if err != nil {
		t.Fatal(err)
	}
	g.server = httptest.NewServer(g.api.Handler())
	t.Cleanup(g.server.Close)
	return g
}

// client is one browser.
type client struct {
	g    *gateway
	http *http.Client
	head http.Header
}

func (g *gateway) client() *client {
	jar, err := cookiejar.New(nil)
	if err != nil {
		g.t.Fatal(err)
	}
	return &client{g: g, http: &http.Client{Jar: jar}, head: http.Header{}}
}

// do sends a request and decodes the answer into out (nil: ignore); it returns the status.
func (c *client) do(method, path string, in, out any) int {
	c.g.t.Helper()
	status, _ := c.send(method, path, in, out)
	return status
}

func (c *client) send(method, path string, in, out any) (int, http.Header) {
	c.g.t.Helper()
	var body io.Reader
	switch in := in.(type) {
	case nil:
	case []byte:
		body = bytes.NewReader(in)
	default:
		b, err := json.Marshal(in)
		if err != nil {
			c.g.t.Fatal(err)
		}
		body = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(c.g.t.Context(), method, c.g.server.URL+path, body)
	if err != nil {
		c.g.t.Fatal(err)
	}
	for k, v := range c.head {
		req.Header[k] = v
	}
	if in != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	res, err := c.http.Do(req)
	if err != nil {
		c.g.t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		c.g.t.Fatal(err)
	}
	if res.StatusCode >= 400 {
		var p api.Problem
		if err := json.Unmarshal(b, &p); err != nil || p.Code == "" || p.Detail == "" || p.Status != res.StatusCode {
			c.g.t.Errorf("%s %s: %d is no problem document: %.300s", method, path, res.StatusCode, b)
		}
	}
	if out != nil {
		if err := json.Unmarshal(b, out); err != nil {
			c.g.t.Fatalf("%s %s: %d %.300s: %v", method, path, res.StatusCode, b, err)
		}
	}
	return res.StatusCode, res.Header
}

// want does a request that must end with a status.
func (c *client) want(status int, method, path string, in, out any) {
	c.g.t.Helper()
	if out == nil {
		out = &json.RawMessage{}
		if status == http.StatusNoContent || status == http.StatusAccepted {
			out = nil
		}
	}
	if got := c.do(method, path, in, out); got != status {
		c.g.t.Fatalf("%s %s = %d, want %d", method, path, got, status)
	}
}

const password = "correct horse battery"

// admin sets the gateway up and returns the first administrator's browser.
func (g *gateway) admin() *client {
	g.t.Helper()
	token, _, err := g.auth.SetupToken(g.t.Context())
	if err != nil {
		g.t.Fatal(err)
	}
	c := g.client()
	c.want(http.StatusOK, http.MethodPost, "/api/setup", map[string]string{
		"token": token, "organisation": "Acme", "name": "Ada", "email": "ada@example.org", "password": password,
	}, nil)
	return c
}

// operator makes an account and signs it in.
func (c *client) operator(name string, grants ...map[string]string) *client {
	c.g.t.Helper()
	if grants == nil {
		grants = []map[string]string{}
	}
	c.want(http.StatusCreated, http.MethodPost, "/api/operators", map[string]any{
		"name": name, "email": name + "@example.org", "password": password, "grants": grants,
	}, nil)
	n := c.g.client()
	n.want(http.StatusOK, http.MethodPost, "/api/sign-in", map[string]string{"email": name + "@example.org", "password": password}, nil)
	return n
}

func grant(role, group string) map[string]string {
	return map[string]string{"role": role, "group_id": group}
}

// group makes a group below the root.
func (c *client) group(name string) string {
	c.g.t.Helper()
	var g api.GroupBody
	c.want(http.StatusCreated, http.MethodPost, "/api/groups", map[string]string{"parent_id": "grp_root", "name": name}, &g)
	return g.ID
}

// machine is a device that enrolls.
type machine struct {
	key         ed25519.PrivateKey
	fingerprint string
	hostname    string
}

func newMachine(t *testing.T, fingerprint, hostname string) *machine {
	t.Helper()
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &machine{key: key, fingerprint: fingerprint, hostname: hostname}
}

func (m *machine) request(token string) signaling.EnrollRequest {
	r := signaling.EnrollRequest{
		Token: token, PublicKey: signaling.Key(m.key.Public().(ed25519.PublicKey)), Fingerprint: m.fingerprint, Hostname: m.hostname, //nolint:forcetypeassert // crypto/ed25519 says so
		OS: "linux", Arch: "amd64", AgentVersion: "1", Nonce: make([]byte, signaling.NonceSize),
	}
	r.Signature = ed25519.Sign(m.key, signaling.EnrollTranscript(r))
	return r
}

// token makes an enrollment token for a group.
func (c *client) token(group string, uses int) api.NewTokenBody {
	c.g.t.Helper()
	var tok api.NewTokenBody
	c.want(http.StatusCreated, http.MethodPost, "/api/enrollment-tokens", map[string]any{"group_id": group, "uses": uses}, &tok)
	return tok
}

// device enrolls a fresh machine into a group.
func (c *client) device(group, hostname string) string {
	c.g.t.Helper()
	var a signaling.EnrollAnswer
	c.g.client().want(http.StatusOK, http.MethodPost, "/agent/enroll", newMachine(c.g.t, mdm.NewID("fp"), hostname).request(c.token(group, 1).Token), &a)
	return string(a.DeviceID)
}

// links are the devices that are connected.
type links struct {
	mu     sync.Mutex
	online map[mdm.DeviceID]bool
	cut    []string
}

func (l *links) Online() map[mdm.DeviceID]bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := map[mdm.DeviceID]bool{}
	for id := range l.online {
		out[id] = true
	}
	return out
}

func (l *links) IsOnline(id mdm.DeviceID) bool { return l.Online()[id] }

func (l *links) Cut(_ context.Context, id mdm.DeviceID, code signaling.Code, _ string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.online, id)
	l.cut = append(l.cut, string(id)+" "+string(code))
	return nil
}

// sessions remember what was asked; err is what every call then answers.
type sessions struct {
	mu  sync.Mutex
	all map[signaling.SessionID]session.Session
	err error
}

func newSessions() *sessions { return &sessions{all: map[signaling.SessionID]session.Session{}} }

func (s *sessions) Request(_ context.Context, by auth.Caller, d device.Device, reason string, caps signaling.CapabilitySet) (session.Session, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	ses := session.Session{
		ID: signaling.NewSessionID(), Device: d.ID, DeviceName: d.Name, Group: d.Group, Operator: by.Operator.ID, OperatorName: by.Operator.Name,
		Reason: reason, Asked: caps, State: signaling.StateRequested, Consent: signaling.ConsentAsk, RequestedAt: time.Now(),
	}
	if s.err == nil {
		s.all[ses.ID] = ses
	}
	return ses, s.err
}

func (s *sessions) Session(_ context.Context, id signaling.SessionID) (session.Session, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	ses, ok := s.all[id]
	if !ok {
		return ses, mdm.ErrNotFound
	}
	return ses, s.err
}

func (s *sessions) Sessions(_ context.Context, f session.Filter) ([]session.Session, string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []session.Session
	for _, ses := range s.all {
		in := f.AllGroups
		for _, g := range f.Groups {
			in = in || g == ses.Group
		}
		if in {
			out = append(out, ses)
		}
	}
	return out, "", s.err
}

func (s *sessions) Timeline(context.Context, signaling.SessionID) ([]session.Entry, error) {
	return []session.Entry{{Seq: 1, At: time.Now(), Kind: session.KindRequested}}, s.err
}

func (s *sessions) End(_ context.Context, _ auth.Caller, id signaling.SessionID, _ string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.all[id].State == signaling.StateEnded {
		return session.ErrEnded
	}
	ses := s.all[id]
	ses.State = signaling.StateEnded
	s.all[id] = ses
	return s.err
}

func (s *sessions) Ask(context.Context, auth.Caller, signaling.SessionID, signaling.CapabilitySet) error {
	return s.err
}

func (s *sessions) Counts(context.Context, []mdm.GroupID, bool) (session.Counts, error) {
	return session.Counts{Live: 1, Waiting: 2}, s.err
}
