package command_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	agentcommand "handrail/agent/internal/command"
	"handrail/mdm/command"
)

// childEnv makes the test binary an agent: "gateway's address|directory of the journal".
const childEnv = "HANDRAIL_TEST_EXECUTOR"

// TestMain is an agent instead of tests when it was started as one: a process of its own,
// that can be killed as a real one is.
func TestMain(m *testing.M) {
	if place := os.Getenv(childEnv); place != "" {
		os.Exit(beAgent(place))
	}
	os.Exit(m.Run())
}

func beAgent(place string) int {
	gateway, dir, _ := strings.Cut(place, "|")
	post := func(ctx context.Context, path string, in, out any) error {
		b, err := json.Marshal(in)
		if err != nil {
			return err
		}
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, gateway+path, bytes.NewReader(b))
		if err != nil {
			return err
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			return fmt.Errorf("HTTP %d", resp.StatusCode)
		}
		return json.NewDecoder(resp.Body).Decode(out)
	}
	e, err := agentcommand.New(agentcommand.Config{
		Dir: dir, RetryMin: 10 * time.Millisecond, RetryMax: 50 * time.Millisecond, System: &system{boot: "one"},
		Claim: func(ctx context.Context, c command.Claim) (a command.ClaimAnswer, err error) {
			return a, post(ctx, "/claim", c, &a)
		},
		Report: func(ctx context.Context, r command.Results) (a command.ResultsAnswer, err error) {
			return a, post(ctx, "/results", r, &a)
		},
		Refresh: func(context.Context) error { return nil },
	}, slog.New(slog.DiscardHandler))
	if err != nil {
		return 1
	}
	e.Online()
	e.Nudge()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	if e.Run(ctx) != nil {
		return 1
	}
	return 0
}

// serve puts a gate on the network. before is called before each results request is taken;
// false leaves it without an answer.
func serve(t *testing.T, g *gate, before func(command.Results) bool) string {
	t.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc("/claim", func(w http.ResponseWriter, r *http.Request) {
		var c command.Claim
		if json.NewDecoder(r.Body).Decode(&c) != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		a, err := g.claim(r.Context(), c)
		if err != nil {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		_ = json.NewEncoder(w).Encode(a)
	})
	mux.HandleFunc("/results", func(w http.ResponseWriter, r *http.Request) {
		b, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		rs, err := command.DecodeResults(b)
		if err != nil {
			t.Errorf("results: %v", err)
			return
		}
		if before != nil && !before(rs) {
			panic(http.ErrAbortHandler)
		}
		a, err := g.report(r.Context(), rs)
		if err != nil {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		_ = json.NewEncoder(w).Encode(a)
	})
	s := httptest.NewUnstartedServer(mux)
	s.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelInfo)
	s.Start()
	t.Cleanup(s.Close)
	return s.URL
}

// child is an agent's process.
type child struct {
	cmd  *exec.Cmd
	done chan struct{}
}

func spawn(t *testing.T, url, dir string) *child {
	t.Helper()
	c := &child{cmd: exec.Command(os.Args[0]), done: make(chan struct{})}
	c.cmd.Env = append(os.Environ(), childEnv+"="+url+"|"+dir)
	if err := c.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(c.done)
		_ = c.cmd.Wait()
	}()
	t.Cleanup(c.kill)
	return c
}

// kill is SIGKILL: nothing of the process runs after it.
func (c *child) kill() {
	_ = c.cmd.Process.Kill()
	<-c.done
}

