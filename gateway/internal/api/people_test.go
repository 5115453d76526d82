package api_test

import (
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"handrail/gateway/internal/api"
	"handrail/gateway/internal/auth"
	"handrail/gateway/internal/store"
	"handrail/gateway/internal/store/storetest"
)

func TestSetupHappensOnce(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		t.Helper()
		g := newGateway(t, s)
		token, needed, err := g.auth.SetupToken(t.Context())
		if err != nil || !needed {
			t.Fatalf("SetupToken = %v, %v", needed, err)
		}
		if again, _, err := g.auth.SetupToken(t.Context()); err != nil || again != token {
			t.Errorf("a second start prints another link (%v)", err)
		}
		g.client().want(http.StatusOK, http.MethodGet, "/api/setup", nil, nil)
		in := map[string]string{"token": "guess", "organisation": "Acme", "name": "Ada", "email": "ada@example.org", "password": password}
		g.client().want(http.StatusForbidden, http.MethodPost, "/api/setup", in, nil)
		in["token"] = token
		var ok atomic.Int64
		var wg sync.WaitGroup
		for range 3 {
			c := g.client()
			wg.Go(func() {
				switch got := c.do(http.MethodPost, "/api/setup", in, nil); got {
				case http.StatusOK:
					ok.Add(1)
				case http.StatusNotFound, http.StatusConflict:
				default:
					t.Errorf("setup = %d", got)
				}
			})
		}
		wg.Wait()
		if ok.Load() != 1 {
			t.Errorf("%d setups succeeded at once, want 1", ok.Load())
		}
		for _, m := range []string{http.MethodGet, http.MethodPost} {
			if got := g.client().do(m, "/api/setup", in, nil); got != http.StatusNotFound {
				t.Errorf("%s /api/setup after setup = %d, want 404", m, got)
			}
		}
		if _, needed, err := g.auth.SetupToken(t.Context()); needed || err != nil {
			t.Errorf("setup still needed: %v, %v", needed, err)
		}
	})
}

func TestSignInAndOut(t *testing.T) {
	g := newGateway(t, storetest.Open(t))
	admin := g.admin()
	c := g.client()
	in := map[string]string{"email": " ADA@example.org ", "password": password}
	status, head := c.send(http.MethodPost, "/api/sign-in", in, nil)
	cookie := head.Get("Set-Cookie")
	if status != http.StatusOK {
		t.Fatalf("sign in = %d", status)
	}
	for _, flag := range []string{"HttpOnly", "SameSite=Strict", "Path=/", auth.CookieName + "="} {
		if !strings.Contains(cookie, flag) {
			t.Errorf("cookie %q lacks %s", cookie, flag)
		}
	}
	var me api.Me
	c.want(http.StatusOK, http.MethodGet, "/api/me", nil, &me)
	if me.Organisation != "Acme" || me.Name != "Ada" || len(me.Grants) != 1 || me.Grants[0].GroupName != "All devices" {
		t.Errorf("me = %+v", me)
	}
	c.want(http.StatusForbidden, http.MethodPost, "/api/me/password", map[string]string{"current": "wrong", "next": "another long one"}, nil)
	c.want(http.StatusUnprocessableEntity, http.MethodPost, "/api/me/password", map[string]string{"current": password, "next": "aaaaaaaaaaaa"}, nil)
	c.want(http.StatusNoContent, http.MethodPost, "/api/me/password", map[string]string{"current": password, "next": "another long one"}, nil)
	c.want(http.StatusOK, http.MethodGet, "/api/me", nil, nil)
	if got := admin.do(http.MethodGet, "/api/me", nil, nil); got != http.StatusUnauthorized {
		t.Errorf("another browser of the operator after a password change: %d, want 401", got)
	}
	old := cookieOf(t, g, c)
	c.want(http.StatusNoContent, http.MethodPost, "/api/sign-out", nil, nil)
	if got := c.do(http.MethodGet, "/api/me", nil, nil); got != http.StatusUnauthorized {
		t.Errorf("after signing out: %d, want 401", got)
	}
	thief := g.client()
	setCookie(t, g, thief, old)
	if got := thief.do(http.MethodGet, "/api/me", nil, nil); got != http.StatusUnauthorized {
		t.Errorf("a kept cookie after signing out: %d, want 401", got)
	}
}

func cookieOf(t *testing.T, g *gateway, c *client) string {
	t.Helper()
	u, err := url.Parse(g.server.URL)
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range c.http.Jar.Cookies(u) {
		if k.Name == auth.CookieName {
			return k.Value
		}
	}
	t.Fatal("no cookie")
	return ""
}

func setCookie(t *testing.T, g *gateway, c *client, value string) {
	t.Helper()
	u, err := url.Parse(g.server.URL)
	if err != nil {
		t.Fatal(err)
	}
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	jar.SetCookies(u, []*http.Cookie{{Name: auth.CookieName, Value: value}})
	c.http.Jar = jar
}

