//go:build unix

package server

import "syscall"

// maxConnections is how many connections fit into the files the process may open; Go raises that to
// what the system allows when it starts. 0 is no bound.
func maxConnections() int {
	var files syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &files); err != nil {
		return 0
	}
	n := int(min(files.Cur, 1<<30)) //nolint:gosec // bounded
	return max(n-filesForOthers, n/2)
}
