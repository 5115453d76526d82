package mdmtest

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"handrail/mdm"
	"handrail/mdm/command"
)

// queue is the suite's grip on a store of commands.
type queue struct {
	t *testing.T
	r *command.Registry
}

func target(n int) command.Target {
	return command.Target{Device: mdm.DeviceID(fmt.Sprintf("dev_%04d", n)), Name: fmt.Sprintf("pc-%d", n), Group: mdm.RootGroup}
}

// order stores a batch for devices and returns its commands, by device.
func (q queue) order(w command.Wanted, at time.Time, targets ...command.Target) (command.Bulk, map[mdm.DeviceID]command.ID) {
	q.t.Helper()
	if w.Kind == "" {
		w.Kind = command.RefreshInventory
	}
	if w.Params == nil {
		w.Params = []byte("{}")
	}
	w.Payload, w.By, w.ByName = "sealed", "op_1", "Ann"
	made := must(q.r.Create(q.t.Context(), w, targets, at))(q.t)
	page := must(q.r.Commands(q.t.Context(), command.Filter{Scope: command.Scope{All: true}, Bulk: made.Bulk.ID, Limit: 500}))(q.t)
	ids := map[mdm.DeviceID]command.ID{}
	for _, c := range page.Commands {
		ids[c.Device] = c.ID
	}
	return made.Bulk, ids
}

func (q queue) claim(d mdm.DeviceID, at time.Time, have ...command.ID) command.Claimed {
	q.t.Helper()
	return must(q.r.Claim(q.t.Context(), d, command.Claim{Have: have}, at))(q.t)
}

func (q queue) finish(d mdm.DeviceID, id command.ID, s command.State, at time.Time) []command.Finished {
	q.t.Helper()
	rs := command.Results{Results: []command.Result{{ID: id, State: s, Message: "said so", Output: "out\x00put", OutputBytes: 7}}}
	if err := rs.Validate(); err != nil {
		q.t.Fatal(err)
	}
	return must(q.r.Finish(q.t.Context(), d, rs, at))(q.t)
}

func (q queue) is(id command.ID, s command.State, why command.Reason) command.Command {
	q.t.Helper()
	c := must(q.r.Command(q.t.Context(), id))(q.t)
	if c.State != s || c.Reason != why {
		q.t.Errorf("command is %s (%s: %s), want %s (%s)", c.State, c.Reason, c.Message, s, why)
	}
	return c
}

func (q queue) counts(b command.Bulk, want command.Counts) {
	q.t.Helper()
	got := must(q.r.Counts(q.t.Context(), b.ID, command.Scope{All: true}))(q.t)
	for _, s := range command.States {
		if got[s] != want[s] {
			q.t.Errorf("counts = %v, want %v", got, want)
			return
		}
	}
}

func nobody(mdm.DeviceID) bool    { return false }
func everybody(mdm.DeviceID) bool { return true }

// RunCommandStore is the suite of command.Store.
func RunCommandStore(t *testing.T, open func(t *testing.T) Store) {
	t.Helper()
	for name, test := range map[string]func(queue){
		"delivery": commandDelivery, "due": commandsDue, "cancel": commandCancel, "supersede": commandSupersede, "approval": commandApproval,
		"bounds": commandBounds, "lists": commandLists, "files": commandFiles, "race": commandRace, "rules": commandRules,
	} {
		t.Run(name, func(t *testing.T) { test(queue{t, command.New(open(t))}) })
	}
}

