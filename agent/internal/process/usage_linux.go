package process

import (
	"context"
	"time"

	"handrail/signaling"
)

// Usage is what a process takes of the device.
type Usage struct {
	PID     int64
	Name    string
	User    string
	Kind    signaling.ProcessKind
	CPU     int64         // thousandths of one core, while it was looked at
	Spent   time.Duration // processor time since it began
	Age     time.Duration
	Memory  int64 // resident, in bytes
	Waiting bool  // for a disk or the like, at both looks
}

// Usages looks at everything that runs, for as long as over, and returns what was there both at
// the beginning and at the end.
func (t *Tool) Usages(ctx context.Context, over time.Duration) ([]Usage, error) {
	list, err := newTable(t.who)
	if err != nil {
		return nil, err
	}
	defer list.close()
	waiting := map[int64]bool{}
	if _, err := list.read(func(_ change, e *entry) error {
		if e.row.Now.State == "D" {
			waiting[e.row.PID] = true
		}
		return nil
	}); err != nil {
		return nil, err
	}
	wait := time.NewTimer(over)
	defer wait.Stop()
	select {
	case <-wait.C:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	var out []Usage
	now := time.Now()
	_, err = list.read(func(kind change, e *entry) error {
		if kind == fresh {
			return nil
		}
		out = append(out, Usage{
			PID: e.row.PID, Name: e.row.Name, User: e.row.User, Kind: e.row.Kind, CPU: e.row.Now.CPU, Spent: time.Duration(e.ticks) * tick,
			Age: now.Sub(time.UnixMilli(e.row.StartMS)), Memory: e.row.Now.Memory, Waiting: waiting[e.row.PID] && e.row.Now.State == "D",
		})
		return nil
	})
	return out, err
}
