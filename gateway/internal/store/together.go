package store

import (
	"context"
	"errors"
	"sync"
	"time"
)

// together gathers what many callers want written at once and writes it in one transaction: a
// commit costs a flush of the disk, and on SQLite one follows the other. While one batch is
// written the next gathers; a caller who is alone waits for nobody. Every caller is answered
// after its own batch is committed.
type together[T any] struct {
	most int // jobs of a batch
	// run writes a batch and says of each job what became of it. It is never run twice at a time.
	run  func(ctx context.Context, batch []*job[T])
	turn chan struct{} // held by who writes

	mu    sync.Mutex
	queue []*job[T]
}

// job is what one caller wants written.
type job[T any] struct {
	what T
	err  error
	done chan struct{}
}

// batchWithin bounds one batch: it is written for many, so that no caller's context ends it.
const batchWithin = 30 * time.Second

var errUnwritten = errors.New("the batch was not written")

func newTogether[T any](most int, run func(ctx context.Context, batch []*job[T])) *together[T] {
	return &together[T]{most: most, run: run, turn: make(chan struct{}, 1)}
}

// do returns when what is written, or is certain not to be.
func (g *together[T]) do(ctx context.Context, what T) error {
	j := &job[T]{what: what, done: make(chan struct{})}
	g.mu.Lock()
	g.queue = append(g.queue, j)
	g.mu.Unlock()
	for {
		select {
		case <-j.done:
			return j.err
		case <-ctx.Done():
			if g.leave(j) {
				return ctx.Err()
			}
			<-j.done // it is being written
			return j.err
		case g.turn <- struct{}{}:
			g.write(ctx)
		}
	}
}

// leave takes a job back that nobody has begun with.
func (g *together[T]) leave(j *job[T]) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	for i, q := range g.queue {
		if q == j {
			g.queue = append(g.queue[:i], g.queue[i+1:]...)
			return true
		}
	}
	return false
}

// write writes the oldest that wait and passes the turn on.
func (g *together[T]) write(ctx context.Context) {
	g.mu.Lock()
	n := min(len(g.queue), g.most)
	batch := append([]*job[T](nil), g.queue[:n]...)
	g.queue = append(g.queue[:0], g.queue[n:]...)
	clear(g.queue[len(g.queue) : len(g.queue)+n])
	g.mu.Unlock()
	defer func() {
		for _, j := range batch {
			close(j.done)
		}
		<-g.turn
	}()
	if n == 0 {
		return // another wrote for this caller meanwhile
	}
	for _, j := range batch {
		j.err = errUnwritten
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), batchWithin)
	defer cancel()
	g.run(ctx, batch)
}

// each runs a batch with write, and where that fails job by job, so that one that cannot be
// written fails alone.
func (g *together[T]) each(batch []*job[T], write func(batch []*job[T]) error) {
	err := write(batch)
	if err == nil {
		return
	}
	if len(batch) == 1 || isAway(err) {
		for _, j := range batch {
			j.err = err
		}
		return
	}
	for i := range batch {
		if err := write(batch[i : i+1]); err != nil {
			batch[i].err = err
		}
	}
}