func commandDelivery(q queue) {
	t := q.t
	b, ids := q.order(command.Wanted{Kind: command.RunScript, RunLimit: time.Minute}, Start, target(1), target(2))
	q.counts(b, command.Counts{command.Queued: 2})
	got := q.claim("dev_0001", Start.Add(time.Second))
	if len(got.Commands) != 1 || got.Commands[0].ID != ids["dev_0001"] || got.Commands[0].Payload != "sealed" || got.Commands[0].Attempts != 1 || got.More {
		t.Fatalf("claim = %+v", got)
	}
	q.counts(b, command.Counts{command.Queued: 1, command.Sent: 1})
	// The answer was lost: it comes again. It has it: it does not.
	if got = q.claim("dev_0001", Start.Add(2*time.Second)); len(got.Commands) != 1 || got.Commands[0].Attempts != 2 {
		t.Errorf("claim after a lost answer = %+v", got)
	}
	if got = q.claim("dev_0001", Start.Add(3*time.Second), ids["dev_0001"]); len(got.Commands) != 0 {
		t.Errorf("claim of one who has it = %+v", got)
	}
	if f := q.finish("dev_0002", ids["dev_0001"], command.Succeeded, Start.Add(4*time.Second)); len(f) != 0 {
		t.Errorf("another device's result was taken: %+v", f)
	}
	if f := q.finish("dev_0001", ids["dev_0001"], command.Succeeded, Start.Add(5*time.Second)); len(f) != 1 || !f[0].Changed {
		t.Errorf("result: %+v", f)
	}
	if f := q.finish("dev_0001", ids["dev_0001"], command.Failed, Start.Add(6*time.Second)); len(f) != 0 {
		t.Errorf("a second result changed something: %+v", f)
	}
	c := q.is(ids["dev_0001"], command.Succeeded, "")
	o := must(q.r.Output(t.Context(), c.ID))(t)
	if !c.HasOutput || o.Text != "output" || o.Total != 7 || !c.FinishedAt.Equal(Start.Add(5*time.Second)) {
		t.Errorf("output = %+v of %+v", o, c)
	}
	q.counts(b, command.Counts{command.Queued: 1, command.Succeeded: 1})
	// Attempts are bounded.
	for i := range command.MaxAttempts + 1 {
		q.claim("dev_0002", Start.Add(time.Duration(i)*time.Second))
	}
	q.is(ids["dev_0002"], command.Failed, command.ReasonAttempts)
	// And yet the device's own word counts, should it come.
	q.finish("dev_0002", ids["dev_0002"], command.Succeeded, Start.Add(time.Hour))
	q.is(ids["dev_0002"], command.Succeeded, "")
	q.counts(b, command.Counts{command.Succeeded: 2})
	// Many: some at a time, oldest first.
	var all []command.ID
	for i := range command.MaxClaim + 2 {
		_, ids := q.order(command.Wanted{}, Start.Add(time.Duration(i)*time.Minute), target(3))
		all = append(all, ids["dev_0003"])
	}
	first := q.claim("dev_0003", Start.Add(time.Hour))
	if len(first.Commands) != command.MaxClaim || !first.More || first.Commands[0].ID != all[0] {
		t.Errorf("first part: %d, more %v", len(first.Commands), first.More)
	}
	rest := q.claim("dev_0003", Start.Add(time.Hour), all[:command.MaxClaim]...)
	if len(rest.Commands) != 2 || rest.More || rest.Commands[1].ID != all[len(all)-1] {
		t.Errorf("the rest: %+v", rest)
	}
}

