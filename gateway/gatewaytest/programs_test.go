package gatewaytest_test

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"handrail/gateway/gatewaytest"
	"handrail/mdm"
)

// programs is where the real gateway and the real agent are.
type programs struct {
	dir string
	err error
}

func TestMain(m *testing.M) {
	code := m.Run()
	if built.dir != "" {
		_ = os.RemoveAll(built.dir)
	}
	os.Exit(code)
}

var (
	built programs
	build sync.Once
)

// program builds the gateway and the agent once, as `make build` does, and returns where
// one of them is.
func program(t *testing.T, name string) string {
	t.Helper()
	if dir := os.Getenv("HANDRAIL_TEST_PROGRAMS"); dir != "" {
		return filepath.Join(dir, name) // in a namespace: built before
	}
	build.Do(func() {
		if built.dir, built.err = os.MkdirTemp("", "handrail-programs-*"); built.err != nil { //nolint:usetesting // of all tests
			return
		}
		for _, p := range []struct{ out, pkg, cgo string }{{"handrail-gateway", "handrail/gateway", "0"}, {"handrail-agent", "handrail/agent", "1"}} {
			cmd := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", filepath.Join(built.dir, p.out), p.pkg) //nolint:noctx // once for all tests
			cmd.Env = append(os.Environ(), "CGO_ENABLED="+p.cgo)
			if out, err := cmd.CombinedOutput(); err != nil {
				built.err = fmt.Errorf("build %s: %w\n%s", p.pkg, err, out)
				return
			}
		}
	})
	if built.err != nil {
		t.Fatal(built.err)
	}
	return filepath.Join(built.dir, name)
}

// process is a program that can be killed and started again.
type process struct {
	t    *testing.T
	path string
	args []string
	env  []string
	log  string

	through []string // another program that becomes this one

	mu     sync.Mutex
	cmd    *exec.Cmd
	wanted bool // by who started it: until it is ended
}

// begin starts the program and returns its standard output.
func (p *process) begin() io.Reader {
	p.t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	argv := append(append([]string{}, p.through...), append([]string{p.path}, p.args...)...)
	p.cmd = exec.Command(argv[0], argv[1:]...) //nolint:noctx // killed by the test, at a moment of its choice
	p.cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + p.t.TempDir()}, p.env...)
	f, err := os.OpenFile(p.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		p.t.Fatal(err)
	}
	defer f.Close() // the child has its own
	p.cmd.Stderr = f
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		p.t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	return out
}

// end sends a signal and waits until the program is gone. It does nothing when it is.
func (p *process) end(s os.Signal) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.wanted = false
	if p.cmd == nil {
		return
	}
	_ = p.cmd.Process.Signal(s)
	_ = p.cmd.Wait() // the signal's
	p.cmd = nil
}

// kill is the end without a moment to tidy up.
func (p *process) kill() { p.end(os.Kill) }

// kept shows the program's log when the test failed.
func (p *process) kept(name string) {
	p.t.Cleanup(func() {
		p.kill()
		if p.t.Failed() {
			b, _ := os.ReadFile(p.log)
			p.t.Logf("log of %s:\n%s", name, b[max(0, len(b)-8<<10):])
		}
	})
}

// realGateway is the gateway's program.
type realGateway struct {
	process
	url   string
	setup string // token of the link, of a fresh one
}

// startGateway starts a gateway on a directory, or a PostgreSQL.
func startGateway(t *testing.T, data string, args ...string) *realGateway {
	t.Helper()
	g := &realGateway{process: process{t: t, path: program(t, "handrail-gateway"), log: filepath.Join(data, "gateway.log")}}
	g.args = append([]string{"run", "--data", data, "--listen", "127.0.0.1:0", "--turn-listen", "off"}, args...)
	g.kept("the gateway")
	g.start()
	return g
}

