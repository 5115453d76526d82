package firewall_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"handrail/agent/internal/enforce"
	"handrail/agent/internal/enforce/enforcetest"
	"handrail/agent/internal/enforce/firewall"
	"handrail/mdm/manifest"
)

type object = map[string]any

const id = manifest.ID(firewall.Key)

// Addresses of the two ends of the wire in TestCutOffComesBack.
const (
	deviceAddr  = "10.77.0.1"
	gatewayAddr = "10.77.0.2"
)

// workstation is a policy with everything in it.
var workstation = object{
	"enabled": true, "default_incoming": "deny", "default_outgoing": "allow", "log_dropped": true,
	"rules": []object{
		{"name": "web \"quoted\" $x; drop", "action": "allow", "direction": "in", "protocol": "tcp", "ports": []string{"443", "80", "8000-8010", "8005-8020"}, "sources": []string{"10.0.0.0/8", "10.1.0.0/16", "192.168.7.9", "fd00::/8"}},
		{"name": "ping", "action": "allow", "direction": "in", "protocol": "icmp"},
		{"name": "no smtp", "action": "deny", "direction": "out", "protocol": "tcp", "ports": []string{"25"}},
		{"name": "lan", "action": "allow", "direction": "in", "protocol": "any", "interface": "eth7"},
		{"name": "dns", "action": "allow", "direction": "in", "protocol": "udp", "ports": []string{"53"}},
	},
}

// inNamespace runs the named test again in a network and mount namespace of its own and
// reports whether this process is that one.
func inNamespace(t *testing.T) bool {
	t.Helper()
	if os.Getenv("HANDRAIL_TEST_NAMESPACE") == t.Name() {
		return true
	}
	cmd := exec.CommandContext(t.Context(), "unshare", "--net", "--mount", os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v")
	cmd.Env = append(os.Environ(), "HANDRAIL_TEST_NAMESPACE="+t.Name())
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Errorf("in a namespace of its own: %v\n%s", err, out)
	}
	return false
}

func run(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}

func TestTableComesAndGoes(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	run(t, "nft", "add table inet docker") // of others
	before := run(t, "nft", "list", "ruleset")
	m := enforcetest.New(t, func(c *enforce.Config) { c.System.Kernel = true }, firewall.New())
	m.Write("/etc/systemd/system/x", "")
	tree := m.Tree()
	st := m.Set(id, workstation)
	m.Want(st, manifest.Applied, "")
	var o struct {
		Keeper   string `json:"keeper"`
		Incoming string `json:"default_incoming"`
	}
	if err := json.Unmarshal(st.Observed, &o); err != nil || o.Keeper != "nftables" || o.Incoming != "deny" {
		t.Errorf("observed %s (%v)", st.Observed, err)
	}
	rules := run(t, "nft", "list", "ruleset")
	for _, want := range []string{"8000-8020", "10.0.0.0/8", "192.168.7.9", `iifname "eth7"`, "tcp dport 25", "table inet docker"} {
		if !strings.Contains(rules, want) {
			t.Errorf("the kernel's rules lack %q:\n%s", want, rules)
		}
	}
	if strings.Contains(rules, "10.1.0.0") || strings.Contains(rules, "$x") {
		t.Errorf("overlaps or signs were not taken out:\n%s", rules)
	}

	run(t, "nft", "delete", "table", "inet", "handrail") // drift
	m.Want(m.Enforce()[id], manifest.Applied, "")
	if again := run(t, "nft", "list", "ruleset"); again != rules {
		t.Errorf("drift was not mended:\n%s", again)
	}
	run(t, "nft", "insert", "rule", "inet", "handrail", "input", "accept")
	st = m.Enforce()[id]
	if m.Want(st, manifest.Applied, ""); st.Mended != 2 {
		t.Errorf("mended %d times, want 2", st.Mended)
	}
	m.Want(m.Set(id, object{"enabled": false}), manifest.Applied, "")
	if now := run(t, "nft", "list", "ruleset"); now != before {
		t.Errorf("switched off, the rules are\n%s\nwant\n%s", now, before)
	}
	m.Want(m.Set(id, workstation), manifest.Applied, "")
	m.Unset(id)
	if now := run(t, "nft", "list", "ruleset"); now != before {
		t.Errorf("removed, the rules are\n%s\nwant\n%s", now, before)
	}
	if now := m.Tree(); now != tree {
		t.Errorf("removed, the tree is\n%s\nwant\n%s", now, tree)
	}
}

