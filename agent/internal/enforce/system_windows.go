package enforce

import (
	"io/fs"
	"os"
	"os/exec"
	"syscall"
)

func ownGroup(*exec.Cmd, int, int) {}

func ownerOf(fs.FileInfo) (uid, gid int) { return -1, -1 }

// A directory cannot be synced on Windows; renames are journalled by the file system.
func syncDir(string) error { return nil }

// errNotDir is what looking below something that is no directory gives.
const errNotDir = syscall.ENOTDIR

// Flags of opening that Windows does not have.
const (
	noFollow = 0
	noWait   = 0
)

// setMode goes by the name: a handle for reading may not change attributes.
func setMode(f *os.File, m fs.FileMode) error { return os.Chmod(f.Name(), m) }