// start starts it and waits until it is ready; the second time on the same port.
func (g *realGateway) start() {
	g.t.Helper()
	lines := bufio.NewScanner(g.begin())
	ready := make(chan string, 1)
	go func() {
		if lines.Scan() {
			ready <- lines.Text()
		}
		close(ready)
		for lines.Scan() { //nolint:revive // read to the end so that it never blocks
		}
	}()
	select {
	case line := <-ready:
		_, at, ok := strings.Cut(line, "http")
		if !ok {
			g.t.Fatalf("the gateway says %q", line)
		}
		u, err := url.Parse("http" + at)
		if err != nil {
			g.t.Fatal(err)
		}
		g.setup, u.Fragment, u.Path = u.Fragment, "", ""
		g.url = u.String()
		for i, a := range g.args {
			if a == "--listen" {
				g.args[i+1] = u.Host
			}
		}
	case <-time.After(2 * time.Minute):
		g.t.Fatal("the gateway is not ready after two minutes")
	}
}

// admin sets a fresh gateway up and returns its administrator.
func (g *realGateway) admin() console {
	g.t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		g.t.Fatal(err)
	}
	over := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}} //nolint:gosec // its own authority; agents are the ones that check
	c := console{t: g.t, g: &gatewaytest.Gateway{URL: g.url}, http: &http.Client{Jar: jar, Transport: sameOrigin{over}, Timeout: time.Minute}}
	c.must(http.MethodPost, "/api/setup", object{
		"token": g.setup, "organisation": "Example Ltd", "name": "Ada Admin", "email": gatewaytest.AdminEmail, "password": gatewaytest.AdminPassword,
	}, nil)
	return c
}

// sameOrigin sends the origin a page of the gateway would.
type sameOrigin struct{ over http.RoundTripper }

// RoundTrip implements http.RoundTripper.
func (s sameOrigin) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("Origin", r.URL.Scheme+"://"+r.URL.Host)
	return s.over.RoundTrip(r)
}

// front is what stands between devices and gateways, as a load balancer does. It knows
// where a device's request is, and lets a test act there.
type front struct {
	*httptest.Server
	mu   sync.Mutex
	to   *url.URL
	at   func(moment string) // nil: nothing happens
	seen map[string]int      // moments that were
	open []net.Conn          // of devices
}

// Moments of front.at: a request of a device that has not reached the gateway yet, and one
// that was answered, of which the device has not heard yet.
const (
	beforeFetch  = "before GET /agent/manifest"
	afterFetch   = "after GET /agent/manifest"
	beforeStatus = "before POST /agent/status"
	afterStatus  = "after POST /agent/status"
)

func newFront(t *testing.T, to string) *front {
	t.Helper()
	f := &front{seen: map[string]int{}}
	f.move(to)
	proxy := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			f.mu.Lock()
			defer f.mu.Unlock()
			r.SetURL(f.to)
		},
		ModifyResponse: func(r *http.Response) error {
			if r.StatusCode < 300 {
				f.reached("after " + r.Request.Method + " " + r.Request.URL.Path)
			}
			return nil
		},
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadGateway) },
		Transport:    &http.Transport{DisableKeepAlives: true},
	}
	f.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f.reached("before " + r.Method + " " + r.URL.Path)
		defer func() { _ = recover() }() // a body that ends with its gateway
		proxy.ServeHTTP(w, r)
	}))
	f.Config.ConnState = func(c net.Conn, s http.ConnState) {
		if s == http.StateNew {
			f.mu.Lock()
			defer f.mu.Unlock()
			f.open = append(f.open, c)
		}
	}
	f.Start()
	t.Cleanup(func() {
		f.cut()
		f.Close()
	})
	return f
}

// cut ends what devices are connected with; they come again.
func (f *front) cut() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, c := range f.open {
		_ = c.Close() // most are closed already
	}
	f.open = nil
}

