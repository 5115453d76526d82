//go:build !linux

package helper

import (
	"context"
	"errors"
	"io"
	"log/slog"

	"handrail/agent/internal/seat"
)

// ConnFile is the file descriptor a helper finds its connection at.
const ConnFile = 3

// Starter returns a RemoteConfig.Start; on this system there is no helper, and the daemon's own
// process does its work (see Local).
func Starter([]string, *slog.Logger) func(ctx context.Context, d seat.Desktop) (io.ReadWriteCloser, error) {
	return func(context.Context, seat.Desktop) (io.ReadWriteCloser, error) {
		return nil, errors.ErrUnsupported
	}
}
