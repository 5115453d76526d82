package gatewaytest_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"handrail/gateway/gatewaytest"
	"handrail/gateway/internal/store"
	"handrail/gateway/internal/store/storetest"
	"handrail/mdm"
	"handrail/mdm/manifest"
)

// patience is how long anything may take after an accident. A node that dies holds its work
// for a lease of 15 s, and machines that test are slow.
const patience = 3 * time.Minute

// shop is a gateway's program with the agents' programs behind a front, and a policy whose
// n-th version says n everywhere.
type shop struct {
	t        *testing.T
	c        console
	front    *front
	gateways []*realGateway
	agents   []*realAgent
	db       *postgresServer // nil: SQLite
	policy   string
	n        int
	dir      string // of what the policy's script uses
}

func openShop(t *testing.T, agents int, db *postgresServer) *shop {
	t.Helper()
	s := &shop{t: t, db: db, dir: t.TempDir()}
	g := startGateway(t, t.TempDir(), s.database()...)
	s.gateways = []*realGateway{g}
	s.c, s.front = g.admin(), newFront(t, g.url)
	token := s.c.token(agents)
	for range agents {
		s.agents = append(s.agents, startAgent(t, s.front.URL, token))
	}
	s.policy = s.c.policy("Everything", s.settings(), string(mdm.RootGroup))
	return s
}

func (s *shop) database() []string {
	if s.db == nil {
		return nil
	}
	return []string{"--database", s.db.url}
}

// settings are those of version n: a text, files, and a script whose fix waits at the gate
// while that is shut.
func (s *shop) settings() []object {
	out := []object{{"id": "motd.banner", "value": object{"text": fmt.Sprint("version ", s.n)}}}
	for path, content := range s.files() {
		if path != "/etc/motd" {
			out = append(out, object{"id": "file.content/" + filepath.Base(path), "value": object{"path": path, "content": content, "validate": "none"}})
		}
	}
	fix := `if test -e GATE; then touch WAITING; while test -e GATE; do sleep 0.05; done; fi; echo N >DONE`
	words := strings.NewReplacer("GATE", s.gate(), "WAITING", filepath.Join(s.dir, "waiting"), "DONE", filepath.Join(s.dir, "done"), "N", fmt.Sprint(s.n))
	return append(out, object{"id": "script.check/gate", "value": object{
		"interpreter": "sh", "check": words.Replace(`test "$(cat DONE)" = N`), "fix": words.Replace(fix), "timeout_seconds": 600,
	}})
}

func (s *shop) gate() string { return filepath.Join(s.dir, "gate") }

// files is a device's tree under version n.
func (s *shop) files() map[string]string {
	out := map[string]string{"/etc/motd": fmt.Sprintf("version %d\n", s.n)}
	for i := range 12 { // each version also brings a file and takes one away
		out[fmt.Sprintf("/etc/shop/of-%d/f%d", s.n+i, s.n+i)] = strings.Repeat(fmt.Sprintf("version %d of file %d\n", s.n, s.n+i), 200)
	}
	return out
}

// edit writes the next version; publish makes it everybody's.
func (s *shop) edit() {
	s.t.Helper()
	s.n++
	s.c.must(http.MethodPut, "/api/policies/"+s.policy+"/draft", object{"settings": s.settings()}, nil)
}

func (s *shop) publish() {
	s.t.Helper()
	s.c.must(http.MethodPost, "/api/policies/"+s.policy+"/publish", object{}, nil)
}

// try asks without minding whether there is an answer.
func (s *shop) try(method, path string, in, out any) bool {
	b, err := json.Marshal(in)
	if err != nil {
		s.t.Error(err)
		return false
	}
	rq, err := http.NewRequestWithContext(s.t.Context(), method, s.c.g.URL+path, bytes.NewReader(b))
	if err != nil {
		s.t.Error(err)
		return false
	}
	rq.Header.Set("Content-Type", "application/json")
	rq.Header.Set("If-Match", "*")
	resp, err := s.c.http.Do(rq)
	if err != nil {
		return false
	}
	defer resp.Body.Close()
	b, err = io.ReadAll(resp.Body)
	return err == nil && resp.StatusCode < 300 && (out == nil || json.Unmarshal(b, out) == nil)
}

