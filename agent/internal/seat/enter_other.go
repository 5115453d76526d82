//go:build !linux

package seat

import "os/exec"

// Enter has a program that is not yet started run in the desktop, which is this process's own.
func (d Desktop) Enter(cmd *exec.Cmd) error {
	cmd.Env = d.Env
	return nil
}
