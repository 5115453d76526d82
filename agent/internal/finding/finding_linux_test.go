package finding_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"handrail/agent/internal/enforce"
	"handrail/agent/internal/finding"
	"handrail/agent/internal/machine"
	"handrail/agent/internal/netcheck"
	"handrail/agent/internal/process"
	"handrail/agent/internal/space"
	"handrail/agent/internal/unit"
	"handrail/signaling"
	"handrail/signaling/tool/tooltest"
)

// findings asks once and returns what is found in the end.
func findings(t *testing.T, cfg finding.Config) signaling.Findings {
	t.Helper()
	v := tooltest.Serve(t, finding.New(cfg).Serve, signaling.Diagnostics)
	v.Say(signaling.TypeFindingsAsk, "1", signaling.FindingsAsk{})
	return tooltest.Await(v, "the findings", func(m signaling.Findings) bool { return m.Done })
}

func one(t *testing.T, m signaling.Findings, id string) signaling.Finding {
	t.Helper()
	i := slices.IndexFunc(m.Findings, func(f signaling.Finding) bool { return f.ID == id })
	if i < 0 {
		t.Fatalf("%s is not found: %+v", id, m)
	}
	if f := m.Findings[i]; f.Title == "" || f.Advice == "" || len(f.Evidence) == 0 {
		t.Errorf("%s is not said well: %+v", id, f)
	}
	return m.Findings[i]
}

