package gatewaytest_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"handrail/gateway/gatewaytest"
	"handrail/gateway/internal/store/storetest"
	"handrail/mdm"
	"handrail/mdm/manifest"
	"handrail/signaling"
	"handrail/signaling/client"
)

// managed is a device that does as an agent does: fetches its manifest when told to, and
// reports on it.
type managed struct {
	t       *testing.T
	g       *gatewaytest.Gateway
	Device  gatewaytest.Device
	agent   *gatewaytest.Agent
	fetches atomic.Int64
	answer  func(manifest.Setting) manifest.Status // nil: everything is applied

	mu    sync.Mutex
	have  manifest.Manifest
	token string
}

// connect brings the device online at a gateway; again, on another, is as if it moved.
func (m *managed) connect(g *gatewaytest.Gateway) {
	m.g = g
	nudges := make(chan signaling.Nudge, 1024)
	m.agent = g.StartAgent(m.Device, func(c *client.Config) {
		c.Manifest = func() string {
			m.mu.Lock()
			defer m.mu.Unlock()
			return m.have.Hash
		}
		c.OnMessage = func(e signaling.Envelope) {
			if n, ok := e.Body.(signaling.Nudge); ok && n.What == signaling.NudgeManifest {
				nudges <- n
			}
		}
		online := c.OnState
		c.OnState = func(s client.State) {
			if s.Phase == client.Online {
				m.mu.Lock()
				m.token = s.Welcome.AccessToken
				m.mu.Unlock()
			}
			online(s)
		}
	})
	m.agent.AwaitPhase(client.Online)
	done := make(chan struct{})
	m.t.Cleanup(func() { close(done) })
	go func() {
		for {
			select {
			case n := <-nudges:
				m.nudged(n)
			case <-done:
				return
			}
		}
	}()
}

func (m *managed) nudged(n signaling.Nudge) {
	m.mu.Lock()
	have := m.have
	m.mu.Unlock()
	if n.Hash != have.Hash {
		status, b := m.ask(http.MethodGet, signaling.PathAgentManifest, nil)
		if status != http.StatusOK {
			return // the gateway is away: the next greeting tells again
		}
		m.fetches.Add(1)
		var err error
		if have, err = manifest.Decode(b); err != nil {
			m.t.Errorf("manifest: %v", err)
			return
		}
		m.mu.Lock()
		m.have = have
		m.mu.Unlock()
	}
	m.report(have)
}

func (m *managed) report(have manifest.Manifest) {
	r := manifest.Report{Generation: have.Generation, Hash: have.Hash, Full: true}
	for _, s := range have.Settings {
		st := manifest.Status{ID: s.ID, State: manifest.Applied, Observed: json.RawMessage(`{"seen":true}`), Source: s.Source, AtUS: 1}
		if m.answer != nil {
			st = m.answer(s)
		}
		r.Statuses = append(r.Statuses, st)
	}
	b, err := json.Marshal(r)
	if err != nil {
		m.t.Error(err)
	}
	m.ask(http.MethodPost, signaling.PathAgentStatus, b)
}

func (m *managed) ask(method, path string, b []byte) (int, []byte) {
	m.mu.Lock()
	token := m.token
	m.mu.Unlock()
	rq, err := http.NewRequest(method, m.g.URL+path, bytes.NewReader(b)) //nolint:noctx // outlives the test's context by a moment
	if err != nil {
		m.t.Error(err)
		return 0, nil
	}
	rq.Header.Set("Authorization", "Bearer "+token)
	rq.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(rq)
	if err != nil {
		return 0, nil
	}
	defer resp.Body.Close()
	out, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, nil
	}
	return resp.StatusCode, out
}

// console is an administrator who writes policies.
type console struct {
	t    *testing.T
	g    *gatewaytest.Gateway
	http *http.Client
}

