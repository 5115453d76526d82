package policy_test

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"handrail/mdm"
	"handrail/mdm/manifest"
	"handrail/mdm/policy"
)

// in is one policy that reaches a device: its settings as id, value, id, value…
func in(t testing.TB, c *policy.Catalogue, id policy.ID, priority, depth int, pairs ...string) policy.Input {
	t.Helper()
	var settings []policy.Setting
	for i := 0; i < len(pairs); i += 2 {
		settings = append(settings, policy.Setting{ID: manifest.ID(pairs[i]), Value: []byte(pairs[i+1])})
	}
	valid, problems := c.ValidateAll(settings)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	compiled, _ := c.Compile(id, strings.ToUpper(string(id)), 3, valid)
	return policy.Input{Compiled: compiled, Assignment: policy.AssignmentID("asg_" + id), Priority: priority, Via: policy.Via{Depth: depth}}
}

func TestResolve(t *testing.T) {
	c := policy.Standard()
	p := func(id policy.ID, priority, depth int, pairs ...string) policy.Input {
		return in(t, c, id, priority, depth, pairs...)
	}
	for _, tt := range []struct {
		name   string
		inputs []policy.Input
		id     manifest.ID
		value  string // "" for a conflict
		source string // policy id
		won    string // policies that gave something, by rank
		words  string // of the conflict
		tied   bool
	}{
		{"alone, with defaults", []policy.Input{p("a", 0, 0, "screen.lock", `{"idle_seconds":60}`)}, "screen.lock", `{"enabled":true,"idle_seconds":60,"lock_delay_seconds":0,"lock_on_suspend":true}`, "a", "a", "", false},
		{"the strictest of each field", []policy.Input{
			p("a", 9, 0, "passcode.quality", `{"min_length":8,"max_repeat":2}`), p("b", 0, 0, "passcode.quality", `{"min_length":14,"max_repeat":5,"enforce_root":true}`),
		}, "passcode.quality", `{"enforce_root":true,"max_repeat":2,"min_length":14}`, "", "a b", "", false},
		{"the strictest is one policy's", []policy.Input{p("a", 9, 0, "screen.lock", `{"idle_seconds":900}`), p("b", 0, 0, "screen.lock", `{"idle_seconds":60}`)}, "screen.lock", `{"enabled":true,"idle_seconds":60,"lock_delay_seconds":0,"lock_on_suspend":true}`, "b", "b", "", false},
		{"false is stricter, a choice too", []policy.Input{
			p("a", 9, 0, "ssh.server", `{"password_authentication":true,"permit_root_login":"prohibit-password"}`), p("b", 0, 0, "ssh.server", `{"password_authentication":false,"permit_root_login":"no"}`),
		}, "ssh.server", `{"password_authentication":false,"permit_root_login":"no"}`, "b", "b", "", false},
		{"users in all lists", []policy.Input{p("a", 9, 0, "ssh.server", `{"allow_users":["ada","bob"]}`), p("b", 0, 0, "ssh.server", `{"allow_users":["bob","eve"]}`)}, "ssh.server", `{"allow_users":["bob"]}`, "", "a b", "", false},
		{"nobody in all lists", []policy.Input{p("a", 9, 0, "ssh.server", `{"allow_users":["ada"]}`), p("b", 0, 0, "ssh.server", `{"allow_users":["bob"]}`)}, "ssh.server", "", "", "", "nobody in common", false},
		{"sense is lost together", []policy.Input{p("a", 9, 0, "passcode.ageing", `{"max_days":30}`), p("b", 0, 0, "passcode.ageing", `{"min_days":40}`)}, "passcode.ageing", "", "", "", "must be under max_days", false},
		{"rules are joined by rank", []policy.Input{
			p("a", 1, 0, "firewall.policy", `{"default_incoming":"allow","rules":[{"name":"1","action":"deny"}]}`),
			p("b", 5, 0, "firewall.policy", `{"rules":[{"name":"2","action":"allow"},{"name":"1","action":"deny"}]}`),
		}, "firewall.policy", `{"default_incoming":"allow","default_outgoing":"allow","enabled":true,"log_dropped":false,"rules":[` +
			`{"action":"allow","direction":"in","name":"2","protocol":"any"},{"action":"deny","direction":"in","name":"1","protocol":"any"}]}`, "", "b a", "", false},
		{"priority", []policy.Input{p("a", 1, 9, "os.update", `{"origins":"all"}`), p("b", 2, 0, "os.update", `{"schedule":"weekly"}`)}, "os.update", `{"download_only":false,"enabled":true,"origins":"security","reboot":"never","remove_unused":true,"schedule":"weekly"}`, "b", "b", "", false},
		{"nearness", []policy.Input{p("a", 1, 0, "motd.banner", `{"text":"root"}`), p("b", 1, 2, "motd.banner", `{"text":"own"}`)}, "motd.banner", `{"text":"own"}`, "b", "b", "", false},
		{"a tie", []policy.Input{p("b", 1, 0, "motd.banner", `{"text":"b"}`), p("a", 1, 0, "motd.banner", `{"text":"a"}`)}, "motd.banner", `{"text":"a"}`, "a", "a", "", true},
		{"no tie when they agree", []policy.Input{p("b", 1, 0, "motd.banner", `{"text":"a"}`), p("a", 1, 0, "motd.banner", `{"text":"a"}`)}, "motd.banner", `{"text":"a"}`, "a", "a", "", false},
		{"error", []policy.Input{p("a", 1, 0, "sudo.rules/x", `{"users":["a"],"commands":["ALL"]}`), p("b", 2, 0, "sudo.rules/x", `{"users":["b"],"commands":["ALL"]}`)}, "sudo.rules/x", "", "", "", `"B" and "A" disagree`, false},
		{"no error when they agree", []policy.Input{p("a", 1, 0, "sudo.rules/x", `{"users":["a"],"commands":["ALL"]}`), p("b", 2, 0, "sudo.rules/x", `{"users":["a"],"commands":["ALL"],"run_as":"root"}`)}, "sudo.rules/x", `{"commands":["ALL"],"no_password":false,"run_as":"root","users":["a"]}`, "b", "b", "", false},
		{"the same file by two names", []policy.Input{p("a", 1, 0, "file.content/x", `{"path":"/m","content":"a"}`), p("b", 2, 0, "file.content/y", `{"path":"/m","content":"b"}`)}, "file.content/x", "", "", "", "file.content/y says the same path", false},
		{"a policy counts once, as it ranks best", []policy.Input{p("a", 1, 0, "motd.banner", `{"text":"low"}`), p("a", 7, 0, "motd.banner", `{"text":"high"}`)}, "motd.banner", `{"text":"high"}`, "a", "a", "", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			out := c.Resolve(tt.inputs)
			i := slices.IndexFunc(out, func(r policy.Resolved) bool { return r.ID == tt.id })
			if i < 0 {
				t.Fatalf("no %s in %+v", tt.id, out)
			}
			r := out[i]
			var won []string
			for _, cl := range r.Claims {
				if cl.Won {
					won = append(won, string(cl.Policy))
				}
			}
			if string(r.Value) != tt.value || r.Source.Policy != tt.source || strings.Join(won, " ") != tt.won || r.Tied != tt.tied ||
				(r.Conflict == "") != (tt.words == "") || !strings.Contains(r.Conflict, tt.words) {
				t.Errorf("resolved %s\nfrom %q by %q, tied %v, conflict %q", r.Value, r.Source.Policy, won, r.Tied, r.Conflict)
			}
			if n := len(policy.Manifest(out)); n != len(out)-strings.Count(fmt.Sprint(tt.words != ""), "true") {
				t.Errorf("%d of %d go to the device", n, len(out))
			}
		})
	}
}

