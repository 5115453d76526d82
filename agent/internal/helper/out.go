package helper

import (
	"context"
	"errors"
	"io"
	"sync"
)

// errBehind ends a connection whose other end does not read.
var errBehind = errors.New("the other process does not read")

// maxBehind is how many bytes may wait to be written. Pictures do not count: there is one of
// each viewer at most.
const maxBehind = 8 << 20

// out writes frames in the order they were put, without making anybody wait.
type out struct {
	mu      sync.Mutex
	waiting []byte // frames
	spare   []byte // to take turns with waiting
	err     error  // why nothing is written any more
	wake    chan struct{}
	behind  chan struct{} // closed when the other end does not read
}

func newOut() *out { return &out{wake: make(chan struct{}, 1), behind: make(chan struct{})} }

// put queues a frame whose body fill appends. It reports false when the connection has ended.
func (o *out) put(k kind, id uint32, fill func(b []byte) []byte) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.err != nil {
		return false
	}
	from := len(o.waiting)
	o.waiting = appendHead(o.waiting, k, id, 0)
	if fill != nil {
		o.waiting = fill(o.waiting)
	}
	appendHead(o.waiting[:from], k, id, len(o.waiting)-from-headerSize) // in place: it has the room
	if len(o.waiting) > maxBehind && k != kindPicture {
		o.err = errBehind
		close(o.behind)
	}
	select {
	case o.wake <- struct{}{}:
	default:
	}
	return o.err == nil
}

func (o *out) bytes(k kind, id uint32, body []byte) bool {
	return o.put(k, id, func(b []byte) []byte { return append(b, body...) })
}

// run writes until ctx ends or w does; it returns why.
func (o *out) run(ctx context.Context, w io.Writer) error {
	for {
		o.mu.Lock()
		now, err := o.waiting, o.err
		o.waiting, o.spare = o.spare[:0], nil
		o.mu.Unlock()
		if err == nil && len(now) > 0 {
			_, err = w.Write(now)
		}
		o.mu.Lock()
		o.spare = now[:0]
		if err != nil {
			o.err = err
		}
		more := len(o.waiting) > 0
		o.mu.Unlock()
		switch {
		case err != nil:
			return err
		case more:
			continue
		}
		select {
		case <-o.wake:
		case <-ctx.Done():
			o.end(ctx.Err())
			return ctx.Err()
		}
	}
}

// watch ends with an error when the other end does not read: run is still waiting for it then.
func (o *out) watch(ctx context.Context) error {
	select {
	case <-o.behind:
		return errBehind
	case <-ctx.Done():
		return nil
	}
}

func (o *out) end(err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.err == nil {
		o.err = err
	}
}