// until asks until ok, for as long as patience lasts.
func (s *shop) until(what string, ok func() bool) {
	s.t.Helper()
	for end := time.Now().Add(patience); !ok(); {
		if time.Now().After(end) {
			s.t.Fatalf("version %d: not %s after %v", s.n, what, patience)
		}
		<-time.After(50 * time.Millisecond)
	}
}

// settled waits until the newest version is published, on every device, and reported.
func (s *shop) settled() {
	s.t.Helper()
	s.until("published", func() bool { // an administrator who got no answer looks, and tries again
		var p struct{ Draft *struct{} }
		return s.try(http.MethodGet, "/api/policies/"+s.policy, nil, &p) && (p.Draft == nil || s.try(http.MethodPost, "/api/policies/"+s.policy+"/publish", object{}, nil))
	})
	for _, a := range s.agents {
		var last deviceSettings
		s.until("applied and reported by "+string(a.id), func() bool {
			last = deviceSettings{}
			return s.try(http.MethodGet, "/api/devices/"+string(a.id)+"/settings", nil, &last) && applied(14)(last) &&
				s.newest(last)
		})
		if got := a.tree(); !maps.Equal(got, s.files()) {
			s.t.Errorf("version %d: the device has %.2000v\nwant %.2000v", s.n, got, s.files())
		}
		s.holds(a)
	}
}

func (s *shop) newest(d deviceSettings) bool {
	for _, one := range d.Settings {
		if one.ID == "motd.banner" {
			return strings.Contains(string(one.Value), fmt.Sprintf(`"version %d"`, s.n))
		}
	}
	return false
}

// holds checks that the manifest on the device is the one it must be, whole.
func (s *shop) holds(a *realAgent) {
	s.t.Helper()
	b, err := os.ReadFile(filepath.Join(a.state, "enforce", "manifest.json"))
	if err != nil {
		s.t.Fatal(err)
	}
	m, err := manifest.Decode(b)
	if err != nil || len(m.Settings) != 14 || !bytes.Contains(b, fmt.Appendf(nil, `version %d"`, s.n)) {
		s.t.Errorf("version %d: the device's manifest is %.300s: %v", s.n, b, err)
	}
}

// store opens the database beside the gateways.
func (s *shop) store() *store.Store {
	s.t.Helper()
	cfg := store.Config{Dir: s.gateways[0].args[2]}
	if s.db != nil {
		cfg = store.Config{URL: s.db.url}
	}
	st, err := store.Open(s.t.Context(), cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		s.t.Fatal(err)
	}
	return st
}

// closed stops the gateways in order, and looks into the database for what is left to do.
func (s *shop) closed() {
	s.t.Helper()
	for _, g := range s.gateways {
		g.end(syscall.SIGTERM)
	}
	st := s.store()
	defer st.Close()
	if busy, err := st.HasWork(s.t.Context()); err != nil || busy {
		s.t.Errorf("work is left (%v, %v)", busy, err)
	}
	if list, err := st.Unreported(s.t.Context(), "", time.Now().Add(time.Hour), 10); err != nil || len(list) > 0 {
		s.t.Errorf("devices owe a report: %+v, %v", list, err)
	}
}

// soon waits for a random moment.
func soon(most time.Duration) { <-time.After(rand.N(most)) }

// accident is what happens while a version is published and carried out.
type accident struct {
	name string
	do   func(s *shop)
}

// killGateway ends the gateway and starts it again.
func (s *shop) killGateway() {
	s.gateways[0].kill()
	s.gateways[0].start()
}

func (s *shop) killAgents() {
	for _, a := range s.agents {
		a.kill()
	}
	for _, a := range s.agents {
		a.start()
	}
}

func (s *shop) killDatabase() {
	s.db.kill()
	s.db.start()
}

// at has something killed when a device's request gets to a moment, and started again.
func at(moment string, kill func(s *shop), restart func(s *shop)) func(s *shop) {
	return func(s *shop) {
		done := s.front.once(moment, func() { kill(s) })
		// A request of the version before may come first, and what it has killed takes no
		// publication: settled sees to that.
		s.try(http.MethodPost, "/api/policies/"+s.policy+"/publish", object{}, nil)
		awaitMoment(s.t, moment, done)
		restart(s)
	}
}