// random is a policy out of some values for some ids, many of which meet.
func random(t testing.TB, c *policy.Catalogue, r *rand.Rand, n int) policy.Input {
	t.Helper()
	id := policy.ID(fmt.Sprintf("pol_%d", r.IntN(12)))
	var pairs []string
	add := func(id, value string) {
		if r.IntN(2) == 0 {
			pairs = append(pairs, id, value)
		}
	}
	add("screen.lock", fmt.Sprintf(`{"idle_seconds":%d,"enabled":%v}`, 60*(1+r.IntN(4)), r.IntN(2) == 0))
	add("passcode.quality", fmt.Sprintf(`{"min_length":%d,"max_repeat":%d}`, 6+r.IntN(4), 1+r.IntN(4)))
	add("passcode.ageing", fmt.Sprintf(`{"min_days":%d}`, r.IntN(20)))
	add("passcode.ageing", fmt.Sprintf(`{"max_days":%d}`, 1+r.IntN(30)))
	add("ssh.server", fmt.Sprintf(`{"allow_users":["u%d","u%d","u1"],"permit_root_login":%q}`, r.IntN(3), 3+r.IntN(2), []string{"no", "yes"}[r.IntN(2)]))
	add("firewall.policy", fmt.Sprintf(`{"rules":[{"name":"r%d","action":"allow"},{"name":"s%d","action":"deny"}]}`, r.IntN(3), r.IntN(3)))
	add("motd.banner", fmt.Sprintf(`{"text":"t%d"}`, r.IntN(3)))
	add("sudo.rules/x", fmt.Sprintf(`{"users":["u%d"],"commands":["ALL"]}`, r.IntN(2)))
	for k := range 3 {
		add(fmt.Sprintf("file.content/f%d", k), fmt.Sprintf(`{"path":"/p%d","content":"c%d"}`, k*10+r.IntN(2)*r.IntN(30), r.IntN(2)))
	}
	// The same id twice, or the same file by two names, is refused when a policy is saved.
	var settings []policy.Setting
	for i := 0; i < len(pairs); i += 2 {
		settings = append(settings, policy.Setting{ID: manifest.ID(pairs[i]), Value: []byte(pairs[i+1])})
		if _, problems := c.ValidateAll(settings); len(problems) > 0 {
			settings = settings[:len(settings)-1]
		}
	}
	valid, problems := c.ValidateAll(settings)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	compiled, _ := c.Compile(id, string(id), int64(n), valid)
	return policy.Input{Compiled: compiled, Assignment: policy.AssignmentID(fmt.Sprintf("asg_%d", r.IntN(3))), Priority: r.IntN(3), Via: policy.Via{Depth: r.IntN(3)}}
}

