package store_test

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"testing"
	"time"

	"handrail/gateway/internal/store"
	"handrail/mdm"
	"handrail/mdm/command"
)

// killEnv makes this test's process a gateway that does nothing but commands, in the
// directory it names, until it is killed.
const killEnv = "HANDRAIL_TEST_COMMANDS"

func killDevice(n int) mdm.DeviceID { return mdm.DeviceID(fmt.Sprintf("dev_%02d", n)) }

const killDevices = 10

func beGateway(dir string) error {
	s, err := store.Open(context.Background(), store.Config{Dir: dir}, slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	r := command.New(s)
	ctx := context.Background()
	for round := 0; ; round++ {
		targets := make([]command.Target, killDevices)
		for i := range targets {
			targets[i] = command.Target{Device: killDevice(i), Name: "pc", Group: mdm.RootGroup}
		}
		w := command.Wanted{Kind: command.Restart, Params: []byte("{}"), Payload: "x", TTL: time.Hour}
		if round%3 == 0 {
			w.SupersedeKey = "restart"
		}
		made, err := r.Create(ctx, w, targets, time.Now())
		if err != nil {
			return err
		}
		for i := range killDevices {
			got, err := r.Claim(ctx, killDevice(i), command.Claim{}, time.Now())
			if err != nil {
				return err
			}
			for _, c := range got.Commands {
				rs := command.Results{Results: []command.Result{{ID: c.ID, State: command.Succeeded, Output: "done"}}}
				if _, err := r.Finish(ctx, killDevice(i), rs, time.Now()); err != nil {
					return err
				}
			}
		}
		if round%5 == 4 {
			if _, _, _, err := r.Cancel(ctx, command.Selection{Bulk: made.Bulk.ID, Scope: command.Scope{All: true}}, "Ann", time.Now()); err != nil {
				return err
			}
		}
	}
}

// TestKilledGatewayLeavesNoHalves kills a gateway's process at any moment of its dealings with
// commands: the boards agree with the commands, no order is half there, and what is open
// can be brought to an end.
func TestKilledGatewayLeavesNoHalves(t *testing.T) {
	if dir := os.Getenv(killEnv); dir != "" {
		t.Fatal(beGateway(dir))
	}
	dir := t.TempDir()
	for range 8 {
		cmd := exec.Command(os.Args[0], "-test.run=^TestKilledGatewayLeavesNoHalves$")
		cmd.Env = append(os.Environ(), killEnv+"="+dir)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		<-time.After(150*time.Millisecond + rand.N(250*time.Millisecond))
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}
	s, err := store.Open(t.Context(), store.Config{Dir: dir}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	r, all := command.New(s), command.Scope{All: true}
	page, err := r.Bulks(t.Context(), command.BulkFilter{Scope: all, Limit: 500})
	if err != nil {
		t.Fatal(err)
	}
	open := 0
	for _, b := range page.Bulks {
		list, err := r.Commands(t.Context(), command.Filter{Scope: all, Bulk: b.ID, Limit: 500})
		if err != nil {
			t.Fatal(err)
		}
		counted := command.Counts{}
		for _, c := range list.Commands {
			counted[c.State]++
		}
		if len(list.Commands) != killDevices || b.Devices != killDevices {
			t.Errorf("order %s has %d commands of %d", b.ID, len(list.Commands), b.Devices)
		}
		for _, st := range command.States {
			if counted[st] != page.Counts[b.ID][st] {
				t.Errorf("order %s: board %v, commands %v", b.ID, page.Counts[b.ID], counted)
				break
			}
		}
		open += int(counted.Open())
	}
	if open > 0 {
		if next, err := r.NextWake(t.Context()); err != nil || next.IsZero() {
			t.Errorf("%d commands are open and nobody looks after them (%v)", open, err)
		}
	}
	for range 100 {
		w, err := r.Wake(t.Context(), time.Now().Add(48*time.Hour), func(mdm.DeviceID) bool { return false })
		if err != nil {
			t.Fatal(err)
		}
		if !w.More {
			break
		}
	}
	if next, err := r.NextWake(t.Context()); err != nil || !next.IsZero() {
		t.Errorf("something is stuck until %v (%v)", next, err)
	}
	t.Logf("%d orders, %d commands were open at the last kill", len(page.Bulks), open)
}
