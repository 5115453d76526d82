package daemon_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"handrail/gateway/gatewaytest"
	"handrail/mdm"
	"handrail/mdm/command"
)

// machine is a system that can be restarted as often as a test likes.
type machine struct {
	mu       sync.Mutex
	boot     string
	restarts int
	services []string
}

func (m *machine) BootID() (string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.boot, nil
}
func (m *machine) CanPower() error { return nil }
func (m *machine) Restart(context.Context) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.restarts++
	return nil
}
func (m *machine) Shutdown(context.Context) error { return nil }
func (m *machine) SignOut(context.Context, string) (string, error) {
	return "signed out ann", nil
}

func (m *machine) RestartService(_ context.Context, unit string) (string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.services = append(m.services, unit)
	return unit + " is active", nil
}

func (m *machine) Journal(_ context.Context, _ time.Duration, _ string, w io.Writer) error {
	_, err := io.WriteString(w, "the journal\n")
	return err
}

// call does one request as a client and decodes the answer into out.
func call(t *testing.T, g *gatewaytest.Gateway, c *http.Client, method, path string, in, out any) int {
	t.Helper()
	b, err := json.Marshal(in)
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(t.Context(), method, g.URL+path, bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err = io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode/100 != 2 {
		t.Logf("%s %s: %d %s", method, path, resp.StatusCode, b)
	} else if out != nil {
		if err := json.Unmarshal(b, out); err != nil {
			t.Fatalf("%s %s: %v in %s", method, path, err, b)
		}
	}
	return resp.StatusCode
}

// ordered is what the API answers to an order.
type ordered struct {
	BulkID   string `json:"bulk_id"`
	Commands []shown
}

// shown is a command as the API shows it.
type shown struct {
	ID, State, Reason, Message, Output string
	ExitCode                           *int  `json:"exit_code"`
	BundleBytes                        int64 `json:"bundle_bytes"`
}

func (d *device) order(c *http.Client, kind command.Kind, parameters any) string {
	d.t.Helper()
	var out ordered
	in := map[string]any{"devices": []string{string(d.id)}, "kind": kind, "parameters": parameters}
	if code := call(d.t, d.g, c, http.MethodPost, "/api/commands", in, &out); code != http.StatusCreated || len(out.Commands) != 1 {
		d.t.Fatalf("order of %s: %d, %+v", kind, code, out)
	}
	return out.Commands[0].ID
}

func (d *device) outcome(c *http.Client, id string) shown {
	d.t.Helper()
	var s shown
	d.until("end of "+id, func() bool {
		call(d.t, d.g, c, http.MethodGet, "/api/commands/"+id, nil, &s)
		return !command.State(s.State).IsOpen()
	})
	return s
}

func TestCommandsAreCarriedOut(t *testing.T) {
	g := gatewaytest.Start(t, gatewaytest.Options{NoRelay: true})
	d := newDevice(t, g, mdm.RootGroup)
	d.stop()
	m := &machine{boot: "first"}
	d.cfg.System = m
	d.start()
	admin := g.Admin()
	id := d.order(admin, command.RunScript, map[string]any{
		"interpreter": "sh", "body": "echo hello $PARAM_WHO; echo oops >&2; exit 3", "parameters": map[string]string{"who": "world; $(id)"},
	})
	if s := d.outcome(admin, id); s.State != "failed" || s.Reason != "exit_code" || s.ExitCode == nil || *s.ExitCode != 3 || s.Output != "hello world; $(id)\noops\n" {
		t.Errorf("script: %+v", s)
	}
	if s := d.outcome(admin, d.order(admin, command.RestartService, map[string]any{"unit": "cups"})); s.State != "succeeded" || s.Message != "cups is active" {
		t.Errorf("service: %+v", s)
	}
	if s := d.outcome(admin, d.order(admin, command.RefreshInventory, nil)); s.State != "succeeded" {
		t.Errorf("inventory: %+v", s)
	}
	id = d.order(admin, command.CollectLogs, map[string]any{"files": []string{"/var/log/dpkg.log"}})
	s := d.outcome(admin, id)
	if s.State != "succeeded" || s.BundleBytes == 0 {
		t.Errorf("logs: %+v", s)
	}
	resp, err := admin.Get(g.URL + "/api/commands/" + id + "/bundle")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if b, err := io.ReadAll(resp.Body); err != nil || int64(len(b)) != s.BundleBytes || !strings.HasPrefix(string(b), "\x1f\x8b") {
		t.Errorf("bundle: %d bytes, %v, want %d of gzip", len(b), err, s.BundleBytes)
	}
}