func commandsDue(q queue) {
	t := q.t
	ctx := t.Context()
	if next := must(q.r.NextWake(ctx))(t); !next.IsZero() {
		t.Errorf("an empty queue wakes at %v", next)
	}
	b, ids := q.order(command.Wanted{TTL: time.Hour, RunLimit: 2 * time.Hour}, Start, target(1), target(2))
	later, lids := q.order(command.Wanted{TTL: time.Hour, NotBefore: Start.Add(30 * time.Minute)}, Start, target(3))
	if !later.ExpiresAt.Equal(Start.Add(90 * time.Minute)) {
		t.Errorf("expiry counts from %v", later.ExpiresAt)
	}
	if got := q.claim("dev_0003", Start.Add(time.Minute)); len(got.Commands) != 0 {
		t.Error("a command came before its time")
	}
	if has := must(q.r.HasCommands(ctx, "dev_0003", Start.Add(time.Minute)))(t); has {
		t.Error("a device is told of what is not yet due")
	}
	if next := must(q.r.NextWake(ctx))(t); !next.Equal(Start.Add(30 * time.Minute)) {
		t.Errorf("wakes at %v, want when the later one may begin", next)
	}
	w := must(q.r.Wake(ctx, Start.Add(30*time.Minute), everybody))(t)
	if !slices.Equal(w.Nudge, []mdm.DeviceID{"dev_0003"}) {
		t.Errorf("nudged %v", w.Nudge)
	}
	// It was nudged and did not come: again, ever more seldom.
	if next := must(q.r.NextWake(ctx))(t); !next.Equal(Start.Add(31 * time.Minute)) {
		t.Errorf("wakes at %v, want a minute later", next)
	}
	q.claim("dev_0001", Start.Add(59*time.Minute))
	w = must(q.r.Wake(ctx, Start.Add(time.Hour), nobody))(t)
	if len(w.Nudge) != 0 || !slices.Contains(w.Bulks, b.ID) {
		t.Errorf("woken = %+v", w)
	}
	q.is(ids["dev_0002"], command.Expired, "")
	q.is(ids["dev_0001"], command.Sent, "") // it may take its run limit
	must(q.r.Wake(ctx, Start.Add(59*time.Minute+2*time.Hour+command.Answer-time.Second), nobody))(t)
	q.is(ids["dev_0001"], command.Sent, "")
	must(q.r.Wake(ctx, Start.Add(59*time.Minute+2*time.Hour+command.Answer), nobody))(t)
	q.is(ids["dev_0001"], command.Failed, command.ReasonNoAnswer)
	q.is(lids["dev_0003"], command.Expired, "")
	q.counts(b, command.Counts{command.Expired: 1, command.Failed: 1})
	q.finish("dev_0001", ids["dev_0001"], command.Succeeded, Start.Add(48*time.Hour))
	q.is(ids["dev_0001"], command.Succeeded, "")
	if next := must(q.r.NextWake(ctx))(t); !next.IsZero() {
		t.Errorf("nothing is open and it wakes at %v", next)
	}
	// A device that comes back is told of what waits, and looked after.
	_, ids = q.order(command.Wanted{}, Start, target(4))
	if has := must(q.r.HasCommands(ctx, "dev_0004", Start.Add(time.Hour)))(t); !has {
		t.Error("nothing waits for a device for which something waits")
	}
	if next := must(q.r.NextWake(ctx))(t); !next.Equal(Start.Add(time.Hour + time.Minute)) {
		t.Errorf("wakes at %v, want a minute after it came back", next)
	}
	// An expired one that a claim finds first does not go out.
	if got := q.claim("dev_0004", Start.Add(command.DefaultTTL)); len(got.Commands) != 0 {
		t.Error("an expired command was sent")
	}
	q.is(ids["dev_0004"], command.Expired, "")
}

func commandCancel(q queue) {
	t := q.t
	ctx := t.Context()
	all := command.Scope{All: true}
	b, ids := q.order(command.Wanted{}, Start, target(1), target(2), target(3))
	q.claim("dev_0001", Start)
	q.claim("dev_0002", Start)
	cancelled, asked, tell, err := q.r.Cancel(ctx, command.Selection{Bulk: b.ID, Scope: all}, "Ann", Start.Add(time.Second))
	slices.Sort(tell)
	if err != nil || cancelled != 1 || asked != 2 || !slices.Equal(tell, []mdm.DeviceID{"dev_0001", "dev_0002"}) {
		t.Errorf("cancel = %d, %d, %v, %v", cancelled, asked, tell, err)
	}
	q.is(ids["dev_0003"], command.Cancelled, "")
	// One has it and is told; the other never got it.
	if got := q.claim("dev_0001", Start, ids["dev_0001"]); !slices.Equal(got.Cancel, []command.ID{ids["dev_0001"]}) {
		t.Errorf("told to cancel %v", got.Cancel)
	}
	if got := q.claim("dev_0002", Start); len(got.Cancel)+len(got.Commands) != 0 {
		t.Errorf("claim = %+v", got)
	}
	q.is(ids["dev_0002"], command.Cancelled, "")
	q.finish("dev_0001", ids["dev_0001"], command.Succeeded, Start) // it was faster
	q.is(ids["dev_0001"], command.Succeeded, "")
	q.counts(b, command.Counts{command.Cancelled: 2, command.Succeeded: 1})
	if cancelled, asked, _, err := q.r.Cancel(ctx, command.Selection{ID: ids["dev_0001"], Scope: all}, "Ann", Start); err != nil || cancelled+asked != 0 {
		t.Errorf("cancel of what is over = %d, %d, %v", cancelled, asked, err)
	}
	_, ids = q.order(command.Wanted{}, Start, target(4))
	if n, _, _, err := q.r.Cancel(ctx, command.Selection{ID: ids["dev_0004"], Scope: command.Scope{Groups: []mdm.GroupID{"grp_other"}}}, "Ann", Start); err != nil || n != 0 {
		t.Errorf("cancel out of scope = %d, %v", n, err)
	}
}