// while has kill happen soon after somebody began to publish.
func while(most time.Duration, kill func(s *shop)) func(s *shop) {
	return func(s *shop) {
		asked := make(chan struct{})
		go func() {
			defer close(asked)
			s.try(http.MethodPost, "/api/policies/"+s.policy+"/publish", object{}, nil)
		}()
		soon(most)
		kill(s)
		<-asked
	}
}

// after has kill happen soon after the answer to who published.
func after(most time.Duration, kill func(s *shop)) func(s *shop) {
	return func(s *shop) {
		s.publish()
		soon(most)
		kill(s)
	}
}

// inTheMiddle shuts the gate, so that each device has written down that it begins and has
// not ended, and has something happen then.
func inTheMiddle(do func(s *shop)) func(s *shop) {
	return func(s *shop) {
		waiting := filepath.Join(s.dir, "waiting")
		_ = os.Remove(waiting)
		if err := os.WriteFile(s.gate(), nil, 0o600); err != nil {
			s.t.Fatal(err)
		}
		s.publish()
		s.until("in the middle of it", func() bool {
			_, err := os.Stat(waiting)
			return err == nil
		})
		do(s)
		if err := os.Remove(s.gate()); err != nil {
			s.t.Fatal(err)
		}
	}
}

func accidents(database bool) []accident {
	killG, startG := func(s *shop) { s.gateways[0].kill() }, func(s *shop) { s.gateways[0].start() }
	killA := func(s *shop) {
		for _, a := range s.agents {
			a.kill()
		}
	}
	startA := func(s *shop) {
		for _, a := range s.agents {
			a.start()
		}
	}
	out := []accident{
		{"gateway while it publishes", while(15*time.Millisecond, (*shop).killGateway)},
		{"gateway while it resolves and tells", after(40*time.Millisecond, (*shop).killGateway)},
		{"gateway at any moment", after(600*time.Millisecond, (*shop).killGateway)},
		{"gateway before it hears of a fetch", at(beforeFetch, killG, startG)},
		{"gateway before a device has the answer to a fetch", at(afterFetch, killG, startG)},
		{"gateway before it hears a status", at(beforeStatus, killG, startG)},
		{"gateway before a device hears that its status is kept", at(afterStatus, killG, startG)},
		{"gateway while devices apply", inTheMiddle((*shop).killGateway)},
		{"agents before the gateway hears of a fetch", at(beforeFetch, killA, startA)},
		{"agents before they have the answer to a fetch", at(afterFetch, killA, startA)},
		{"agents at any moment of applying", after(400*time.Millisecond, (*shop).killAgents)},
		{"agents at another moment of applying", after(800*time.Millisecond, (*shop).killAgents)},
		{"agents between the journal and the end", inTheMiddle((*shop).killAgents)},
		{"agents before the gateway hears a status", at(beforeStatus, killA, startA)},
		{"agents before they hear that their status is kept", at(afterStatus, killA, startA)},
		{"both", after(300*time.Millisecond, func(s *shop) {
			killG(s)
			s.killAgents()
			startG(s)
		})},
	}
	if database {
		killD, startD := func(s *shop) { s.db.kill() }, func(s *shop) { s.db.start() }
		out = append(out,
			accident{"database while somebody publishes", while(15*time.Millisecond, (*shop).killDatabase)},
			accident{"database while the gateway resolves and tells", after(40*time.Millisecond, (*shop).killDatabase)},
			accident{"database at any moment", after(600*time.Millisecond, (*shop).killDatabase)},
			accident{"database before a fetch", at(beforeFetch, killD, startD)},
			accident{"database before a status", at(beforeStatus, killD, startD)},
			accident{"database while devices apply", inTheMiddle((*shop).killDatabase)},
			accident{"database and gateway", after(300*time.Millisecond, func(s *shop) {
				killD(s)
				killG(s)
				startD(s)
				startG(s)
			})},
		)
	}
	return out
}