// call asks and decodes the answer into out; it returns the status and the ETag.
func (c console) call(method, path, match string, in, out any) (int, string) {
	c.t.Helper()
	var rd io.Reader
	if in != nil {
		b, err := json.Marshal(in)
		if err != nil {
			c.t.Fatal(err)
		}
		rd = bytes.NewReader(b)
	}
	rq, err := http.NewRequestWithContext(c.t.Context(), method, c.g.URL+path, rd)
	if err != nil {
		c.t.Fatal(err)
	}
	rq.Header.Set("Content-Type", "application/json")
	if match != "" {
		rq.Header.Set("If-Match", match)
	}
	resp, err := c.http.Do(rq)
	if err != nil {
		c.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	if out != nil && resp.StatusCode < 300 {
		if err := json.Unmarshal(b, out); err != nil {
			c.t.Fatalf("%s %s: %v: %s", method, path, err, b)
		}
	}
	if resp.StatusCode >= 300 {
		c.t.Logf("%s %s: %d %s", method, path, resp.StatusCode, b)
	}
	return resp.StatusCode, resp.Header.Get("ETag")
}

// must is call that fails the test on any error, taking any revision.
func (c console) must(method, path string, in, out any) string {
	c.t.Helper()
	status, etag := c.call(method, path, "*", in, out)
	if status >= 300 {
		c.t.Fatalf("%s %s: %d", method, path, status)
	}
	return etag
}

type object = map[string]any

func lock(seconds int) []object {
	return []object{{"id": "screen.lock", "value": object{"enabled": true, "idle_seconds": seconds}}}
}

func (c console) policy(name string, settings []object, groups ...string) string {
	c.t.Helper()
	var made struct{ ID string }
	c.must(http.MethodPost, "/api/policies", object{"name": name, "settings": settings}, &made)
	if len(groups) > 0 {
		c.must(http.MethodPut, "/api/policies/"+made.ID+"/assignments", object{"assignments": []object{
			{"include": object{"groups": groups}, "exclude": object{}, "priority": 10},
		}}, nil)
	}
	return made.ID
}

type deviceSettings struct {
	Generation int64
	Current    bool
	Settings   []struct {
		ID       string
		State    string
		Message  string
		Value    json.RawMessage
		Observed json.RawMessage
		Leaving  bool
		Policy   *struct {
			ID, Name string
			Version  int64
		}
		Claims []struct {
			Won bool
			Via struct {
				Group     string
				GroupPath []string `json:"group_path"`
			}
		}
	}
}

// awaitSettings asks until the device's settings are as wanted.
func (c console) awaitSettings(id, what string, ok func(deviceSettings) bool) deviceSettings {
	c.t.Helper()
	var last deviceSettings
	deadline := time.Now().Add(time.Minute)
	for time.Now().Before(deadline) {
		last = deviceSettings{}
		c.must(http.MethodGet, "/api/devices/"+id+"/settings", nil, &last)
		if ok(last) {
			return last
		}
		<-time.After(20 * time.Millisecond)
	}
	c.t.Fatalf("%s: not %s after 20 s but %+v", id, what, last)
	return last
}

func applied(n int) func(deviceSettings) bool {
	return func(s deviceSettings) bool {
		if !s.Current || len(s.Settings) != n {
			return false
		}
		for _, one := range s.Settings {
			if one.State != "applied" || one.Leaving {
				return false
			}
		}
		return true
	}
}

func eachDatabase(t *testing.T, test func(t *testing.T, o gatewaytest.Options)) {
	t.Helper()
	t.Run("sqlite", func(t *testing.T) { test(t, gatewaytest.Options{NoRelay: true}) })
	if storetest.HasPostgres() {
		t.Run("postgres", func(t *testing.T) { test(t, gatewaytest.Options{NoRelay: true, Postgres: true}) })
	}
}

func TestPolicyReachesADevice(t *testing.T) {
	eachDatabase(t, func(t *testing.T, o gatewaytest.Options) {
		t.Helper()
		g := gatewaytest.Start(t, o)
		c := console{t, g, g.Admin()}
		group := g.Group("Office")
		m := &managed{t: t, Device: g.Enroll("desk", group)}
		m.connect(g)

		id := c.policy("Screen lock", lock(300), string(group))
		c.must(http.MethodPost, "/api/policies/"+id+"/publish", object{"note": "first"}, nil)
		s := c.awaitSettings(string(m.Device.ID), "applied", applied(1))
		one := s.Settings[0]
		if one.ID != "screen.lock" || one.Policy == nil || one.Policy.ID != id || one.Policy.Version != 1 || one.Policy.Name != "Screen lock" ||
			string(one.Observed) != `{"seen":true}` || len(one.Claims) != 1 || !one.Claims[0].Won || one.Claims[0].Via.Group != string(group) {
			t.Errorf("setting = %+v", one)
		}
		if n := m.fetches.Load(); n != 1 {
			t.Errorf("%d fetches, want 1", n)
		}
		// A new version that changes nothing is no news to the device.
		c.must(http.MethodPut, "/api/policies/"+id+"/draft", object{"settings": lock(300)}, nil)
		c.must(http.MethodPost, "/api/policies/"+id+"/publish", object{}, nil)
		c.awaitSettings(string(m.Device.ID), "under version 2", func(s deviceSettings) bool {
			return len(s.Settings) == 1 && s.Settings[0].Policy.Version == 2 && s.Settings[0].State == "applied"
		})
		if n := m.fetches.Load(); n != 1 {
			t.Errorf("%d fetches after a version that changes nothing, want 1", n)
		}
		// Taken off: the manifest is empty, and the full report forgets the setting.
		c.must(http.MethodPost, "/api/policies/"+id+"/activate", object{"version": 0}, nil)
		c.awaitSettings(string(m.Device.ID), "gone", applied(0))
		if n := m.fetches.Load(); n != 2 {
			t.Errorf("%d fetches after the removal, want 2", n)
		}
	})
}

func TestOfflineEditsAreOneFetch(t *testing.T) {
	eachDatabase(t, func(t *testing.T, o gatewaytest.Options) {
		t.Helper()
		g := gatewaytest.Start(t, o)
		c := console{t, g, g.Admin()}
		group := g.Group("Office")
		m := &managed{t: t, Device: g.Enroll("desk", group)}
		id := c.policy("Screen lock", lock(100), string(group))
		for i := range 20 {
			c.must(http.MethodPut, "/api/policies/"+id+"/draft", object{"settings": lock(60 + i)}, nil)
			c.must(http.MethodPost, "/api/policies/"+id+"/publish", object{"note": fmt.Sprint(i)}, nil)
		}
		c.awaitResolved(string(m.Device.ID), 79)
		m.connect(g)
		c.awaitSettings(string(m.Device.ID), "applied", applied(1))
		if n := m.fetches.Load(); n != 1 {
			t.Errorf("%d fetches after 20 edits while away, want 1", n)
		}
		m.agent.Stop()
		m.connect(g)
		c.awaitSettings(string(m.Device.ID), "applied", applied(1))
		if n := m.fetches.Load(); n != 1 {
			t.Errorf("%d fetches after coming back with nothing new, want 1", n)
		}
	})
}

// awaitResolved waits until the gateway has resolved a device to a lock after so many seconds.
func (c console) awaitResolved(id string, seconds int) {
	c.t.Helper()
	want := fmt.Sprintf(`"idle_seconds":%d`, seconds)
	deadline := time.Now().Add(time.Minute)
	for time.Now().Before(deadline) {
		m, err := c.g.Rooms.Desire.Manifest(c.t.Context(), mdm.DeviceID(id))
		if err != nil {
			c.t.Fatal(err)
		}
		if len(m.Settings) == 1 && bytes.Contains(m.Settings[0].Value, []byte(want)) {
			return
		}
		<-time.After(10 * time.Millisecond)
	}
	c.t.Fatalf("%s is not resolved after 20 s", id)
}

// awaitTrue asks until ok, and fails the test after 20 s.
func awaitTrue(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(time.Minute)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("not %s after 20 s", what)
		}
		<-time.After(20 * time.Millisecond)
	}
}
