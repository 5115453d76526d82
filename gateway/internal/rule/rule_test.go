package rule_test

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"handrail/gateway/internal/rule"
	"handrail/mdm"
)

func section(t testing.TB, data string) any {
	t.Helper()
	v, err := rule.DecodeSection([]byte(data))
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func facts(t testing.TB) rule.Facts {
	t.Helper()
	return rule.Facts{
		Device: rule.Device{ID: "dev_1", OS: "linux", OSVersion: "Debian GNU/Linux 12 (bookworm)", Groups: []string{"grp_root", "grp_a"}, EnrolledAt: time.Unix(1000, 0)},
		Inventory: map[string]any{
			"sshd":     section(t, `{"installed":true,"config":{"permitrootlogin":"no","maxauthtries":"4"}}`),
			"hardware": section(t, `{"memory_bytes":8589934592,"cpu":{"cores":4}}`),
			"sysctl":   section(t, `{"net.ipv4.ip_forward":"0"}`),
			"files":    section(t, `{"/etc/shadow":{"mode":"0640"}}`),
			"accounts": section(t, `{"users":[{"name":"root","uid":0},{"name":"anna","uid":1000}]}`),
			"updates":  section(t, `{"package_lists_at_us":1700000000000000}`),
			"many":     many(),
		},
		Labels:   []string{"laptop"},
		Settings: map[string]string{"ssh.server": "applied"},
		Software: func(name string) []string {
			if name == "openssl" {
				return []string{"3.0.14-1~deb12u2"}
			}
			return nil
		},
		Now: time.Unix(1700003600, 0),
	}
}

func many() any {
	l := make([]any, 3000)
	for i := range l {
		l[i] = int64(i)
	}
	return l
}

func compiler(t testing.TB) *rule.Compiler {
	t.Helper()
	c, err := rule.NewCompiler()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestMatch(t *testing.T) {
	c, f := compiler(t), facts(t)
	for _, tt := range []struct {
		expr   string
		want   rule.Outcome
		reason string
	}{
		{`device.os == "linux"`, rule.True, ""},
		{`"grp_a" in device.groups && "laptop" in labels`, rule.True, ""},
		{`inventory.sshd.config.permitrootlogin == "no"`, rule.True, ""},
		{`int(inventory.sshd.config.maxauthtries) <= 3`, rule.False, ""},
		{`inventory.hardware.memory_bytes >= 8 * 1024 * 1024 * 1024`, rule.True, ""},
		{`inventory.hardware.memory_bytes > 8.5e9`, rule.True, ""},
		{`inventory.sysctl["net.ipv4.ip_forward"] == "0"`, rule.True, ""},
		{`mode_within(inventory.files["/etc/shadow"].mode, "0640")`, rule.True, ""},
		{`mode_within(inventory.files["/etc/shadow"].mode, "0600")`, rule.False, ""},
		{`inventory.accounts.users.filter(u, u.uid == 0).size() == 1`, rule.True, ""},
		{`software("openssl").exists(v, version_less(v, "3.0.15"))`, rule.True, ""},
		{`software("nginx") == []`, rule.True, ""},
		{`settings["ssh.server"] == "applied"`, rule.True, ""},
		{`now - micros(inventory.updates.package_lists_at_us) < days(7)`, rule.True, ""},
		{`device.enrolled_at < now`, rule.True, ""},
		{`has(inventory.battery)`, rule.False, ""},
		{`cel.bind(u, inventory.accounts.users, u.size() == 2)`, rule.True, ""},
		{`distinct(inventory.accounts.users.map(u, u.uid)) == 2 && distinct([1, 1, 2]) == 2`, rule.True, ""},
		{`distinct([[1]]) == 1`, rule.Failed, "numbers or texts"},
		{`inventory.sshd.installed ? unknown("not readable") : true`, rule.Unknown, "not readable"},
		{`inventory.battery.wear > 3`, rule.Unknown, "not reported: battery"},
		{`inventory.sshd.config.x == "no"`, rule.Unknown, "not reported: x"},
		{`inventory.sshd.installed == true && inventory.hardware.memory_bytes`, rule.Failed, ""},
		{`inventory.hardware`, rule.Failed, "true or false"},
		{`inventory.many.all(a, inventory.many.all(b, a + b >= 0))`, rule.Failed, "the expression takes too"},
		{`inventory.many.all(a, inventory.many.all(b, inventory.many.all(c, a + b + c >= 0)))`, rule.Failed, "the expression takes too"},
		{`inventory.many.all(a, a >= 0)`, rule.True, ""},
	} {
		e, err := c.Compile(tt.expr)
		if err != nil {
			t.Errorf("%s: %v", tt.expr, err)
			continue
		}
		begin := time.Now()
		got := e.Match(t.Context(), f)
		if got.Outcome != tt.want || !strings.Contains(got.Reason, tt.reason) {
			t.Errorf("%s = %v %q, want %v %q", tt.expr, got.Outcome, got.Reason, tt.want, tt.reason)
		}
		if d := time.Since(begin); d > 20*rule.Deadline {
			t.Errorf("%s took %v", tt.expr, d)
		}
	}
}

// TestMatchGrows: texts and lists that double at every step end at the limit, before the
// machine's memory does.
func TestMatchGrows(t *testing.T) {
	c := compiler(t)
	for name, grow := range map[string]struct{ seed, step string }{
		"text": {`"` + strings.Repeat("x", 4000) + `"`, "%[1]s + %[1]s + %[1]s + %[1]s"},
		"list": {"inventory.many", "%[1]s + %[1]s + %[1]s + %[1]s"},
		"nest": {"inventory.many", "[%[1]s, %[1]s, %[1]s]"},
	} {
		// Few enough nodes that an expression without bindings would not be watched.
		expr := variable(0) + ".size() >= 0"
		for i := range 8 {
			expr = "cel.bind(" + variable(i) + ", " + fmt.Sprintf(grow.step, variable(i+1)) + ", " + expr + ")"
		}
		expr = "cel.bind(" + variable(8) + ", " + grow.seed + ", " + expr + ")"
		e, err := c.Compile(expr)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		got := e.Match(t.Context(), facts(t))
		runtime.ReadMemStats(&after)
		if mib := (after.TotalAlloc - before.TotalAlloc) >> 20; mib > 256 {
			t.Errorf("%s: %v, after %d MiB", name, got, mib)
		}
	}
}

func variable(i int) string { return "v" + string(rune('a'+i)) }

func TestMatchUnknown(t *testing.T) {
	c := compiler(t)
	for _, expr := range []string{`software("a") == []`, `"x" in labels`, `settings["a"] == "b"`, `inventory.a.b`} {
		e, err := c.Compile(expr)
		if err != nil {
			t.Fatal(err)
		}
		if got := e.Match(t.Context(), rule.Facts{}); got.Outcome != rule.Unknown || got.Reason == "" {
			t.Errorf("%s = %v %q, want unknown with a reason", expr, got.Outcome, got.Reason)
		}
	}
}

func TestMatchEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	e, err := compiler(t).Compile(`inventory.many.all(a, a >= 0)`)
	if err != nil {
		t.Fatal(err)
	}
	if got := e.Match(ctx, facts(t)); got.Outcome != rule.Failed || !strings.Contains(got.Reason, "too long") {
		t.Errorf("got %v %q", got.Outcome, got.Reason)
	}
}

func TestCompileRefuses(t *testing.T) {
	c := compiler(t)
	for _, tt := range []struct {
		name, expr   string
		line, column int
		want         string
	}{
		{"empty", "  ", 1, 1, "empty"},
		{"unknown name", "device.os == \"linux\" &&\n  inventroy.host == 1", 2, 3, `"inventroy" is not known`},
		{"unknown function", "device.os == foo(1)", 1, 17, `"foo" is not known`},
		{"types", `1 + "a" == 2`, 1, 3, `"+" cannot be used on (int, string)`},
		{"not a question", `"linux"`, 1, 1, "it is text"},
		{"a number", `1 + 2`, 1, 1, "it is a number"},
		{"unfinished", `device.os == `, 1, 14, "the end"},
		{"too long", strings.Repeat(" ", rule.MaxExpression) + "true", 1, 1, "at most"},
		{"too deep", strings.Repeat("(", 300) + "true" + strings.Repeat(")", 300), 0, 0, ""},
		{"hidden names", `@software`, 0, 0, ""},
		{"bad regex", `"a".matches("(")`, 0, 0, ""},
		{"version of a number", `version_less(1, "2")`, 1, 13, "cannot be used"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := c.Compile(tt.expr)
			var e *rule.Error
			if !errors.As(err, &e) || !errors.Is(err, mdm.ErrInvalid) || len(e.Problems) == 0 {
				t.Fatalf("Compile = %v, want a *rule.Error", err)
			}
			p := e.Problems[0]
			if tt.line > 0 && (p.Line != tt.line || p.Column != tt.column) || !strings.Contains(p.Message, tt.want) {
				t.Errorf("problem = %v, want line %d, column %d: …%s…", p, tt.line, tt.column, tt.want)
			}
		})
	}
}

