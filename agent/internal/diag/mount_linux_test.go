package diag

import (
	"context"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"
)

// inNamespace says that this process was started by TestWatchMounts in a mount namespace of
// its own.
const inNamespace = "HANDRAIL_TEST_MOUNTS"

// TestWatchMounts mounts something in a namespace of its own: nothing of this machine changes.
func TestWatchMounts(t *testing.T) {
	if os.Getenv(inNamespace) == "" {
		cmd := exec.Command(os.Args[0], "-test.run=^TestWatchMounts$", "-test.v")
		cmd.Env = append(os.Environ(), inNamespace+"=1")
		cmd.SysProcAttr = &syscall.SysProcAttr{
			Cloneflags: syscall.CLONE_NEWNS | syscall.CLONE_NEWUSER, UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}},
			GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}},
		}
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("in a namespace of its own: %v\n%s", err, out)
		}
		return
	}
	dir := t.TempDir()
	said := heard(t, func(ctx context.Context, changed func()) error { return watchMounts(ctx, changed) })
	mounted := false
	ok := until(t, said, func() error {
		if mounted {
			mounted = false
			return syscall.Unmount(dir, 0)
		}
		mounted = true
		return syscall.Mount("none", dir, "tmpfs", 0, "")
	})
	if !ok {
		t.Error("nothing was said of a mount")
	}
	if mounted {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	}
	select {
	case <-said:
	case <-time.After(time.Second):
	}
}