func TestSignInsEnd(t *testing.T) {
	g := newGateway(t, storetest.Open(t))
	admin := g.admin()
	tech := admin.operator("tech", grant("technician", "grp_root"))
	var me api.Me
	tech.want(http.StatusOK, http.MethodGet, "/api/me", nil, &me)
	admin.want(http.StatusOK, http.MethodPatch, "/api/operators/"+me.ID, map[string]bool{"disabled": true}, nil)
	if got := tech.do(http.MethodGet, "/api/me", nil, nil); got != http.StatusUnauthorized {
		t.Errorf("a disabled operator: %d, want 401", got)
	}
	if got := g.client().do(http.MethodPost, "/api/sign-in", map[string]string{"email": me.Email, "password": password}, nil); got != http.StatusUnauthorized {
		t.Errorf("sign-in of a disabled operator: %d, want 401", got)
	}
	for range 4 { // in use, it lives
		g.pass(5 * time.Hour)
		admin.want(http.StatusOK, http.MethodGet, "/api/me", nil, nil)
	}
	g.pass(8 * time.Hour)
	if got := admin.do(http.MethodGet, "/api/me", nil, nil); got != http.StatusUnauthorized {
		t.Errorf("after 8 idle hours: %d, want 401", got)
	}
}

func TestSignInSlowsDown(t *testing.T) {
	g := newGateway(t, storetest.Open(t))
	g.admin()
	wrong := map[string]string{"email": "ada@example.org", "password": "not the password"}
	c := g.client()
	for n := range 5 {
		if got := c.do(http.MethodPost, "/api/sign-in", wrong, nil); got != http.StatusUnauthorized {
			t.Fatalf("attempt %d = %d, want 401", n, got)
		}
	}
	var p api.Problem
	status, head := c.send(http.MethodPost, "/api/sign-in", wrong, &p)
	if status != http.StatusTooManyRequests || p.Code != "rate_limited" || p.RetryAfterMS <= 0 || head.Get("Retry-After") == "" {
		t.Errorf("sixth attempt = %d %+v", status, p)
	}
	wrong["password"] = password
	if got := c.do(http.MethodPost, "/api/sign-in", wrong, nil); got != http.StatusTooManyRequests {
		t.Errorf("the right password while slowed down = %d, want 429", got)
	}
	g.pass(time.Minute)
	c.want(http.StatusOK, http.MethodPost, "/api/sign-in", wrong, nil)
}

func TestOtherSitesAreRefused(t *testing.T) {
	g := newGateway(t, storetest.Open(t))
	admin := g.admin()
	for name, head := range map[string]http.Header{
		"origin":     {"Origin": {"https://evil.example"}},
		"fetch site": {"Sec-Fetch-Site": {"cross-site"}},
		"same site":  {"Sec-Fetch-Site": {"same-site"}, "Origin": {"http://other.127.0.0.1"}},
		"null":       {"Origin": {"null"}},
	} {
		admin.head = head
		if got := admin.do(http.MethodPost, "/api/groups", map[string]string{"parent_id": "grp_root", "name": "x"}, nil); got != http.StatusForbidden {
			t.Errorf("%s: %d, want 403", name, got)
		}
	}
	admin.head = http.Header{"Origin": {g.server.URL}, "Sec-Fetch-Site": {"same-origin"}}
	admin.want(http.StatusCreated, http.MethodPost, "/api/groups", map[string]string{"parent_id": "grp_root", "name": "x"}, nil)
}

func TestHeadersAndPages(t *testing.T) {
	g := newGateway(t, storetest.Open(t))
	for _, path := range []string{"/api/me", "/api/docs", "/api/openapi.yaml", "/nothing", "/api/docs.css"} {
		res, err := http.Get(g.server.URL + path) //nolint:noctx // a test
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		policy := res.Header.Get("Content-Security-Policy")
		if !strings.Contains(policy, "script-src 'self';") || strings.Contains(policy, "unsafe-eval") || res.Header.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: policy %q, nosniff %q", path, policy, res.Header.Get("X-Content-Type-Options"))
		}
		if res.Header.Get("Cache-Control") == "" {
			t.Errorf("%s may be cached by anybody", path)
		}
	}
}

func TestSocketTicketsWorkOnceOnAnyNode(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		t.Helper()
		g := newGateway(t, s)
		admin := g.admin()
		ticket := func() string {
			var b api.TicketBody
			admin.want(http.StatusOK, http.MethodPost, "/api/socket-ticket", nil, &b)
			return b.Ticket
		}
		cookie := cookieOf(t, g, admin)
		one := ticket()
		var ok atomic.Int64
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				if _, err := g.auth.RedeemTicket(t.Context(), cookie, one); err == nil {
					ok.Add(1)
				}
			})
		}
		wg.Wait()
		if ok.Load() != 1 {
			t.Errorf("one ticket was good %d times", ok.Load())
		}
		if _, err := g.auth.RedeemTicket(t.Context(), "another cookie", ticket()); err == nil {
			t.Error("a ticket is good for another sign-in")
		}
		late := ticket()
		g.pass(time.Minute)
		if _, err := g.auth.RedeemTicket(t.Context(), cookie, late); err == nil {
			t.Error("a ticket is good after a minute")
		}
	})
}