func TestChangeOfTheTableIsNoticed(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	run(t, "nft", "add table inet handrail; add table inet other")
	seen := make(chan struct{}, 100)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- firewall.New().Watch(ctx, &enforce.System{Root: t.TempDir(), Kernel: true}, func() { seen <- struct{}{} })
	}()
	isSeen := func(within time.Duration) bool {
		wait := time.NewTimer(within)
		defer wait.Stop()
		select {
		case <-seen:
			return true
		case <-wait.C:
			return false
		}
	}
	noticed := func() {
		t.Helper()
		for range 600 { // it may not listen yet
			run(t, "nft", "add chain inet handrail c; delete chain inet handrail c")
			if isSeen(100 * time.Millisecond) {
				return
			}
		}
		t.Fatal("nothing is noticed")
	}
	noticed()
	for isSeen(2 * time.Second) { // word of the first changes may come late on a busy machine
		continue
	}
	run(t, "nft", "add table inet other; delete table inet other")
	if isSeen(time.Second) {
		t.Error("a change of another table is noticed")
	}
	noticed()
	cancel()
	if err := <-ended; err != nil {
		t.Errorf("Watch = %v", err)
	}
}

// wire makes a second namespace with a web server in it, and a pair of interfaces between.
func wire(t *testing.T) {
	t.Helper()
	run(t, "mount", "-t", "tmpfs", "none", "/run")
	run(t, "ip", "netns", "add", "far")
	run(t, "ip", "link", "add", "dev0", "type", "veth", "peer", "name", "far0", "netns", "far")
	run(t, "ip", "addr", "add", deviceAddr+"/24", "dev", "dev0")
	run(t, "ip", "link", "set", "dev0", "up")
	run(t, "ip", "link", "set", "lo", "up")
	run(t, "ip", "-n", "far", "addr", "add", gatewayAddr+"/24", "dev", "far0")
	run(t, "ip", "-n", "far", "link", "set", "far0", "up")
	cmd := exec.CommandContext(t.Context(), "ip", "netns", "exec", "far", os.Args[0], "-test.run=^TestFarEnd$")
	cmd.Env = append(os.Environ(), "HANDRAIL_TEST_FAR=1")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for i := 0; reach(t.Context()) != nil; i++ {
		if i == 500 {
			t.Fatal("the far end does not answer")
		}
		<-tick.C
	}
}

// TestFarEnd is the gateway of TestCutOffComesBack, in a process of its own.
func TestFarEnd(t *testing.T) {
	if os.Getenv("HANDRAIL_TEST_FAR") == "" {
		return // only there for others
	}
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", gatewayAddr+":443")
	if err != nil {
		t.Fatal(err)
	}
	s := &http.Server{Handler: http.NotFoundHandler(), ReadHeaderTimeout: time.Second}
	t.Error(s.Serve(l))
}

// reach makes a new connection to the far end.
func reach(ctx context.Context) error {
	d := net.Dialer{Timeout: 2 * time.Second} // where it is cut off each try takes so long, and a slow machine needs some of it
	c, err := d.DialContext(ctx, "tcp", gatewayAddr+":443")
	if err == nil {
		c.Close()
	}
	return err
}

func guarded(c *enforce.Config) {
	c.System.Kernel = true
	c.Reach = reach
	c.ConfirmWithin = 8 * time.Second // time enough for what does reach it, on a busy machine
}

func TestCutOffComesBack(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	wire(t)
	m := enforcetest.New(t, guarded, firewall.New())
	m.Want(m.Set(id, workstation), manifest.Applied, "") // lets out what it must
	good := run(t, "nft", "list", "ruleset")

	began := time.Now()
	cut := object{"enabled": true, "default_incoming": "deny", "default_outgoing": "deny"}
	st := m.Set(id, cut)
	m.Want(st, manifest.Failed, "could not reach its gateway")
	t.Logf("cut off and back in %s", time.Since(began).Round(time.Millisecond))
	if now := run(t, "nft", "list", "ruleset"); now != good {
		t.Errorf("after going back the rules are\n%s\nwant\n%s", now, good)
	}
	if err := reach(t.Context()); err != nil {
		t.Errorf("the gateway is still out of reach: %v", err)
	}
	cut["rules"] = []object{{"name": "gateway", "action": "allow", "direction": "out", "protocol": "tcp", "ports": []string{"443"}, "sources": []string{gatewayAddr}}}
	m.Want(m.Set(id, cut), manifest.Applied, "") // the same with the one hole it needs
	m.Unset(id)
}

