package process_test

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"

	"handrail/agent/internal/process"
	"handrail/signaling"
	"handrail/signaling/tool/tooltest"
)

// somebody is a user number that nobody of the test machine has: who runs as it, is "signed in".
const somebody = 54321

func atDesk() (int, bool) { return somebody, true }

func watch(v *tooltest.Viewer) {
	v.Say(signaling.TypeProcessWatch, "", signaling.ProcessWatch{EveryMS: 1000})
}

// run starts a shell that says when it is up, as the user; its end is collected.
func run(t *testing.T, uid int, script string) int64 {
	t.Helper()
	cmd := exec.Command("/bin/sh", "-c", "echo up; "+script)
	if uid != 0 && os.Getuid() == 0 {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(uid)}}
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "up\n" {
		t.Fatalf("the process says %q, %v", line, err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = cmd.Wait()
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-ended
	})
	return int64(cmd.Process.Pid)
}

// sees waits until the viewer was told of a process that fits.
func sees(v *tooltest.Viewer, pid int64, fits func(signaling.ProcessRow) bool) signaling.ProcessRow {
	for {
		var rows []signaling.ProcessRow
		switch b := v.Next().Body.(type) {
		case signaling.ProcessRows:
			rows = b.Rows
		case signaling.ProcessChange:
			rows = b.New
		}
		for _, r := range rows {
			if r.PID == pid && (fits == nil || fits(r)) {
				return r
			}
		}
	}
}

