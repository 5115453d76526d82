package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"handrail/agent/internal/state"
	"handrail/gateway/gatewaytest"
	"handrail/mdm"
	"handrail/mdm/enroll"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"handrail-agent": main})
}

// TestScripts runs the program against a real gateway, as testdata/script says.
//
//	token NAME fresh|spent|expired|revoked   puts a token in $NAME
//	gateway stop|start                       as SIGTERM and a new start do
//	revoke DIR                               revokes the device enrolled in DIR
//	eventually DIR REGEXP                    waits until status of DIR says so
//	edit DIR KEY VALUE                       changes a field of the enrollment record
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(e *testscript.Env) error {
			g := gatewaytest.Start(e.T().(testing.TB), gatewaytest.Options{NoRelay: true, Heartbeat: time.Second})
			e.Values["gateway"] = g
			e.Setenv("GATEWAY", g.URL)
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"token": cmdToken, "gateway": cmdGateway, "revoke": cmdRevoke, "eventually": cmdEventually, "edit": cmdEdit,
		},
		RequireUniqueNames: true,
	})
}

func gatewayOf(ts *testscript.TestScript) *gatewaytest.Gateway {
	return ts.Value("gateway").(*gatewaytest.Gateway)
}

func cmdToken(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: token NAME fresh|spent|expired|revoked")
	}
	g := gatewayOf(ts)
	now, uses := time.Now(), int64(10)
	switch args[1] {
	case "expired":
		now = now.Add(-2 * time.Hour)
	case "spent":
		uses = 1
	}
	t, text, err := g.Rooms.Enroll.Create(context.Background(), enroll.Wanted{Group: mdm.RootGroup, Uses: uses, TTL: time.Hour, By: "test"}, now)
	ts.Check(err)
	ts.Setenv(args[0], text)
	switch args[1] {
	case "spent":
		ts.Check(ts.Exec("handrail-agent", "enroll", "--gateway", g.URL, "--token", text, "--state", "other", "--fingerprint", mdm.NewID("hw")))
	case "revoked":
		ts.Check(g.Rooms.Enroll.Revoke(context.Background(), t.ID, time.Now()))
	}
}

func cmdGateway(ts *testscript.TestScript, neg bool, args []string) {
	g := gatewayOf(ts)
	switch {
	case len(args) == 1 && args[0] == "stop":
		g.Stop()
	case len(args) == 1 && args[0] == "start":
		g.Restart()
	default:
		ts.Fatalf("usage: gateway stop|start")
	}
}

func cmdRevoke(ts *testscript.TestScript, neg bool, args []string) {
	gatewayOf(ts).Revoke(mdm.DeviceID(record(ts, args[0]).Device))
}

func record(ts *testscript.TestScript, dir string) state.Enrollment {
	d, err := state.Open(ts.MkAbs(dir))
	ts.Check(err)
	e, err := d.Enrollment()
	ts.Check(err)
	return e
}

func cmdEventually(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: eventually DIR REGEXP")
	}
	want := regexp.MustCompile(args[1])
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	end := time.After(2 * time.Minute)
	for {
		var out bytes.Buffer
		run(context.Background(), []string{"status", "--state", ts.MkAbs(args[0])}, &out, &out)
		if want.Match(out.Bytes()) {
			return
		}
		select {
		case <-tick.C:
		case <-end:
			ts.Fatalf("status never matched %q; it says:\n%s", args[1], out.String())
		}
	}
}

func cmdEdit(ts *testscript.TestScript, neg bool, args []string) {
	file := filepath.Join(ts.MkAbs(args[0]), state.EnrollmentFile)
	b, err := os.ReadFile(file)
	ts.Check(err)
	var m map[string]any
	ts.Check(json.Unmarshal(b, &m))
	m[args[1]] = args[2]
	b, err = json.Marshal(m)
	ts.Check(err)
	ts.Check(os.WriteFile(file, b, 0o600))
}