// TestFirstPolicyCutsOff has nothing to go back to but no policy at all.
func TestFirstPolicyCutsOff(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	wire(t)
	m := enforcetest.New(t, guarded, firewall.New())
	tree := m.Tree()
	m.Want(m.Set(id, object{"enabled": true, "default_outgoing": "deny"}), manifest.Failed, "could not reach its gateway")
	if now := run(t, "nft", "list", "ruleset") + m.Tree(); now != tree {
		t.Errorf("something is left:\n%s", now)
	}
}

// TestKilledOnTrial ends the agent while the gateway is out of reach: the next one goes back.
func TestKilledOnTrial(t *testing.T) {
	if os.Getenv("HANDRAIL_TEST_KILLED") != "" {
		m := enforcetest.New(t, func(c *enforce.Config) {
			guarded(c)
			c.Dir, c.System.Root = os.Getenv("HANDRAIL_TEST_KILLED")+"/state", os.Getenv("HANDRAIL_TEST_KILLED")+"/root"
			tries := 0
			c.Reach = func(ctx context.Context) error {
				if tries++; tries == 3 {
					p, _ := os.FindProcess(os.Getpid())
					_ = p.Kill()
				}
				if tries == 1 {
					return nil // before the change
				}
				return reach(ctx)
			}
			c.ConfirmWithin = time.Minute
		}, firewall.New())
		m.Set(id, object{"enabled": true, "default_outgoing": "deny"})
		t.Fatal("still alive")
	}
	if !inNamespace(t) {
		return
	}
	wire(t)
	dir := t.TempDir()
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestKilledOnTrial$")
	cmd.Env = append(os.Environ(), "HANDRAIL_TEST_KILLED="+dir)
	if out, err := cmd.CombinedOutput(); err == nil || bytes.Contains(out, []byte("still alive")) {
		t.Fatalf("the agent was not killed: %v\n%s", err, out)
	}
	if reach(t.Context()) == nil {
		t.Fatal("the policy does not cut the gateway")
	}
	m := enforcetest.New(t, func(c *enforce.Config) {
		guarded(c)
		c.Dir, c.System.Root = dir+"/state", dir+"/root"
	}, firewall.New())
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- m.Engine.Run(ctx) }() // a minute of trial is left: it waits for that, not for ever
	select {
	case <-ended:
		t.Fatal("the engine ended")
	case <-time.After(3 * time.Second):
	}
	cancel() // stopped on trial: it goes back at once
	if err := <-ended; err != nil && !errors.Is(err, context.Canceled) {
		t.Errorf("Run = %v", err)
	}
	if err := reach(t.Context()); err != nil {
		t.Errorf("the gateway is still out of reach: %v\n%s", err, run(t, "nft", "list", "ruleset"))
	}
}

func TestNoNFT(t *testing.T) {
	m := enforcetest.New(t, func(c *enforce.Config) { c.System.Path = enforcetest.Tools(t, "sh") }, firewall.New())
	m.Want(m.Set(id, workstation), manifest.Failed, "install the package nftables")
	if m.Read("/etc/handrail/firewall.nft") != "" {
		t.Error("applied blind")
	}
}

func TestFirewalldIsAsked(t *testing.T) {
	m := enforcetest.New(t, nil, firewall.New())
	m.Write("/etc/systemd/system/multi-user.target.wants/firewalld.service", "")
	m.Write("/etc/firewalld/firewalld.conf", "DefaultZone=public\n")
	for _, d := range []string{"zones", "policies", "services", "ipsets", "helpers", "icmptypes"} {
		m.Write("/etc/firewalld/"+d+"/.keep", "")
	}
	tree := m.Tree()
	m.Want(m.Set(id, workstation), manifest.Conflict, "eth7")
	rules := workstation["rules"].([]object)
	v := object{"enabled": true, "default_incoming": "deny", "default_outgoing": "allow", "rules": append(rules[:3:3], rules[4])}
	st := m.Set(id, v)
	m.Want(st, manifest.Applied, "")
	if !bytes.Contains(st.Observed, []byte(`"keeper":"firewalld"`)) {
		t.Errorf("observed %s", st.Observed)
	}
	out := run(t, "firewall-offline-cmd", "--system-config", m.System.Abs("/etc/firewalld"), "--info-policy", "handrail-in")
	for _, want := range []string{"target: DROP", "8000-8020", "192.168.7.9", `port="53"`} {
		if !strings.Contains(out, want) {
			t.Errorf("firewalld lacks %q:\n%s", want, out)
		}
	}
	m.Unset(id)
	if now := m.Tree(); now != tree {
		t.Errorf("removed, the tree is\n%s\nwant\n%s", now, tree)
	}
}