func commandSupersede(q queue) {
	w := command.Wanted{SupersedeKey: "inventory"}
	one, first := q.order(w, Start, target(1), target(2))
	q.claim("dev_0002", Start)
	_, second := q.order(w, Start.Add(time.Second), target(1), target(2))
	q.is(first["dev_0001"], command.Superseded, "")
	q.is(first["dev_0002"], command.Sent, "") // what a device has is not taken back
	q.is(second["dev_0001"], command.Queued, "")
	q.is(second["dev_0002"], command.Queued, "")
	q.counts(one, command.Counts{command.Superseded: 1, command.Sent: 1})
	_, other := q.order(command.Wanted{SupersedeKey: "other"}, Start.Add(time.Second), target(1))
	q.is(second["dev_0001"], command.Queued, "")
	q.is(other["dev_0001"], command.Queued, "")
}

func commandApproval(q queue) {
	t := q.t
	ctx := t.Context()
	b, ids := q.order(command.Wanted{Held: true, TTL: time.Hour}, Start, target(1))
	q.is(ids["dev_0001"], command.Held, "")
	if got := q.claim("dev_0001", Start); len(got.Commands) != 0 {
		t.Error("a held command went out")
	}
	if _, _, err := q.r.Approve(ctx, b.ID, "op_1", "Ann", Start); !errors.Is(err, mdm.ErrConflict) {
		t.Errorf("who ordered it approved it: %v", err)
	}
	approved, tell, err := q.r.Approve(ctx, b.ID, "op_2", "Bob", Start.Add(time.Minute))
	if err != nil || approved.ApprovedName != "Bob" || !slices.Equal(tell, []mdm.DeviceID{"dev_0001"}) {
		t.Errorf("approve = %+v, %v, %v", approved, tell, err)
	}
	q.counts(b, command.Counts{command.Queued: 1})
	if _, _, err := q.r.Approve(ctx, b.ID, "op_3", "Cas", Start); !errors.Is(err, mdm.ErrConflict) {
		t.Errorf("approved twice: %v", err)
	}
	_, ids = q.order(command.Wanted{Held: true, TTL: time.Hour}, Start, target(2))
	must(q.r.Wake(ctx, Start.Add(time.Hour), everybody))(t)
	q.is(ids["dev_0002"], command.Expired, "")
}

func commandBounds(q queue) {
	t := q.t
	ctx := t.Context()
	for range command.MaxOpen {
		q.order(command.Wanted{}, Start, target(1))
	}
	b, ids := q.order(command.Wanted{}, Start, target(1), target(2))
	if b = must(q.r.Bulk(ctx, b.ID))(t); b.Skipped != 1 || b.Devices != 1 || len(ids) != 1 {
		t.Errorf("a full device: %+v", b)
	}
	// What is over is kept for a while, so much of it.
	for i := range command.KeepPerUnit + 20 {
		at := Start.Add(time.Duration(i) * time.Second)
		_, ids := q.order(command.Wanted{}, at, target(3))
		q.claim("dev_0003", at)
		q.finish("dev_0003", ids["dev_0003"], command.Succeeded, at)
	}
	n, after := 0, ""
	for {
		page := must(q.r.Commands(ctx, command.Filter{Scope: command.Scope{All: true}, Device: "dev_0003", After: after, Limit: 150}))(t)
		n += len(page.Commands)
		if after = page.Next; after == "" {
			break
		}
	}
	if n != command.KeepPerUnit {
		t.Errorf("%d commands are kept of a device, want %d", n, command.KeepPerUnit)
	}
	gone, err := q.r.Prune(ctx, Start.Add(command.KeepCommands+command.MaxTTL))
	if err != nil || gone < command.KeepPerUnit {
		t.Errorf("pruned %d, %v", gone, err)
	}
	left := must(q.r.Commands(ctx, command.Filter{Scope: command.Scope{All: true}, Device: "dev_0003"}))(t)
	open := must(q.r.Commands(ctx, command.Filter{Scope: command.Scope{All: true}, Device: "dev_0001", Limit: 500}))(t)
	if len(left.Commands) != 0 || len(open.Commands) != command.MaxOpen {
		t.Errorf("after pruning %d that are over and %d that are open", len(left.Commands), len(open.Commands))
	}
	if bulks := must(q.r.Bulks(ctx, command.BulkFilter{Scope: command.Scope{All: true}, Limit: 500}))(t); len(bulks.Bulks) != command.MaxOpen+1 {
		t.Errorf("%d orders are left, want those that are open", len(bulks.Bulks))
	}
}

