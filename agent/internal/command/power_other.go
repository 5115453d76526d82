//go:build !linux && !windows

package command

// The programs of this system.
var (
	bootProgram  = []string{"sysctl", "-n", "kern.boottime"}
	restartArgs  = []string{"-r", "now"}
	shutdownArgs = []string{"-h", "now"}
)
