package shell

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
)

// signalAll sends a signal to every process of a session of the kernel, or none with 0, and
// returns how many there are. Ended ones that nobody collected do not count.
func signalAll(sid int, sig syscall.Signal) int {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return 0
	}
	n := 0
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil || !isMember(pid, sid) {
			continue
		}
		n++
		if sig == 0 {
			continue
		}
		// The handle is looked at again, as the number could be another's by now.
		if p, err := os.FindProcess(pid); err == nil {
			if isMember(pid, sid) {
				_ = p.Signal(sig) // one that is gone needs none
			}
			_ = p.Release()
		}
	}
	return n
}

// isMember reads the session of a process: the fourth field behind its name in parentheses, which
// may hold anything (proc(5)).
func isMember(pid, sid int) bool {
	b, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	if err != nil {
		return false
	}
	f := bytes.Fields(b[bytes.LastIndexByte(b, ')')+1:])
	return len(f) > 3 && string(f[0]) != "Z" && string(f[0]) != "X" && string(f[3]) == strconv.Itoa(sid)
}