func commandLists(q queue) {
	t := q.t
	ctx := t.Context()
	mine, theirs := command.Scope{Groups: []mdm.GroupID{"grp_mine"}}, command.Scope{Groups: []mdm.GroupID{"grp_theirs"}}
	a, b := target(1), target(2)
	a.Group, b.Group = "grp_mine", "grp_theirs"
	both, _ := q.order(command.Wanted{Kind: command.Restart}, Start, a, b)
	only, _ := q.order(command.Wanted{}, Start.Add(time.Second), b)
	page := must(q.r.Commands(ctx, command.Filter{Scope: mine}))(t)
	if len(page.Commands) != 1 || page.Commands[0].Device != a.Device {
		t.Errorf("my commands: %+v", page.Commands)
	}
	if n := must(q.r.Counts(ctx, both.ID, mine))(t); n.Total() != 1 {
		t.Errorf("my part of the order: %v", n)
	}
	bulks := must(q.r.Bulks(ctx, command.BulkFilter{Scope: mine}))(t)
	if len(bulks.Bulks) != 1 || bulks.Bulks[0].ID != both.ID || bulks.Counts[both.ID].Total() != 1 {
		t.Errorf("my orders: %+v", bulks)
	}
	first := must(q.r.Bulks(ctx, command.BulkFilter{Scope: theirs, Limit: 1}))(t)
	if len(first.Bulks) != 1 || first.Bulks[0].ID != only.ID || first.Next == "" {
		t.Fatalf("first page: %+v", first)
	}
	second := must(q.r.Bulks(ctx, command.BulkFilter{Scope: theirs, Limit: 1, After: first.Next}))(t)
	if len(second.Bulks) != 1 || second.Bulks[0].ID != both.ID || second.Next != "" {
		t.Errorf("second page: %+v", second)
	}
	got := must(q.r.Commands(ctx, command.Filter{Scope: command.Scope{All: true}, Kind: command.Restart, States: []command.State{command.Queued}, Limit: 1}))(t)
	if len(got.Commands) != 1 || got.Next == "" {
		t.Errorf("restarts: %+v", got)
	}
	if _, err := q.r.Commands(ctx, command.Filter{Scope: command.Scope{All: true}, After: "nonsense"}); !errors.Is(err, mdm.ErrInvalid) {
		t.Errorf("a broken cursor: %v", err)
	}
	if page := must(q.r.Commands(ctx, command.Filter{}))(t); len(page.Commands) != 0 {
		t.Error("no scope sees something")
	}
}

func commandFiles(q queue) {
	t := q.t
	ctx := t.Context()
	_, ids := q.order(command.Wanted{Kind: command.CollectLogs}, Start, target(1))
	id := ids["dev_0001"]
	for seq, piece := range []string{"one\x00", "two"} {
		if err := q.r.PutPiece(ctx, "dev_0001", id, seq, []byte(piece)); err != nil {
			t.Fatal(err)
		}
	}
	if err := q.r.PutPiece(ctx, "dev_0002", id, 2, []byte("x")); !errors.Is(err, mdm.ErrNotFound) {
		t.Errorf("another device's piece: %v", err)
	}
	if err := q.r.PutPiece(ctx, "dev_0001", id, 0, []byte("new\x00\xff")); err != nil { // begun anew
		t.Fatal(err)
	}
	if err := q.r.SealFile(ctx, id, 5); err != nil {
		t.Fatal(err)
	}
	if b := must(q.r.Piece(ctx, id, 0))(t); string(b) != "new\x00\xff" {
		t.Errorf("piece = %q", b)
	}
	if _, err := q.r.Piece(ctx, id, 1); !errors.Is(err, mdm.ErrNotFound) {
		t.Errorf("a piece of the broken-off bundle is left: %v", err)
	}
	if err := q.r.PutPiece(ctx, "dev_0001", id, 0, []byte("late")); !errors.Is(err, mdm.ErrNotFound) {
		t.Errorf("a whole bundle was changed: %v", err)
	}
	q.finish("dev_0001", id, command.Succeeded, Start)
	must(q.r.Prune(ctx, Start.Add(command.KeepFiles+time.Hour)))(t)
	if c := must(q.r.Command(ctx, id))(t); c.FileBytes != 0 {
		t.Errorf("an old bundle of %d bytes is kept", c.FileBytes)
	}
	if _, err := q.r.Piece(ctx, id, 0); !errors.Is(err, mdm.ErrNotFound) {
		t.Errorf("an old piece is kept: %v", err)
	}
}

