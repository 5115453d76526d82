package unit_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"handrail/agent/internal/enforce"
	"handrail/agent/internal/unit"
	"handrail/signaling"
	"handrail/signaling/tool/tooltest"
)

func write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
}

// worker is a service as Debian's are: a real process, a PID file, the states of the Linux
// Standard Base.
const worker = `#!/bin/sh
### BEGIN INIT INFO
# Provides:          worker
# Required-Start:    $network
# Short-Description: Works on things
### END INIT INFO
pid=@ROOT@/worker.pid
alive() { # and not only uncollected
	[ -e "$pid" ] && read -r _ _ state _ <"/proc/$(cat "$pid")/stat" && [ "$state" != Z ]
} 2>/dev/null
case "$1" in
start)
	alive && exit 0
	if [ -e @ROOT@/broken ]; then echo "worker: no such thing as a configuration" >&2; exit 1; fi
	sleep 600 >/dev/null 2>&1 & echo $! >"$pid"; echo "Starting worker." ;;
stop) alive && kill "$(cat "$pid")"; rm -f "$pid"; echo "Stopping worker." ;;
restart) "$0" stop; "$0" start ;;
status)
	if alive; then echo "worker is running"; exit 0; fi
	[ -e "$pid" ] && exit 1
	exit 3 ;;
*) echo "Usage: $0 start|stop|restart|status" >&2; exit 2 ;;
esac
`