// TestResolveIgnoresOrder: whatever the order policies are listed in, the result is the same
// to the last claim.
func TestResolveIgnoresOrder(t *testing.T) {
	c := policy.Standard()
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 7))
		var inputs []policy.Input
		for n := range 1 + r.IntN(10) {
			inputs = append(inputs, random(t, c, r, n))
		}
		want := c.Resolve(inputs)
		for range 5 {
			r.Shuffle(len(inputs), func(i, k int) { inputs[i], inputs[k] = inputs[k], inputs[i] })
			if got := c.Resolve(inputs); !reflect.DeepEqual(got, want) {
				t.Fatalf("seed %d:\n%+v\nthen\n%+v", seed, want, got)
			}
		}
		for i, res := range want {
			won := slices.ContainsFunc(res.Claims, func(cl policy.Claim) bool { return cl.Won })
			if won != (res.Conflict == "") || (res.Value == nil) != (res.Conflict != "") || i > 0 && want[i-1].ID >= res.ID {
				t.Fatalf("seed %d: %+v", seed, res)
			}
			if res.Conflict == "" {
				if _, problems := c.Validate(res.ID, res.Value); len(problems) > 0 {
					t.Fatalf("seed %d: %s = %s: %v", seed, res.ID, res.Value, problems)
				}
			}
		}
	}
}

func TestReaches(t *testing.T) {
	target := policy.Target{Groups: []mdm.GroupID{"grp_root", "grp_a", "grp_b"}, Labels: []mdm.LabelID{"lbl_y", "lbl_x"}}
	for _, tt := range []struct {
		name string
		a    policy.Assignment
		want policy.Via
		ok   bool
	}{
		{"nobody", policy.Assignment{}, policy.Via{}, false},
		{"a group above", policy.Assignment{Include: policy.Scope{Groups: []mdm.GroupID{"grp_root"}}}, policy.Via{Group: "grp_root"}, true},
		{"the nearest group", policy.Assignment{Include: policy.Scope{Groups: []mdm.GroupID{"grp_root", "grp_b"}}}, policy.Via{Group: "grp_b", Depth: 2}, true},
		{"a label before a group", policy.Assignment{Include: policy.Scope{Groups: []mdm.GroupID{"grp_b"}, Labels: []mdm.LabelID{"lbl_y", "lbl_x"}}}, policy.Via{Label: "lbl_x", Depth: 1000}, true},
		{"another group", policy.Assignment{Include: policy.Scope{Groups: []mdm.GroupID{"grp_c"}}}, policy.Via{}, false},
		{"excluded by a group above", policy.Assignment{Include: policy.Scope{Labels: []mdm.LabelID{"lbl_x"}}, Exclude: policy.Scope{Groups: []mdm.GroupID{"grp_a"}}}, policy.Via{}, false},
		{"excluded by a label", policy.Assignment{Include: policy.Scope{Groups: []mdm.GroupID{"grp_root"}}, Exclude: policy.Scope{Labels: []mdm.LabelID{"lbl_y"}}}, policy.Via{}, false},
	} {
		if got, ok := tt.a.Reaches(target); got != tt.want || ok != tt.ok {
			t.Errorf("%s: %+v, %v, want %+v, %v", tt.name, got, ok, tt.want, tt.ok)
		}
	}
}