// TestNothingIsStuck kills the real programs at every step between an administrator who
// publishes and the gateway that has every status. Whatever dies, the devices come to the
// newest version, with nothing else on them, and nothing is left to do.
func TestNothingIsStuck(t *testing.T) {
	run := func(t *testing.T, db *postgresServer) {
		t.Helper()
		s := openShop(t, 2, db)
		s.publish()
		s.settled()
		for _, a := range accidents(db != nil) {
			began := time.Now()
			s.edit()
			a.do(s)
			s.settled()
			t.Logf("killed: %s: well after %v", a.name, time.Since(began).Round(10*time.Millisecond))
		}
		s.removedInTheMiddle()
		s.manyEditsAway()
		s.closed()
	}
	t.Run("sqlite", func(t *testing.T) { run(t, nil) })
	if storetest.HasPostgres() {
		t.Run("postgres", func(t *testing.T) { run(t, startPostgres(t)) })
	}
}

// removedInTheMiddle takes the policy off while devices apply it, and puts it back.
func (s *shop) removedInTheMiddle() {
	s.t.Helper()
	s.edit()
	inTheMiddle(func(s *shop) {
		s.c.must(http.MethodPost, "/api/policies/"+s.policy+"/activate", object{"version": 0}, nil)
	})(s)
	for _, a := range s.agents {
		s.until("free of the removed policy", func() bool {
			var d deviceSettings
			return s.try(http.MethodGet, "/api/devices/"+string(a.id)+"/settings", nil, &d) && d.Current && len(d.Settings) == 0
		})
		if left := a.tree(); len(left) > 0 {
			s.t.Errorf("after the removal the device has %.500v", left)
		}
	}
	s.edit()
	s.publish()
	s.settled()
}

// manyEditsAway publishes 20 versions while no device is there.
func (s *shop) manyEditsAway() {
	s.t.Helper()
	for _, a := range s.agents {
		a.end(syscall.SIGTERM)
	}
	for range 20 {
		s.edit()
		s.publish()
	}
	st := s.store()
	s.until("resolved", func() bool {
		busy, err := st.HasWork(s.t.Context())
		return err == nil && !busy
	})
	if err := st.Close(); err != nil {
		s.t.Error(err)
	}
	before := s.front.count(afterFetch)
	for _, a := range s.agents {
		a.start()
	}
	s.settled()
	// Once each, but for a device whose link broke on a busy machine before it had the answer.
	if n := s.front.count(afterFetch) - before; n < len(s.agents) || n > 3*len(s.agents) {
		s.t.Errorf("%d devices fetched %d times after 20 edits while they were away, want once each", len(s.agents), n)
	}
}

// TestDevicesMoveToTheOtherGateway publishes at one node for devices at another, which dies.
func TestDevicesMoveToTheOtherGateway(t *testing.T) {
	if !storetest.HasPostgres() {
		t.Log("no PostgreSQL given: `make test` runs this")
		return
	}
	here := gatewaytest.FreePort(t)
	s := &shop{t: t, db: startPostgres(t), dir: t.TempDir()}
	data := t.TempDir()
	one := startGateway(t, data, append(s.database(), "--cluster-listen", here)...)
	two := startGateway(t, t.TempDir(), append(s.database(), "--cluster-listen", gatewaytest.FreePort(t), "--cluster-peers", here, "--secret-key-file", filepath.Join(data, "secret.key"))...)
	s.gateways = []*realGateway{one, two}
	s.c, s.front = one.admin(), newFront(t, two.url)
	token := s.c.token(2)
	for range 2 {
		s.agents = append(s.agents, startAgent(t, s.front.URL, token))
	}
	s.policy = s.c.policy("Everything", s.settings(), string(mdm.RootGroup))
	s.publish()
	s.settled()
	if s.front.count(afterFetch) == 0 {
		t.Error("no device fetched through the other node")
	}
	for _, moment := range []string{"", beforeFetch, afterFetch, beforeStatus} {
		s.edit()
		if moment == "" {
			s.publish()
			soon(100 * time.Millisecond)
			two.kill()
		} else {
			at(moment, func(*shop) { two.kill() }, func(*shop) {})(s)
		}
		s.front.move(one.url)
		s.settled()
		t.Logf("killed: the devices' node %q: well on the other", moment)
		two.start()
		s.front.move(two.url)
		s.front.cut() // they come back by way of the other
	}
	s.edit()
	s.publish()
	s.settled()
	s.closed()
}