// move sends what comes from now on to another gateway.
func (f *front) move(to string) {
	u, err := url.Parse(to)
	if err != nil {
		panic(err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.to = u
}

func (f *front) reached(moment string) {
	f.mu.Lock()
	f.seen[moment]++
	at := f.at
	f.mu.Unlock()
	if at != nil {
		at(moment)
	}
}

// once has do happen at the next such moment, and returns what is closed when it has.
func (f *front) once(moment string, do func()) <-chan struct{} {
	done := make(chan struct{})
	var first sync.Once
	f.mu.Lock()
	defer f.mu.Unlock()
	f.at = func(m string) {
		if m != moment {
			return
		}
		first.Do(func() {
			do()
			close(done)
		})
	}
	return done
}

// count is how often a moment was reached.
func (f *front) count(moment string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.seen[moment]
}

// awaitMoment waits for a moment to have been.
func awaitMoment(t *testing.T, what string, done <-chan struct{}) {
	t.Helper()
	select {
	case <-done:
	case <-time.After(2 * time.Minute):
		t.Fatalf("no %s in two minutes", what)
	}
}

// realAgent is the agent's program, on a tree of its own.
type realAgent struct {
	process
	id    mdm.DeviceID
	state string
}

// startAgent enrolls a device and starts its agent.
func startAgent(t *testing.T, gateway, token string) *realAgent {
	t.Helper()
	return startAgentIn(t, t.TempDir(), nil, []string{"--gateway", gateway, "--token", token})
}

// startAgentIn is startAgent with its state below a directory, through another program, as
// `ip netns exec`, with arguments of enroll and of run.
func startAgentIn(t *testing.T, below string, through, enroll []string, args ...string) *realAgent {
	t.Helper()
	logs, dir := t.TempDir(), filepath.Join(below, "state")
	a := &realAgent{state: dir, process: process{t: t, path: program(t, "handrail-agent"), log: filepath.Join(logs, "agent.log"), through: through}}
	mark := mdm.NewID("hw")
	a.args = append([]string{"enroll", "--state", dir, "--fingerprint", mark}, enroll...)
	out, err := io.ReadAll(a.begin())
	if err := errors.Join(err, a.cmd.Wait()); err != nil {
		b, _ := os.ReadFile(a.log)
		t.Fatalf("enroll: %v\n%s%s", err, out, b)
	}
	from, to := bytes.IndexByte(out, '('), bytes.IndexByte(out, ')')
	if from < 0 || to < from {
		t.Fatalf("enroll says %q", out)
	}
	a.id = mdm.DeviceID(out[from+1 : to])
	if !slices.Contains(args, "--root") { // its inventory is of that tree too: looking at this machine's packages takes long
		root := filepath.Join(dir, "root")
		if err := os.MkdirAll(root, 0o755); err != nil { //nolint:gosec // as on a system
			t.Fatal(err)
		}
		args = append(slices.Clone(args), "--root", root)
	}
	a.args = append([]string{"run", "--state", dir, "--fingerprint", mark, "--companion", "off"}, args...)
	a.kept("the agent")
	a.start()
	return a
}

// start starts the agent and, as a service manager does, starts it again when it ends by
// itself: a killed one's child may hold the lock of the state directory for a moment.
func (a *realAgent) start() {
	out := a.begin()
	a.mu.Lock()
	cmd := a.cmd
	a.wanted = true
	a.mu.Unlock()
	go func() {
		_, _ = io.Copy(io.Discard, out)
		a.mu.Lock()
		again := a.wanted && a.cmd == cmd
		if again {
			_ = cmd.Wait()
			a.cmd = nil
		}
		a.mu.Unlock()
		if !again {
			return
		}
		<-time.After(200 * time.Millisecond)
		a.mu.Lock()
		again = a.wanted && a.cmd == nil
		a.mu.Unlock()
		if again {
			a.start()
		}
	}()
}

// tree is every file below the device's /etc, with its content.
func (a *realAgent) tree() map[string]string {
	a.t.Helper()
	out := map[string]string{}
	root := filepath.Join(a.state, "root")
	err := filepath.WalkDir(filepath.Join(root, "etc"), func(p string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(p)
		out[strings.TrimPrefix(p, root)] = string(b)
		return err
	})
	if err != nil {
		a.t.Fatal(err)
	}
	return out
}

// token makes one for a number of devices.
func (c console) token(uses int) string {
	c.t.Helper()
	var made struct{ Token string }
	c.must(http.MethodPost, "/api/enrollment-tokens", object{"group_id": mdm.RootGroup, "uses": uses, "ttl_seconds": 3600}, &made)
	return made.Token
}