func TestNormal(t *testing.T) {
	well := policy.Assignment{ID: "asg_1", Include: policy.Scope{Groups: []mdm.GroupID{"grp_b", "grp_a", "grp_b"}}, Version: 2}
	if got, err := well.Normal(2); err != nil || !slices.Equal(got.Include.Groups, []mdm.GroupID{"grp_a", "grp_b"}) {
		t.Errorf("Normal = %+v, %v", got, err)
	}
	for name, spoil := range map[string]func(*policy.Assignment){
		"id": func(a *policy.Assignment) { a.ID = "x" }, "nobody": func(a *policy.Assignment) { a.Include = policy.Scope{} },
		"priority": func(a *policy.Assignment) { a.Priority = 1001 }, "version": func(a *policy.Assignment) { a.Version = 3 },
		"group": func(a *policy.Assignment) { a.Exclude.Groups = []mdm.GroupID{"lbl_x"} }, "label": func(a *policy.Assignment) { a.Include.Labels = []mdm.LabelID{"x"} },
		"too many": func(a *policy.Assignment) {
			for i := range 201 {
				a.Include.Groups = append(a.Include.Groups, mdm.GroupID(fmt.Sprintf("grp_%d", i)))
			}
		},
	} {
		a := well
		spoil(&a)
		if _, err := a.Normal(2); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
}

// fleetPolicies is the bar's device: 60 policies that say 800 settings, many of them twice.
func fleetPolicies(t testing.TB, c *policy.Catalogue) []policy.Input {
	t.Helper()
	var inputs []policy.Input
	next := 0
	for i := range 60 {
		pairs := []string{
			"screen.lock", fmt.Sprintf(`{"idle_seconds":%d}`, 60+i), "passcode.quality", fmt.Sprintf(`{"min_length":%d,"max_repeat":3}`, 6+i%20),
			"ssh.server", `{"permit_root_login":"no","allow_users":["ada","bob"]}`, "motd.banner", fmt.Sprintf(`{"text":"policy %d"}`, i),
		}
		for range 13 {
			pairs = append(pairs, fmt.Sprintf("file.content/f%d", next), fmt.Sprintf(`{"path":"/etc/f%d","content":"x = %d"}`, next, next))
			next++
		}
		for k := range 4 { // these meet those of the policy before
			pairs = append(pairs, fmt.Sprintf("service.state/s%d", i+k), fmt.Sprintf(`{"name":"s%d.service","enabled":%v}`, i+k, i%2 == 0))
		}
		inputs = append(inputs, in(t, c, policy.ID(fmt.Sprintf("pol_%02d", i)), i%10, i%5, pairs...))
	}
	return inputs
}

func BenchmarkResolve(b *testing.B) {
	c := policy.Standard()
	inputs := fleetPolicies(b, c)
	if n := len(c.Resolve(inputs)); n < 800 {
		b.Fatalf("%d settings", n)
	}
	b.ReportAllocs()
	var took []time.Duration
	for b.Loop() {
		began := time.Now()
		c.Resolve(inputs)
		took = append(took, time.Since(began))
	}
	slices.Sort(took)
	b.ReportMetric(took[len(took)/2].Seconds()*1000, "p50-ms")
	b.ReportMetric(took[len(took)*95/100].Seconds()*1000, "p95-ms")
}

func BenchmarkCompile(b *testing.B) {
	c := policy.Standard()
	valid, _ := c.ValidateAll([]policy.Setting{{ID: "screen.lock", Value: []byte(`{"idle_seconds":60}`)}, {ID: "file.content/a", Value: []byte(`{"path":"/a","content":"x"}`)}})
	b.ReportAllocs()
	for b.Loop() {
		c.Compile("pol_1", "one", 1, valid)
	}
}

// TestResolveIsFrugal bounds the work of the bar's device; the time itself is make bench's.
func TestResolveIsFrugal(t *testing.T) {
	c := policy.Standard()
	inputs := fleetPolicies(t, c)
	if n := testing.AllocsPerRun(5, func() { c.Resolve(inputs) }); n > 1500 {
		t.Errorf("%v allocations", n)
	}
}
