//go:build unix

package enforce

import (
	"io/fs"
	"os"
	"os/exec"
	"syscall"
)

// ownGroup gives a program a process group of its own, which is killed as a whole.
func ownGroup(cmd *exec.Cmd, uid, gid int) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if uid != 0 && uid != os.Geteuid() {
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)} //nolint:gosec // from the user database
	}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
}

// ownerOf returns whose a file is.
func ownerOf(info fs.FileInfo) (uid, gid int) {
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		return int(st.Uid), int(st.Gid)
	}
	return -1, -1
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

// errNotDir is what looking below something that is no directory gives.
const errNotDir = syscall.ENOTDIR

// Flags of opening: no link at the end of the path, and no waiting for a pipe's other end.
const (
	noFollow = syscall.O_NOFOLLOW
	noWait   = syscall.O_NONBLOCK
)

func setMode(f *os.File, m fs.FileMode) error { return f.Chmod(m) }
