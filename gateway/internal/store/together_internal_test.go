package store

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"

	"handrail/mdm"
)

// TestTogether has many callers write at once: each is answered once its own is written, and one
// that cannot be written fails alone.
func TestTogether(t *testing.T) {
	errOdd := errors.New("odd")
	var mu sync.Mutex
	written := map[int]int{}
	begun, held := make(chan struct{}, 1), make(chan struct{})
	var g *together[int]
	g = newTogether(8, func(_ context.Context, batch []*job[int]) {
		select {
		case begun <- struct{}{}:
			<-held
		default:
		}
		g.each(batch, func(some []*job[int]) error {
			mu.Lock()
			defer mu.Unlock()
			if len(some) > 8 {
				t.Errorf("a batch of %d", len(some))
			}
			for _, j := range some {
				if j.what%10 == 9 {
					return errOdd
				}
			}
			for _, j := range some {
				j.err = nil
				written[j.what]++
			}
			return nil
		})
	})
	var wg sync.WaitGroup
	for i := range 100 {
		wg.Go(func() {
			err := g.do(t.Context(), i)
			if want := i%10 == 9; errors.Is(err, errOdd) != want {
				t.Errorf("job %d: %v", i, err)
			}
			mu.Lock()
			defer mu.Unlock()
			if err == nil && written[i] != 1 {
				t.Errorf("job %d was answered, and written %d times", i, written[i])
			}
		})
	}
	<-begun
	// One that nobody began with can be taken back.
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := g.do(ctx, 1000); !errors.Is(err, context.Canceled) {
		t.Errorf("a job taken back: %v", err)
	}
	close(held)
	wg.Wait()
	if written[1000] != 0 {
		t.Error("a job taken back was written")
	}
}

// TestTogetherAway tells every caller that the database is away, and asks it once only.
func TestTogetherAway(t *testing.T) {
	var g *together[int]
	asked := 0
	g = newTogether(8, func(_ context.Context, batch []*job[int]) {
		g.each(batch, func([]*job[int]) error {
			asked++
			return classify(context.DeadlineExceeded)
		})
	})
	batch := []*job[int]{{what: 1}, {what: 2}}
	g.run(t.Context(), batch)
	if asked != 1 || slices.ContainsFunc(batch, func(j *job[int]) bool { return !errors.Is(j.err, mdm.ErrUnavailable) }) {
		t.Errorf("asked %d times: %v, %v", asked, batch[0].err, batch[1].err)
	}
}