// TestList: everything that runs is told once, with what it is, and then only what changes.
func TestList(t *testing.T) {
	busy := run(t, somebody, `while :; do :; done`)
	v := tooltest.Serve(t, process.New(atDesk).Serve, signaling.Diagnostics)
	watch(v)
	all := map[int64]signaling.ProcessRow{}
	for first := true; ; first = false {
		m := tooltest.Await[signaling.ProcessRows](v, "the list", nil)
		if m.First != first {
			t.Fatalf("First is %t", m.First)
		}
		for _, r := range m.Rows {
			all[r.PID] = r
		}
		if m.Last {
			if m.Total != int64(len(all)) {
				t.Errorf("%d rows of %d", len(all), m.Total)
			}
			break
		}
	}
	if r := all[busy]; r.Kind != signaling.ProcessOwn || !strings.Contains(r.Command, "while") || r.Parent != int64(os.Getpid()) || r.Name != "sh" || r.Now.Threads != 1 {
		t.Errorf("the busy shell is %+v", r)
	}
	if r := all[int64(os.Getpid())]; r.Kind != signaling.ProcessAgent {
		t.Errorf("the agent itself is %+v", r)
	}
	if r := all[1]; r.Kind != signaling.ProcessSystem || r.User != "root" {
		t.Errorf("the first process is %+v", r)
	}
	tooltest.Await(v, "the shell being busy", func(c signaling.ProcessChange) bool {
		return slices.ContainsFunc(c.Moved, func(m signaling.ProcessMove) bool { return m.PID == busy && m.Now.CPU > 20 && m.Now.State == "R" })
	})
	late := run(t, somebody, `sleep 600`)
	sees(v, late, nil)
	if err := syscall.Kill(int(late), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	tooltest.Await(v, "the end of it", func(c signaling.ProcessChange) bool { return slices.Contains(c.Gone, late) })
}

// act has one thing done and returns how it went.
func act(v *tooltest.Viewer, row signaling.ProcessRow, what signaling.ProcessVerb, nice int64) signaling.ProcessDone {
	v.Say(signaling.TypeProcessAct, "9", signaling.ProcessAct{PID: row.PID, Birth: row.Birth, What: what, Nice: nice})
	return tooltest.Await[signaling.ProcessDone](v, "an answer", nil)
}

// TestActs: what may be done is done, is seen to be done, and is on the timeline.
func TestActs(t *testing.T) {
	polite := run(t, somebody, `sleep 600 & wait`)
	deaf := run(t, somebody, `trap "" TERM; echo; while :; do sleep 600; done`)
	v := tooltest.Serve(t, process.New(atDesk).Serve, signaling.Diagnostics)
	watch(v)
	row := sees(v, polite, nil)

	if d := act(v, row, signaling.ProcessStop, 0); !d.OK || d.Gone {
		t.Errorf("held: %+v", d)
	}
	tooltest.Await(v, "the process being held", func(c signaling.ProcessChange) bool {
		return slices.ContainsFunc(c.Moved, func(m signaling.ProcessMove) bool { return m.PID == polite && m.Now.State == "T" })
	})
	if d := act(v, row, signaling.ProcessContinue, 0); !d.OK {
		t.Errorf("continued: %+v", d)
	}
	if d := act(v, row, signaling.ProcessNice, 19); !d.OK || !strings.Contains(d.Message, "priority 19 now") {
		t.Errorf("priority: %+v", d)
	}
	if d := act(v, row, signaling.ProcessNice, -5); d.OK || !strings.Contains(d.Message, "administrator") {
		t.Errorf("put before others without being administrator: %+v", d)
	}
	if d := act(v, row, signaling.ProcessEnd, 0); !d.OK || !d.Gone {
		t.Errorf("ended: %+v", d)
	}
	if d := act(v, row, signaling.ProcessEnd, 0); !d.OK || !d.Gone || !strings.Contains(d.Message, "had ended before") {
		t.Errorf("ended once more: %+v", d)
	}

	watch(v)
	row = sees(v, deaf, nil)
	if d := act(v, row, signaling.ProcessEnd, 0); d.OK || d.Gone || !strings.Contains(d.Message, "killing") {
		t.Errorf("one that does not listen: %+v", d)
	}
	if d := act(v, row, signaling.ProcessKill, 0); !d.OK || !d.Gone {
		t.Errorf("killed: %+v", d)
	}
	notes := strings.Join(v.Notes(), "\n")
	for _, want := range []string{
		fmt.Sprintf("stop sh (%d) of %d: ", polite, somebody), "held with priority", "priority 19 now", "end sh", "ended now", "refused", "still runs",
	} {
		if !strings.Contains(notes, want) {
			t.Errorf("the timeline lacks %q:\n%s", want, notes)
		}
	}
}

// TestRights: others' processes take an administrator, and some are left alone by everybody.
func TestRights(t *testing.T) {
	if os.Getuid() != 0 {
		t.Log("only root can start processes of others")
		return
	}
	others := run(t, 0, `sleep 600 & wait`)
	v := tooltest.Serve(t, process.New(atDesk).Serve, signaling.Diagnostics)
	watch(v)
	row := sees(v, others, nil)
	if row.Kind != signaling.ProcessSystem {
		t.Errorf("root's process is %+v", row)
	}
	if d := act(v, row, signaling.ProcessKill, 0); d.OK || !strings.Contains(d.Message, "administrator") {
		t.Errorf("root's process: %+v", d)
	}
	v.Allow(signaling.Diagnostics, signaling.Root)
	if d := act(v, row, signaling.ProcessKill, 0); !d.OK || !d.Gone {
		t.Errorf("as administrator: %+v", d)
	}
	watch(v)
	first := sees(v, 1, nil)
	if d := act(v, first, signaling.ProcessKill, 0); d.OK || !strings.Contains(d.Message, "Restart the device") {
		t.Errorf("the first process: %+v", d)
	}
	watch(v)
	if d := act(v, sees(v, int64(os.Getpid()), nil), signaling.ProcessKill, 0); d.OK || !strings.Contains(d.Message, "Handrail") {
		t.Errorf("the agent: %+v", d)
	}
}

// TestNumberOfAnother: a process that has the number, but began at another time, is not touched.
func TestNumberOfAnother(t *testing.T) {
	pid := run(t, somebody, `sleep 600 & wait`)
	v := tooltest.Serve(t, process.New(atDesk).Serve, signaling.Diagnostics, signaling.Root)
	watch(v)
	row := sees(v, pid, nil)
	row.Birth--
	if d := act(v, row, signaling.ProcessKill, 0); !d.Gone || !strings.Contains(d.Message, "had ended before") {
		t.Errorf("%+v", d)
	}
	if err := syscall.Kill(int(pid), 0); err != nil {
		t.Errorf("the process with that number: %v", err)
	}
	v.Say(signaling.TypeProcessLook, "1", signaling.ProcessLook{PID: pid, Birth: row.Birth})
	if d := tooltest.Await[signaling.ProcessDetails](v, "details", nil); !d.Gone || d.Exe != "" {
		t.Errorf("details of another: %+v", d)
	}
}

// TestDetails: what a process is and has open; of its environment the names, as values are often secrets.
func TestDetails(t *testing.T) {
	pid := run(t, somebody, `export SECRET_TOKEN=hunter2; exec sleep 600 </dev/null`)
	v := tooltest.Serve(t, process.New(atDesk).Serve, signaling.Diagnostics)
	watch(v)
	row := sees(v, pid, func(r signaling.ProcessRow) bool { return strings.HasPrefix(r.Command, "sleep") })
	v.Say(signaling.TypeProcessLook, "1", signaling.ProcessLook{PID: pid, Birth: row.Birth})
	d := tooltest.Await[signaling.ProcessDetails](v, "details", nil)
	if !slices.Equal(d.Command, []string{"sleep", "600"}) || !strings.HasSuffix(d.Exe, "/sleep") || d.Dir == "" || d.FileCount < 3 || d.Files[0].Name != "/dev/null" {
		t.Errorf("details %+v", d)
	}
	if !slices.Contains(d.Env, "SECRET_TOKEN") || strings.Contains(fmt.Sprint(d), "hunter2") {
		t.Errorf("environment %q", d.Env)
	}
}

func TestRefusesWhatItDoesNotKnow(t *testing.T) {
	for name, text := range map[string]string{"another's": `{"v":1,"type":"vitals.watch","body":{"every_ms":1000}}`, "nonsense": `{`} {
		v := tooltest.Serve(t, process.New(func() (int, bool) { return 0, false }).Serve, signaling.Diagnostics)
		v.SayText(text)
		if err := v.End(); err == nil {
			t.Errorf("%s is taken", name)
		}
	}
}
