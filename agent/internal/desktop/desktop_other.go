//go:build !linux

package desktop

import "context"

func supported(Config) error { return ErrUnsupported }

// Run waits for the end of ctx; New has refused before.
func (d *Desktop) Run(ctx context.Context) error {
	<-ctx.Done()
	return nil
}
