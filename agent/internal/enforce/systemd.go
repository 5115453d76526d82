package enforce

import (
	"context"
	"os"
)

// Systemctl runs systemctl on the running system. On a scratch tree, or where systemd does
// not run, it does nothing: there is nobody to tell.
func (s *System) Systemctl(ctx context.Context, args ...string) error {
	if !s.Live() {
		return nil
	}
	if _, err := os.Stat("/run/systemd/system"); err != nil {
		return nil //nolint:nilerr // as said
	}
	tool, err := s.Tool("systemctl", "systemd")
	if err != nil {
		return err
	}
	_, err = s.Run(ctx, Program{Path: tool, Args: append([]string{"--no-ask-password", "--quiet"}, args...)})
	return err
}