// commandRace: claims, results, cancellations and two nodes' looking after at once leave
// every command over once and the counts right.
func commandRace(q queue) {
	t := q.t
	ctx := t.Context()
	var targets []command.Target
	for n := range 40 {
		targets = append(targets, target(n))
	}
	b, ids := q.order(command.Wanted{TTL: time.Hour}, Start, targets...)
	var wg sync.WaitGroup
	for _, tg := range targets {
		wg.Go(func() {
			for _, c := range q.claim(tg.Device, Start).Commands {
				q.finish(tg.Device, c.ID, command.Succeeded, Start)
			}
		})
	}
	for range 2 {
		wg.Go(func() {
			if _, err := q.r.Wake(ctx, Start.Add(time.Hour), nobody); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Go(func() {
		if _, _, _, err := q.r.Cancel(ctx, command.Selection{Bulk: b.ID, Scope: command.Scope{All: true}}, "Ann", Start); err != nil {
			t.Error(err)
		}
	})
	wg.Wait()
	counted := command.Counts{}
	for _, id := range ids {
		c := must(q.r.Command(ctx, id))(t)
		counted[c.State]++
	}
	q.counts(b, counted)
	if counted.Open() != 0 {
		t.Errorf("left open: %v", counted)
	}
}

func commandRules(q queue) {
	t := q.t
	ctx := t.Context()
	good := command.Wanted{Kind: command.Restart, Params: []byte("{}"), Payload: "x"}
	for name, change := range map[string]func(*command.Wanted){
		"kind":    func(w *command.Wanted) { w.Kind = "wipe_everything" },
		"expiry":  func(w *command.Wanted) { w.TTL = time.Second },
		"too far": func(w *command.Wanted) { w.NotBefore = Start.Add(command.MaxAhead + time.Hour) },
		"long":    func(w *command.Wanted) { w.TTL = command.MaxTTL + time.Hour },
		"key":     func(w *command.Wanted) { w.SupersedeKey = strings.Repeat("k", command.MaxKey+1) },
		"params":  func(w *command.Wanted) { w.Params = []byte("{") },
	} {
		w := good
		change(&w)
		if _, err := q.r.Create(ctx, w, []command.Target{target(1)}, Start); !errors.Is(err, mdm.ErrInvalid) {
			t.Errorf("%s: %v, want %v", name, err, mdm.ErrInvalid)
		}
	}
	if _, err := q.r.Create(ctx, good, nil, Start); !errors.Is(err, mdm.ErrInvalid) {
		t.Errorf("no device: %v", err)
	}
	good.Idempotency = "op_1 once"
	one := must(q.r.Create(ctx, good, []command.Target{target(1)}, Start))(t)
	two := must(q.r.Create(ctx, good, []command.Target{target(1)}, Start))(t)
	if !two.Existed || two.Bulk.ID != one.Bulk.ID {
		t.Errorf("the same order twice: %+v", two)
	}
	if _, err := q.r.Command(ctx, "cmd_none"); !errors.Is(err, mdm.ErrNotFound) {
		t.Errorf("no such command: %v", err)
	}
	if f := q.finish("dev_0001", "cmd_none", command.Succeeded, Start); len(f) != 0 {
		t.Errorf("result of nothing: %+v", f)
	}
}
