package files

import (
	"testing"
	"time"

	"handrail/signaling/file"
)

// settled sends and acknowledges blocks on a line that takes so long for what is on its way.
func settled(took func(blocks int) time.Duration) *window {
	w := &window{blocks: firstWindow}
	now, end := time.Unix(0, 0), int64(0)
	for range 2000 {
		blocks := 0
		for ; !w.full(); blocks++ {
			end += file.MaxBlock
			w.send(end, now)
		}
		now = now.Add(took(blocks))
		w.ack(end, now)
	}
	return w
}

// TestWindow: a quick line is filled, and what would only stand in a queue is not sent.
func TestWindow(t *testing.T) {
	if w := settled(func(int) time.Duration { return 5 * time.Millisecond }); int(w.blocks) != file.MaxWindow {
		t.Errorf("on a quick line %v blocks are on their way, want %d", w.blocks, file.MaxWindow)
	}
	w := settled(func(blocks int) time.Duration {
		return 20*time.Millisecond + time.Duration(max(0, blocks-leastWindow))*6*time.Millisecond
	})
	if w.blocks < leastWindow || w.blocks > 28 {
		t.Errorf("on a line with a queue %v blocks are on their way", w.blocks)
	}
}