func TestUFWIsAsked(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	run(t, "mount", "-t", "tmpfs", "none", "/run")
	run(t, "ip", "link", "set", "lo", "up")
	m := enforcetest.New(t, func(c *enforce.Config) { c.System.Kernel = true }, firewall.New())
	for _, f := range []string{"/etc/default/ufw", "/etc/ufw/sysctl.conf", "/etc/ufw/before.rules", "/etc/ufw/before6.rules", "/etc/ufw/after.rules", "/etc/ufw/after6.rules", "/etc/ufw/before.init", "/etc/ufw/after.init", "/etc/ufw/user.rules", "/etc/ufw/user6.rules", "/lib/ufw/ufw-init", "/lib/ufw/ufw-init-functions"} {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		m.WriteMode(f, string(b), 0o755) // from the package ufw
	}
	m.Write("/etc/ufw/ufw.conf", "ENABLED=no\nLOGLEVEL=low\n")
	m.Write("/etc/ufw/applications.d/.keep", "")
	ufw := func(args ...string) string {
		return run(t, "ufw", append([]string{"--rootdir=" + m.System.Root, "--datadir=" + m.System.Root}, args...)...)
	}
	ufw("--force", "enable")
	ufw("allow", "from", "10.9.9.9", "to", "any", "port", "22", "proto", "tcp") // the admin's own
	own := ufw("show", "added")
	rules := workstation["rules"].([]object)
	m.Want(m.Set(id, workstation), manifest.Conflict, "ICMP")
	v := object{"enabled": true, "default_incoming": "deny", "default_outgoing": "deny", "log_dropped": true, "rules": append(rules[2:4:4], rules[0], rules[4])}
	st := m.Set(id, v)
	m.Want(st, manifest.Applied, "")
	if !bytes.Contains(st.Observed, []byte(`"keeper":"ufw"`)) {
		t.Errorf("observed %s", st.Observed)
	}
	now := ufw("show", "added")
	for _, want := range []string{"reject out log", "on eth7", "8000:8020", "192.168.7.9", "from 10.9.9.9 to any port 22"} {
		if !strings.Contains(now, want) {
			t.Errorf("ufw lacks %q:\n%s", want, now)
		}
	}
	if !strings.Contains(m.Read("/etc/default/ufw"), `DEFAULT_OUTPUT_POLICY="DROP"`) {
		t.Error("what ufw does where no rule fits is not set")
	}
	ufw("--force", "delete", "allow", "in", "on", "eth7") // drift
	if st = m.Enforce()[id]; st.State != manifest.Applied || st.Mended != 1 {
		t.Errorf("after drift: %+v", st)
	}
	if again := ufw("show", "added"); again != now {
		t.Errorf("mended, ufw has\n%s\nwant\n%s", again, now)
	}
	m.Unset(id)
	if now := ufw("show", "added"); now != own {
		t.Errorf("removed, ufw has\n%s\nwant\n%s", now, own)
	}
	if !strings.Contains(m.Read("/etc/default/ufw"), `DEFAULT_OUTPUT_POLICY="ACCEPT"`) {
		t.Error("what ufw does where no rule fits is not as it was")
	}
}

func FuzzRules(f *testing.F) {
	f.Add("web", "10.0.0.0/8", "80-90", "eth0")
	f.Add("x\" } drop", "::1", "1", "a b")
	f.Fuzz(func(t *testing.T, name, source, ports, iface string) {
		b, err := json.Marshal(object{"enabled": true, "rules": []object{{"name": name, "action": "deny", "protocol": "tcp", "sources": []string{source}, "ports": []string{ports}, "interface": iface}}})
		if err != nil {
			return
		}
		p, err := firewall.New().Plan(t.Context(), &enforce.System{Root: t.TempDir()}, manifest.Setting{ID: id, Value: b})
		if err != nil {
			return
		}
		if n := bytes.Count(p.Files[0].Content, []byte("{")) - bytes.Count(p.Files[0].Content, []byte("}")); n != 0 {
			t.Errorf("braces do not match in\n%s", p.Files[0].Content)
		}
		if n := bytes.Count(p.Files[0].Content, []byte("\n")); n > 40 {
			t.Errorf("lines were put in:\n%s", p.Files[0].Content)
		}
	})
}