func TestReads(t *testing.T) {
	c := compiler(t)
	e, err := c.Compile(`has(inventory.sshd) && inventory["sysctl"]["net.ipv4.ip_forward"] == "0" && software("a") == [] && device.os == "x" && inventory.sshd.config.port == "22" && now > device.enrolled_at && inventory.accounts.users.all(u, u.uid > 0)`)
	if err != nil {
		t.Fatal(err)
	}
	r := e.Reads()
	if want := []string{"accounts", "software", "sshd", "sysctl"}; !slices.Equal(r.Sections, want) {
		t.Errorf("sections = %q, want %q", r.Sections, want)
	}
	if !slices.Equal(r.Packages, []string{"a"}) {
		t.Errorf("packages = %q", r.Packages)
	}
	if !r.Device || !r.Clock || r.Labels || r.Settings {
		t.Errorf("reads = %+v", r)
	}
	if want := []string{"device.enrolled_at", "device.os", "inventory.accounts.users", "inventory.sshd.config.port", "inventory.sysctl.net.ipv4.ip_forward"}; !slices.Equal(r.Paths, want) {
		t.Errorf("paths = %q, want %q", r.Paths, want)
	}
	if !r.ReadsAny([]string{"disks", "sshd"}) || r.ReadsAny([]string{"disks"}) {
		t.Error("ReadsAny")
	}
	e, err = c.Compile(`inventory.exists(s, inventory[s] == 1)`)
	if err != nil {
		t.Fatal(err)
	}
	if r := e.Reads(); !r.ReadsAny([]string{"disks"}) || !slices.Contains(r.Sections, rule.Everything) {
		t.Errorf("sections = %q", r.Sections)
	}
}

