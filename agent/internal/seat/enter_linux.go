package seat

import (
	"fmt"
	"os"
	"os/exec"
	"syscall"

	"handrail/agent/internal/account"
)

// Enter has a program that is not yet started run in the desktop, as whoever it belongs to.
func (d Desktop) Enter(cmd *exec.Cmd) error {
	cmd.Env = d.Env
	who, err := account.ByUID(d.UID)
	if err != nil {
		if d.UID == os.Geteuid() {
			return nil // what this process is it need not become
		}
		return fmt.Errorf("account of the desktop: %w", err)
	}
	if c := who.Credential(); c != nil {
		if cmd.SysProcAttr == nil {
			cmd.SysProcAttr = &syscall.SysProcAttr{}
		}
		cmd.SysProcAttr.Credential, cmd.Dir = c, "/"
	}
	return nil
}
