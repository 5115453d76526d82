package daemon

import (
	"context"
	"runtime/debug"
	"time"
)

// restAfter is how long after its start, and after a new manifest, the agent gives back what
// only its start needed.
const restAfter = 20 * time.Second

// keepSmall returns memory that is not needed at rest, whenever something that needed more
// has ended.
func (d *Daemon) keepSmall(ctx context.Context) error {
	t := time.NewTimer(restAfter)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-d.worked:
			t.Reset(restAfter)
		case <-t.C:
			debug.FreeOSMemory()
			if err := dropProgramPages(); err != nil {
				d.log.Debug("pages of the program stay", "err", err)
			}
		}
	}
}

// work says that something ran that needed memory.
func (d *Daemon) work() {
	select {
	case d.worked <- struct{}{}:
	default:
	}
}
