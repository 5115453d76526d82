package command

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"syscall"
	"time"

	"handrail/mdm/command"
)

// settle has the kernel, when memory runs out, take the script rather than others.
func settle(pid int) {
	_ = os.WriteFile(fmt.Sprintf("/proc/%d/oom_score_adj", pid), []byte("500"), 0o600)
}

// processesOf returns the living processes of a script: those in its session, and those that
// left it but still carry its mark. session 0 looks for the mark only.
func processesOf(id command.ID, session int) []int {
	d, err := os.Open("/proc")
	if err != nil {
		return nil
	}
	defer d.Close()
	names, err := d.Readdirnames(-1)
	if err != nil {
		return nil
	}
	mark := []byte(marker + string(id))
	own := os.Getpid()
	var pids []int
	for _, name := range names {
		pid, err := strconv.Atoi(name)
		if err != nil || pid == own {
			continue
		}
		stat, err := os.ReadFile("/proc/" + name + "/stat")
		if err != nil {
			continue
		}
		state, sid, ok := parseStat(stat)
		if !ok || state == 'Z' || state == 'X' {
			continue
		}
		if sid == session && session != 0 {
			pids = append(pids, pid)
			continue
		}
		env, err := os.ReadFile("/proc/" + name + "/environ")
		if err == nil && (bytes.HasPrefix(env, append(mark, 0)) || bytes.Contains(env, append(append([]byte{0}, mark...), 0))) {
			pids = append(pids, pid)
		}
	}
	return pids
}

// parseStat reads state and session of /proc/<pid>/stat; the name in it may hold anything.
func parseStat(b []byte) (state byte, session int, ok bool) {
	end := bytes.LastIndexByte(b, ')')
	if end < 0 {
		return 0, 0, false
	}
	f := bytes.Fields(b[end+1:])
	if len(f) < 4 || len(f[0]) != 1 {
		return 0, 0, false
	}
	session, err := strconv.Atoi(string(f[3]))
	return f[0][0], session, err == nil
}

func count(id command.ID, session int) int { return len(processesOf(id, session)) }

// rounds bounds how often endAll looks for more: each stops all that could make more.
const rounds = 200

// endAll ends every process of a script. Its group goes first, in one call that no fork of
// its members outruns; then those that left the group: stopped, all of them, before they
// are ended, as they may make new ones faster than they are found.
func endAll(id command.ID, session int) {
	if session > 1 {
		_ = syscall.Kill(-session, syscall.SIGKILL)
	}
	stopped := map[int]bool{}
	for range rounds {
		news := false
		for _, pid := range processesOf(id, session) {
			if !stopped[pid] {
				stopped[pid], news = true, true
				_ = syscall.Kill(pid, syscall.SIGSTOP)
			}
		}
		if !news {
			break
		}
	}
	for range rounds {
		pids := processesOf(id, session)
		if len(pids) == 0 {
			return
		}
		for _, pid := range pids {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
		pause(5 * time.Millisecond)
	}
}

// endLeftovers ends what a script of an agent that was killed still does.
func endLeftovers(id command.ID) { endAll(id, 0) }

func pause(d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	<-t.C
}
