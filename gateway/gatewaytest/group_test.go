package gatewaytest_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"testing"
	"time"

	"handrail/gateway/gatewaytest"
)

// call makes one request of the API and returns the status and the answer.
func call(ctx context.Context, c *http.Client, method, url string, body any) (int, map[string]any, error) {
	data, err := json.Marshal(body)
	if err != nil {
		return 0, nil, err
	}
	r, err := http.NewRequestWithContext(ctx, method, url, bytes.NewReader(data))
	if err != nil {
		return 0, nil, err
	}
	r.Header.Set("Content-Type", "application/json")
	resp, err := c.Do(r)
	if err != nil {
		return 0, nil, err
	}
	defer resp.Body.Close()
	out := map[string]any{}
	if err := json.NewDecoder(resp.Body).Decode(&out); err != nil {
		return 0, nil, fmt.Errorf("%s %s: %s: %w", method, url, resp.Status, err)
	}
	return resp.StatusCode, out, nil
}

// What the API has made is there for the next request, whoever else asks meanwhile, and
// although other requests are given up in the middle, as browsers do that leave a page.
func TestAGroupJustMadeCanBeChanged(t *testing.T) {
	g := gatewaytest.Start(t, gatewaytest.Options{NoRelay: true})
	readYourGroups(t, g, g, 10)
}

// The other node sees it too: every request looks at the one database.
func TestAGroupJustMadeCanBeChangedAtAnotherNode(t *testing.T) {
	g := gatewaytest.Start(t, gatewaytest.Options{NoRelay: true, Postgres: true, Cluster: true})
	readYourGroups(t, g, gatewaytest.Start(t, gatewaytest.Options{NoRelay: true, Peer: g}), 6)
}

// readYourGroups makes groups at one node and changes each at once at the other.
func readYourGroups(t *testing.T, g, other *gatewaytest.Gateway, rounds int) {
	t.Helper()
	admin, there := g.Admin(), other.Admin()
	ctx, cancel := context.WithCancel(t.Context())
	idle := make(chan struct{})
	go func() {
		defer close(idle)
		for n := 0; ctx.Err() == nil; n++ {
			short, stop := context.WithTimeout(ctx, time.Duration(n%50)*100*time.Microsecond)
			_, _, _ = call(short, admin, http.MethodGet, g.URL+"/api/groups", nil)
			stop()
		}
	}()
	errs := make(chan error)
	for worker := range 4 {
		go func() { errs <- makeAndChange(ctx, admin, g.URL, there, other.URL, worker, rounds) }()
	}
	for range 4 {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
	cancel()
	<-idle
}

func makeAndChange(ctx context.Context, here *http.Client, hereURL string, there *http.Client, thereURL string, worker, rounds int) error {
	for n := range rounds {
		name := fmt.Sprintf("group %d-%d", worker, n)
		status, made, err := call(ctx, here, http.MethodPost, hereURL+"/api/groups", map[string]any{"parent_id": "grp_root", "name": name})
		if err != nil {
			return err
		}
		if status != http.StatusCreated {
			return fmt.Errorf("make %s: %d %v", name, status, made)
		}
		at := fmt.Sprintf("%s/api/groups/%v", thereURL, made["id"])
		status, changed, err := call(ctx, there, http.MethodPatch, at, map[string]any{"name": name + "!"})
		if err != nil {
			return err
		}
		if status != http.StatusOK {
			return fmt.Errorf("change %s: %d %v", name, status, changed)
		}
	}
	return nil
}