// initd is a device without systemd, with one service that runs for real.
func initd(t *testing.T) *enforce.System {
	t.Helper()
	root := t.TempDir()
	write(t, root+"/etc/init.d/worker", strings.ReplaceAll(worker, "@ROOT@", root))
	write(t, root+"/etc/init.d/README", "not a script")
	if err := os.MkdirAll(root+"/etc/rc2.d", 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("../init.d/worker", root+"/etc/rc2.d/S01worker"); err != nil {
		t.Fatal(err)
	}
	sys := &enforce.System{Root: root}
	t.Cleanup(func() {
		_, _ = sys.Run(t.Context(), enforce.Program{Path: root + "/etc/init.d/worker", Args: []string{"stop"}})
	})
	return sys
}

func watch(v *tooltest.Viewer) {
	v.Say(signaling.TypeServiceWatch, "", signaling.ServiceWatch{EveryMS: 1000})
}

func act(v *tooltest.Viewer, name string, what signaling.ServiceVerb) signaling.ServiceDone {
	v.Say(signaling.TypeServiceAct, "5", signaling.ServiceAct{Name: name, What: what})
	return tooltest.Await[signaling.ServiceDone](v, "an answer", nil)
}

// TestScripts: a service of a device without systemd is seen, started, found dead, and mended.
func TestScripts(t *testing.T) {
	sys := initd(t)
	v := tooltest.Serve(t, unit.New(sys).Serve, signaling.Diagnostics, signaling.Root)
	watch(v)
	m := tooltest.Await[signaling.ServiceRows](v, "the list", nil)
	if want := (signaling.ServiceRow{Name: "worker", Description: "Works on things", State: "unknown", Enabled: "enabled"}); !m.First || !m.Last || m.Manager != signaling.ManagerSysV || !slices.Equal(m.Rows, []signaling.ServiceRow{want}) {
		t.Fatalf("the list is %+v", m)
	}
	is := func(state string) {
		t.Helper()
		tooltest.Await(v, "worker "+state, func(m signaling.ServiceRows) bool {
			return !m.First && len(m.Rows) == 1 && m.Rows[0].State == state
		})
	}
	is("inactive")
	if d := act(v, "worker", signaling.ServiceStart); !d.OK || d.Before != "inactive" || d.After != "active" || !slices.Contains(d.Log, "Starting worker.") {
		t.Errorf("started: %+v", d)
	}
	is("active")
	// A dead service: killed from outside, its PID file left.
	pid, err := os.ReadFile(sys.Root + "/worker.pid")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := sys.Run(t.Context(), enforce.Program{Path: "/bin/sh", Args: []string{"-c", "kill -9 " + string(pid)}}); err != nil {
		t.Fatal(err)
	}
	watch(v)
	is("failed")
	if rows, known, err := unit.New(sys).Failed(t.Context()); err != nil || !known || len(rows) != 1 || rows[0].Name != "worker" {
		t.Errorf("Failed = %+v, %t, %v", rows, known, err)
	}
	write(t, sys.Root+"/broken", "")
	if d := act(v, "worker", signaling.ServiceRestart); d.OK || !strings.Contains(d.Message, "no such thing as a configuration") {
		t.Errorf("restarted though it is broken: %+v", d)
	}
	if err := os.Remove(sys.Root + "/broken"); err != nil {
		t.Fatal(err)
	}
	if d := act(v, "worker", signaling.ServiceRestart); !d.OK || d.After != "active" {
		t.Errorf("restarted: %+v", d)
	}
	v.Say(signaling.TypeServiceLook, "6", signaling.ServiceLook{Name: "worker"})
	if d := tooltest.Await[signaling.ServiceDetails](v, "details", nil); d.Row.State != "active" || d.File != "/etc/init.d/worker" || !slices.Equal(d.Needs, []string{"$network"}) {
		t.Errorf("details: %+v", d)
	}
	if d := act(v, "worker", signaling.ServiceStop); !d.OK || d.After != "inactive" {
		t.Errorf("stopped: %+v", d)
	}
	if d := act(v, "elsewhere", signaling.ServiceStop); d.OK || !strings.Contains(d.Message, "no such service") {
		t.Errorf("what there is not: %+v", d)
	}
	notes := strings.Join(v.Notes(), "\n")
	for _, want := range []string{"start worker: inactive before, active now", "restart worker failed: failed before", "restart worker: ", "stop worker: active before, inactive now"} {
		if !strings.Contains(notes, want) {
			t.Errorf("the timeline lacks %q:\n%s", want, notes)
		}
	}
}

// TestRights: looking takes diagnostics, acting an administrator too; Handrail's own is left alone.
func TestRights(t *testing.T) {
	v := tooltest.Serve(t, unit.New(initd(t)).Serve, signaling.Diagnostics)
	if d := act(v, "worker", signaling.ServiceStart); d.OK || !strings.Contains(d.Message, "administrator") {
		t.Errorf("without the right: %+v", d)
	}
	v.Allow(signaling.Diagnostics, signaling.Root)
	if d := act(v, "handrail-agent.service", signaling.ServiceStop); d.OK || !strings.Contains(d.Message, "Handrail") {
		t.Errorf("the agent: %+v", d)
	}
}

// TestNoManager: a container has none, and is said to.
func TestNoManager(t *testing.T) {
	v := tooltest.Serve(t, unit.New(&enforce.System{Root: t.TempDir()}).Serve, signaling.Diagnostics, signaling.Root)
	watch(v)
	if m := tooltest.Await[signaling.ServiceRows](v, "an answer", nil); !m.First || !m.Last || m.Manager != signaling.ManagerNone || !strings.Contains(m.Message, "no service manager") {
		t.Errorf("%+v", m)
	}
	if d := act(v, "ssh", signaling.ServiceStart); d.OK || !strings.Contains(d.Message, "no service manager") {
		t.Errorf("%+v", d)
	}
}

// systemctl answers as systemd 252's does, and keeps a state that verbs change; a service whose
// file "broken" is there fails as soon as it is started.
const systemctl = `#!/bin/sh
dir=@ROOT@
state=$(cat $dir/state); enabled=$(cat $dir/enabled)
while [ $# -gt 0 ]; do case "$1" in -*) [ "$1" = -- ] && { shift; break; } ;; *) verb=${verb:-$1} ;; esac; shift; done
case "$verb" in
list-units)
	echo "cups.service loaded $state running CUPS Scheduler"
	echo "● gone.service not-found inactive dead gone.service"
	echo "getty@tty1.service loaded active running Getty on tty1" ;;
list-unit-files) echo "cups.service $enabled enabled"; echo "getty@.service enabled enabled"; echo "old.service masked enabled" ;;
show)
	[ "$1" = cups.service ] || { echo LoadState=not-found; exit 0; }
	printf 'Id=cups.service\nLoadState=loaded\nDescription=CUPS Scheduler\nActiveState=%s\nSubState=running\nUnitFileState=%s\nMainPID=17\nMemoryCurrent=[not set]\nTasksCurrent=1\nResult=success\nExecMainStatus=0\nNRestarts=2\nStateChangeTimestamp=Tue 2026-11-24 03:00:00 UTC\nFragmentPath=/lib/systemd/system/cups.service\nRequires=cups.socket sysinit.target\nBindsTo=\n' $state $enabled ;;
start|restart) if [ -e $dir/broken ]; then echo failed >$dir/state; echo 'Job for cups.service failed. See "systemctl status cups.service" for details.' >&2; exit 1; fi; echo active >$dir/state ;;
stop) echo inactive >$dir/state ;;
enable|disable) echo ${verb}d >$dir/enabled ;;
esac
`

func TestSystemd(t *testing.T) {
	root := t.TempDir()
	write(t, root+"/run/systemd/system/x", "")
	write(t, root+"/state", "failed")
	write(t, root+"/enabled", "disabled")
	write(t, root+"/bin/systemctl", strings.ReplaceAll(systemctl, "@ROOT@", root))
	write(t, root+"/bin/journalctl", "#!/bin/sh\necho '2026-11-24T03:00:00+0000 pc cupsd[17]: Unable to open listen socket'\n")
	sys := &enforce.System{Root: root, Path: root + "/bin:/usr/bin:/bin"}
	v := tooltest.Serve(t, unit.New(sys).Serve, signaling.Diagnostics, signaling.Root)
	watch(v)
	m := tooltest.Await[signaling.ServiceRows](v, "the list", nil)
	want := []signaling.ServiceRow{
		{Name: "cups.service", Description: "CUPS Scheduler", State: "failed", Sub: "running", Enabled: "disabled"},
		{Name: "getty@tty1.service", Description: "Getty on tty1", State: "active", Sub: "running", Enabled: "enabled"},
		{Name: "old.service", State: "inactive", Sub: "dead", Enabled: "masked"},
	}
	if m.Manager != signaling.ManagerSystemd || !slices.Equal(m.Rows, want) {
		t.Errorf("the list is %+v", m)
	}
	write(t, root+"/broken", "")
	if d := act(v, "cups", signaling.ServiceStart); d.OK || d.After != "failed" || !strings.Contains(strings.Join(d.Log, " "), "listen socket") {
		t.Errorf("one that fails: %+v", d)
	}
	if err := os.Remove(root + "/broken"); err != nil {
		t.Fatal(err)
	}
	if d := act(v, "cups.service", signaling.ServiceStart); !d.OK || d.Before != "failed" || d.After != "active" {
		t.Errorf("started: %+v", d)
	}
	tooltest.Await(v, "cups running", func(m signaling.ServiceRows) bool { return len(m.Rows) == 1 && m.Rows[0].State == "active" })
	if d := act(v, "cups.service", signaling.ServiceEnable); !d.OK || d.Before != "disabled" || d.After != "enabled" {
		t.Errorf("enabled: %+v", d)
	}
	v.Say(signaling.TypeServiceLook, "6", signaling.ServiceLook{Name: "cups.service"})
	d := tooltest.Await[signaling.ServiceDetails](v, "details", nil)
	if d.PID != 17 || d.Memory != -1 || d.Tasks != 1 || d.Starts != 2 || d.SinceMS != 1795489200000 || !slices.Equal(d.Needs, []string{"cups.socket", "sysinit.target"}) || len(d.Log) != 1 {
		t.Errorf("details: %+v", d)
	}
	v.Say(signaling.TypeServiceLook, "7", signaling.ServiceLook{Name: "gone"})
	if d := tooltest.Await[signaling.ServiceDetails](v, "details", nil); !strings.Contains(d.Message, "no such service") {
		t.Errorf("details of what there is not: %+v", d)
	}
}