// TestFullDisk: a file system that is full is found, with what fills it; once that is deleted it is not.
func TestFullDisk(t *testing.T) {
	if os.Getuid() != 0 {
		t.Log("only root can mount a file system")
		return
	}
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=4m"); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = unix.Unmount(dir, 0) }()
	if err := os.MkdirAll(dir+"/var/log/journal/x", 0o755); err != nil {
		t.Fatal(err)
	}
	for i := range 8 {
		if err := os.WriteFile(fmt.Sprintf("%s/var/log/journal/x/%d", dir, i), make([]byte, 500<<10), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s := space.New()
	cfg := finding.Config{Volumes: s.Volumes, Walk: s.Walk}
	f := one(t, findings(t, cfg), "disk:"+dir)
	if f.Severity != signaling.SeverityBad || !strings.HasSuffix(f.Title, " is 97 % full") || f.Tool != signaling.ToolSpace || f.Target != dir ||
		!strings.HasPrefix(f.Evidence[1], "4 MB of it in "+dir+"/var/log/journal/x") || !strings.Contains(f.Advice, "--vacuum-size") {
		t.Errorf("%+v", f)
	}
	if err := os.RemoveAll(dir + "/var"); err != nil {
		t.Fatal(err)
	}
	if m := findings(t, cfg); slices.ContainsFunc(m.Findings, func(f signaling.Finding) bool { return f.ID == "disk:"+dir }) {
		t.Errorf("after it was mended: %+v", m)
	}
}

// TestRunaway: a process that does nothing but turn is found once it has turned for a while.
func TestRunaway(t *testing.T) {
	cmd := exec.Command("/bin/sh", "-c", "echo up; while :; do :; done")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}()
	if _, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	// On a machine with much else to do it may not get a whole core; what is shown is that it is told
	// with what it takes, and as soon as it takes enough.
	var all []process.Usage
	p := process.New(func() (int, bool) { return 0, false })
	for limit := time.Now().Add(2 * time.Minute); ; {
		if all, err = p.Usages(t.Context(), 200*time.Millisecond); err != nil {
			t.Fatal(err)
		}
		i := slices.IndexFunc(all, func(u process.Usage) bool { return u.PID == int64(cmd.Process.Pid) })
		if i < 0 {
			t.Fatal("it is not seen")
		}
		if all[i].Spent > 5*time.Second {
			all[i].CPU = max(all[i].CPU, 980) // as on a machine of its own
			break
		}
		if time.Now().After(limit) {
			t.Fatalf("it has got no processor: %+v", all[i])
		}
	}
	m := findings(t, finding.Config{Processes: func(context.Context, time.Duration) ([]process.Usage, error) { return all, nil }})
	f := one(t, m, fmt.Sprintf("cpu:%d", cmd.Process.Pid))
	if !strings.HasPrefix(f.Title, "sh uses ") || f.Tool != signaling.ToolProcess || f.Target != fmt.Sprint(cmd.Process.Pid) || !strings.Contains(f.Evidence[0], "of processor time") {
		t.Errorf("%+v", f)
	}
}

// TestDeadService: a service whose process is gone is found; started again, it is not.
func TestDeadService(t *testing.T) {
	root := t.TempDir()
	script := "#!/bin/sh\n# Short-Description: Prints\ncase $1 in start) touch " + root + "/up;; status) [ -e " + root + "/up ] || exit 1;; esac\n"
	if err := os.MkdirAll(root+"/etc/init.d", 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(root+"/etc/init.d/printd", []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	sys := &enforce.System{Root: root}
	u := unit.New(sys)
	cfg := finding.Config{Failed: u.Failed, ServiceLog: u.Log}
	if f := one(t, findings(t, cfg), "service:printd"); f.Title != "Prints (printd) has failed" || f.Tool != signaling.ToolService || f.Target != "printd" {
		t.Errorf("%+v", f)
	}
	if _, err := sys.Run(t.Context(), enforce.Program{Path: root + "/etc/init.d/printd", Args: []string{"start"}}); err != nil {
		t.Fatal(err)
	}
	if m := findings(t, cfg); slices.ContainsFunc(m.Findings, func(f signaling.Finding) bool { return strings.HasPrefix(f.ID, "service:") }) || !slices.Contains(m.Looked, "services") {
		t.Errorf("after it was mended: %+v", m)
	}
}

// TestWrongNameserver: a DNS server that does not answer is found, beside one that does.
func TestWrongNameserver(t *testing.T) {
	if os.Getuid() != 0 {
		t.Log("only root may serve names")
		return
	}
	for address, answers := range map[string]bool{"127.0.0.87": true, "127.0.0.88": false} {
		c, err := net.ListenPacket("udp4", address+":53")
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		go func() {
			b := make([]byte, 512)
			for {
				n, from, err := c.ReadFrom(b)
				if err != nil {
					return
				}
				if answers && n > 12 {
					b[2], b[3] = 0x81, 0x83 // there is no such name
					_, _ = c.WriteTo(b[:n], from)
				}
			}
		}()
	}
	resolv := filepath.Join(t.TempDir(), "resolv.conf")
	if err := os.WriteFile(resolv, []byte("nameserver 127.0.0.87\nnameserver 127.0.0.88\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	n := netcheck.New(netcheck.Config{Resolv: resolv})
	m := findings(t, finding.Config{Servers: n.Servers, Ask: netcheck.Ask})
	if f := one(t, m, "dns:127.0.0.88"); f.Title != "DNS server 127.0.0.88 does not answer" || f.Severity != signaling.SeverityBad || f.Tool != signaling.ToolNetcheck || f.Target != "127.0.0.88" {
		t.Errorf("%+v", f)
	}
	if slices.ContainsFunc(m.Findings, func(f signaling.Finding) bool {
		return f.ID == "dns:127.0.0.87" && f.Severity == signaling.SeverityBad
	}) {
		t.Errorf("the one that answers: %+v", m)
	}
}

// TestOrder: the worst come first, whatever was looked at first; what cannot be looked at is said, and
// what hangs holds nothing up.
func TestOrder(t *testing.T) {
	now := time.Now().UnixMilli()
	cfg := finding.Config{
		Restart: func() (bool, string) { return true, "linux-image-6.1\nlibc6" },
		Clock:   func(context.Context) (time.Duration, error) { return -4 * time.Minute, nil },
		Faults: func(context.Context) ([]machine.Fault, error) {
			return []machine.Fault{
				{TimeMS: now, Kind: machine.OutOfMemory, What: "firefox", Text: "Out of memory: Killed process 7 (firefox)", Bad: true},
				{TimeMS: now, Kind: machine.OutOfMemory, What: "firefox", Text: "Out of memory: Killed process 8 (firefox)", Bad: true},
				{TimeMS: now - 30*24*3600*1000, Kind: machine.DiskError, What: "sda", Text: "long ago", Bad: true},
			}, nil
		},
		Servers: func() []netip.Addr { return nil }, Ask: netcheck.Ask,
		Volumes: func(context.Context) ([]signaling.SpaceVolume, error) { return nil, errors.New("no luck") },
	}
	m := findings(t, cfg)
	if f := one(t, m, "clock"); f.Title != "The clock is 4 minutes behind" {
		t.Errorf("%+v", f)
	}
	if f := one(t, m, "kernel:Memory ran out:firefox"); f.Title != "Memory ran out: firefox (2 times)" || len(f.Evidence) != 2 {
		t.Errorf("%+v", f)
	}
	one(t, m, "dns")
	if f := one(t, m, "restart"); f.Evidence[1] != "for linux-image-6.1, libc6" {
		t.Errorf("%+v", f)
	}
	for i, f := range m.Findings[1:] {
		if f.Severity == signaling.SeverityBad && m.Findings[i].Severity != signaling.SeverityBad {
			t.Errorf("%s comes after %s", f.ID, m.Findings[i].ID)
		}
	}
	if !slices.ContainsFunc(m.Missed, func(s string) bool { return strings.Contains(s, "file systems: no luck") }) || !strings.Contains(m.Summary, "wrong.") {
		t.Errorf("missed %q, summary %q", m.Missed, m.Summary)
	}
}

// TestQuickFirst: what is known quickly is told while the rest is still looked at, and a viewer that
// leaves ends it.
func TestQuickFirst(t *testing.T) {
	v := tooltest.Serve(t, finding.New(finding.Config{
		Restart: func() (bool, string) { return true, "" },
		Clock: func(ctx context.Context) (time.Duration, error) {
			<-ctx.Done()
			return 0, ctx.Err()
		},
	}).Serve, signaling.Diagnostics)
	v.Say(signaling.TypeFindingsAsk, "1", signaling.FindingsAsk{})
	tooltest.Await(v, "the quick ones", func(m signaling.Findings) bool {
		return !m.Done && slices.ContainsFunc(m.Findings, func(f signaling.Finding) bool { return f.ID == "restart" })
	})
	v.Leave()
	if err := v.End(); err == nil {
		t.Error("the tool does not notice that the viewer is gone")
	}
}
