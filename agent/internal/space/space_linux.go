package space

import (
	"context"
	"fmt"
	"path"
	"sync/atomic"
	"time"

	"handrail/mdm"
	"handrail/signaling"
	"handrail/signaling/tool"
)

// Paces and limits of walks.
const (
	tellEvery  = 500 * time.Millisecond
	leaveAfter = 2 * time.Second // a walk that hangs in the kernel is left to itself
	maxWalks   = 4               // at a time, of all viewers together, those that hang too
)

// Tool is the tool. It is safe for concurrent use.
type Tool struct {
	ask   asker
	walks atomic.Int32
}

// New returns the tool.
func New() *Tool { return &Tool{} }

// Serve serves one viewer until the channel ends; a tool.Serve.
func (t *Tool) Serve(ctx context.Context, c tool.Conn) error {
	ctx, asked, stop := tool.Asked(ctx, c)
	defer stop()
	end := func() {}
	defer func() { end() }()
	for {
		var err error
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case e := <-asked:
			switch b := e.Body.(type) {
			case signaling.SpaceAsk:
				err = t.tellVolumes(ctx, c)
			case signaling.SpaceWalk:
				end()
				end = t.start(ctx, c, b)
			case signaling.SpaceStop:
				end()
				end = func() {}
			default:
				err = tool.NotFor(e)
			}
		}
		if err != nil {
			return err
		}
	}
}

func (t *Tool) tellVolumes(ctx context.Context, c tool.Conn) error {
	all, err := t.Volumes(ctx)
	m := signaling.SpaceVolumes{Volumes: []signaling.SpaceVolume{}}
	if err != nil {
		m.Message = mdm.Clean(err.Error(), 500)
	}
	room := tool.Room
	for _, v := range all {
		if room -= 220 + tool.Weight(v.Mount, v.Device, v.Kind); room < 0 {
			m.Message = "There are more than can be shown."
			break
		}
		m.Volumes = append(m.Volumes, v)
	}
	return tool.Tell(ctx, c, signaling.TypeSpaceVolumes, "", m)
}

// start begins a walk that tells what it finds; end ends it and waits until nothing more is told.
func (t *Tool) start(ctx context.Context, c tool.Conn, a signaling.SpaceWalk) (end func()) {
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		defer cancel()
		last := t.walk(ctx, a.Path, time.Duration(a.Seconds)*time.Second, func(m signaling.SpaceTree) error {
			return tool.Tell(ctx, c, signaling.TypeSpaceTree, "", m)
		})
		_ = tool.Tell(context.WithoutCancel(ctx), c, signaling.TypeSpaceTree, "", last) // an error is the channel's end
	}()
	return func() {
		cancel()
		<-ended
	}
}

// Walk walks below a directory for at most so long and returns the largest of what it found.
func (t *Tool) Walk(ctx context.Context, dir string, within time.Duration) signaling.SpaceTree {
	return t.walk(ctx, dir, within, nil)
}

// walk tells the tree as it grows, where tell is not nil, and returns it in the end.
func (t *Tool) walk(ctx context.Context, dir string, within time.Duration, tell func(signaling.SpaceTree) error) signaling.SpaceTree {
	dir = path.Clean(dir)
	failed := func(why string) signaling.SpaceTree {
		return signaling.SpaceTree{Path: show(dir, 4096), Done: true, Message: mdm.Clean(why, 1000), Nodes: []signaling.SpaceNode{}}
	}
	if t.walks.Add(1) > maxWalks {
		t.walks.Add(-1)
		return failed("Too many directories are being looked at already. Wait for one to end.")
	}
	timed, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	type begun struct {
		w   *walker
		err error
	}
	ready, done := make(chan begun, 1), make(chan struct{})
	go func() {
		defer t.walks.Add(-1)
		defer close(done)
		w, f, err := newWalker(dir)
		ready <- begun{w, err}
		if err == nil {
			w.run(timed, f)
		}
	}()
	var w *walker
	select {
	case b := <-ready:
		if w = b.w; b.err != nil {
			return failed(fmt.Sprintf("It cannot be looked at: %s.", b.err))
		}
	case <-timed.Done():
		return failed("Its file system does not answer.")
	}
	beat := time.NewTicker(tellEvery)
	defer beat.Stop()
	over := timed.Done()
	var leave <-chan time.Time
	for {
		select {
		case <-beat.C:
			if tell != nil && leave == nil && tell(w.tree(maxNodes)) != nil {
				cancel() // nobody is there any more
			}
			continue
		case <-over:
			over, leave = nil, time.After(leaveAfter)
			continue
		case <-leave:
		case <-done:
		}
		last := w.tree(maxNodes)
		if last.Done = true; last.Message == "" && !last.Whole {
			last.Message = "A file system does not answer."
		}
		return last
	}
}