// TestKillBetweenExecutionAndAcknowledgement kills the agent when it has carried a command
// out and its result is on the way, delivers the command once more, and sees it carried out
// once and the result arrive.
func TestKillBetweenExecutionAndAcknowledgement(t *testing.T) {
	dir, lines := journalDir(t), filepath.Join(t.TempDir(), "lines")
	g := newGate()
	reached := make(chan struct{}, 100)
	first := true
	url := serve(t, g, func(command.Results) bool {
		was := first
		first = false
		reached <- struct{}{}
		return !was // the first report is lost with the agent
	})
	id := g.add(command.RunScript, map[string]string{"interpreter": "sh", "body": "echo once >> " + lines})
	c := spawn(t, url, dir)
	<-reached
	c.kill()
	if _, ok := g.result(id); ok {
		t.Fatal("the gateway has the result before the kill")
	}
	spawn(t, url, dir)
	if r := g.await(t, id); r.State != command.Succeeded {
		t.Errorf("%+v", r)
	}
	if b, err := os.ReadFile(lines); err != nil || string(b) != "once\n" {
		t.Errorf("carried out: %q, %v", b, err)
	}
}

// TestKillDuringExecution: what was under way is reported as interrupted, is not done again,
// and nothing of it goes on.
func TestKillDuringExecution(t *testing.T) {
	dir, lines := journalDir(t), filepath.Join(t.TempDir(), "lines")
	g := newGate()
	url := serve(t, g, nil)
	id := g.add(command.RunScript, map[string]string{"interpreter": "sh", "body": "echo $$ >> " + lines + "; sleep 1000; echo over"})
	c := spawn(t, url, dir)
	for {
		if b, err := os.ReadFile(lines); err == nil && len(b) > 0 {
			break
		}
		<-time.After(5 * time.Millisecond)
	}
	c.kill()
	spawn(t, url, dir)
	if r := g.await(t, id); r.State != command.Failed || r.Reason != command.ReasonInterrupted || r.StartedUS == 0 {
		t.Errorf("%+v", r)
	}
	if b, _ := os.ReadFile(lines); strings.Count(string(b), "\n") != 1 {
		t.Errorf("carried out: %q", b)
	}
	alive(t, lines, 1)
}

// TestKillAtAnyMoment kills the agent again and again while it works through many commands:
// every one gets a result, none is carried out twice, and what is reported as done was done.
func TestKillAtAnyMoment(t *testing.T) {
	dir, lines := journalDir(t), filepath.Join(t.TempDir(), "lines")
	g := newGate()
	url := serve(t, g, func(command.Results) bool { return rand.N(3) > 0 })
	var ids []command.ID
	for n := range 40 {
		ids = append(ids, g.add(command.RunScript, map[string]string{"interpreter": "sh", "body": fmt.Sprintf("echo %d >> %s", n, lines)}))
	}
	open := func() int {
		n := 0
		for _, id := range ids {
			if _, ok := g.result(id); !ok {
				n++
			}
		}
		return n
	}
	kills := 0
	most := 200 * time.Millisecond
	for end := time.Now().Add(5 * time.Minute); open() > 0 && time.Now().Before(end); kills++ {
		before := open()
		c := spawn(t, url, dir)
		<-time.After(50*time.Millisecond + rand.N(most))
		c.kill()
		if open() == before { // on a busy machine it may not even have begun
			most = min(most*5/4, 10*time.Second)
		}
	}
	b, err := os.ReadFile(lines)
	if err != nil {
		t.Fatal(err)
	}
	times := map[string]int{}
	for line := range strings.Lines(string(b)) {
		times[strings.TrimSpace(line)]++
	}
	interrupted := 0
	for n, id := range ids {
		r, ok := g.result(id)
		did := times[fmt.Sprint(n)]
		switch {
		case !ok:
			t.Errorf("command %d has no result", n)
		case did > 1:
			t.Errorf("command %d was carried out %d times", n, did)
		case r.State == command.Succeeded && did != 1:
			t.Errorf("command %d succeeded and was carried out %d times", n, did)
		case r.Reason == command.ReasonInterrupted:
			interrupted++
		case r.State != command.Succeeded:
			t.Errorf("command %d: %+v", n, r)
		}
	}
	t.Logf("%d kills, %d of %d commands interrupted", kills, interrupted, len(ids))
}