func TestEvidence(t *testing.T) {
	c := compiler(t)
	p := rule.Prepare(facts(t))
	e, err := c.Compile(`inventory.sysctl["net.ipv4.ip_forward"] == "0" && inventory.sshd.config.permitrootlogin == "no" && inventory.accounts.users.size() > 0 && inventory.x.y`)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"accounts.users":"2 entries","sshd.config.permitrootlogin":"no","sysctl.net.ipv4.ip_forward":"0","x.y":null}`
	if got := string(e.Evidence(p)); got != want {
		t.Errorf("evidence = %s, want %s", got, want)
	}
	v, err := c.CompileValue(`inventory.accounts.users.filter(u, u.uid >= 1000).map(u, u.name)`)
	if err != nil {
		t.Fatal(err)
	}
	got, res := v.Value(t.Context(), p)
	if string(got) != `["anna"]` || res.Reason != "" {
		t.Errorf("value = %s %v", got, res)
	}
	v, err = c.CompileValue(`inventory.many`)
	if err != nil {
		t.Fatal(err)
	}
	if got, _ := v.Value(t.Context(), p); len(got) == 0 || len(got) > rule.MaxEvidence {
		t.Errorf("value of a long list is %d bytes", len(got))
	}
}

func TestVersionLessAgreesWithDpkg(t *testing.T) {
	dpkg, err := exec.LookPath("dpkg")
	if err != nil {
		t.Fatal("dpkg is missing: install the package dpkg")
	}
	versions := []string{"1.0", "1.0-1", "1.0~rc1", "1.0~", "1.0+b1", "1:0.9", "0:1.0", "1.0a", "1.0.1", "1.00", "2.36-9+deb12u4", "2.36-9", "3.0.14-1~deb12u2", "3.0.15-1~deb12u1", "1.10", "1.9", "", "1.0-1.1", "1.0-1ubuntu2", "7.88.1-10+deb12u5", "a", "1.0-~"}
	for _, a := range versions {
		for _, b := range versions {
			want := exec.CommandContext(t.Context(), dpkg, "--compare-versions", a, "lt-nl", b).Run() == nil
			if a == "" || b == "" || a == "a" || b == "a" {
				continue // dpkg treats the empty version apart and refuses others
			}
			if got := rule.VersionLess(a, b); got != want {
				t.Errorf("VersionLess(%q, %q) = %v, dpkg says %v", a, b, got, want)
			}
		}
	}
}

func FuzzCompile(f *testing.F) {
	c := compiler(f)
	p := rule.Prepare(facts(f))
	for _, s := range []string{`device.os == "linux"`, `inventory.many.all(a, a > 1)`, `software("x") == []`, `"a".matches("(a+)+b")`, `[1,2].map(x, [x,x]).size() > 1`, "\x00", `{1: 2}[1] == 2`, `has(inventory.a.b)`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		e, err := c.Compile(text)
		if err != nil {
			if !errors.Is(err, mdm.ErrInvalid) {
				t.Fatalf("Compile(%q) = %v, not invalid", text, err)
			}
			return
		}
		begin := time.Now()
		e.MatchPrepared(t.Context(), p)
		e.Evidence(p)
		if d := time.Since(begin); d > 10*time.Second {
			t.Fatalf("%q took %v", text, d)
		}
	})
}

func BenchmarkMatch(b *testing.B) {
	c := compiler(b)
	p := rule.Prepare(facts(b))
	for _, expr := range []string{`inventory.sshd.config.permitrootlogin == "no"`, `inventory.accounts.users.all(u, u.uid != 0 || u.name == "root")`} {
		e, err := c.Compile(expr)
		if err != nil {
			b.Fatal(err)
		}
		b.Run(expr, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				e.MatchPrepared(b.Context(), p)
			}
		})
	}
}

// TestStrangeNamesHaveAPlace: what is misspelt is shown where it is, with what was meant.
func TestStrangeNamesHaveAPlace(t *testing.T) {
	strange := func(path []string) (int, []string) {
		if path[0] != "encryption" {
			return 0, []string{"disks", "encryption"}
		}
		if len(path) > 1 && path[1] != "volumes" {
			return 1, []string{"volumes"}
		}
		return -1, nil
	}
	for expr, want := range map[string]string{
		`inventory.encryption.volumes.size() > 0`:                                             "",
		`inventory.exists(s, s == "anything")`:                                                "",
		`inventory.encryptionn.volumes.size() > 0`:                                            `line 1, column 10: inventory has no section "encryptionn"; did you mean "encryption"?`,
		"device.os == \"linux\" &&\n  inventory.encryption.volume[0].name == \"a\"":           `line 2, column 23: inventory.encryption has no field "volume"; did you mean "volumes"?`,
		`has(inventory.encryption.volume)`:                                                    `line 1, column 4: inventory.encryption has no field "volume"; did you mean "volumes"?`,
		`inventory["encryptionn"].volumes.exists(v, v.name == "a")`:                           `line 1, column 10: inventory has no section "encryptionn"; did you mean "encryption"?`,
		`"zzz" in inventory`:                                                                  `line 1, column 7: inventory has no section "zzz"; it has disks, encryption`,
		`inventory.disk.exists(d, d.a == inventory.disk.size()) && inventory.disk.size() > 1`: `line 1, column 10: inventory has no section "disk"; did you mean "disks"?; line 1, column 42: inventory has no section "disk"; did you mean "disks"?; line 1, column 68: inventory has no section "disk"; did you mean "disks"?`,
	} {
		e, err := compiler(t).Compile(expr)
		if err != nil {
			t.Fatalf("%s: %v", expr, err)
		}
		got := ""
		if err := e.Strange(strange); err != nil {
			got = err.Error()
			if !errors.Is(err, mdm.ErrInvalid) {
				t.Errorf("%s: %v is not %v", expr, err, mdm.ErrInvalid)
			}
		}
		if got != want {
			t.Errorf("%s:\n%s, want\n%s", expr, got, want)
		}
	}
}
