package link

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"time"

	"handrail/signaling"
)

// turnAnswer is how long the gateway may take to say when this device's turn is. It is
// asked of a gateway that is overrun, too.
const turnAnswer = 30 * time.Second

// mostTurn is the longest that a device waits for its turn; a gateway that says more is not
// believed.
const mostTurn = time.Hour

var errNoTurn = errors.New("the gateway did not say when it takes the inventory")

// turns is when this device may upload. The zero value has not asked yet.
type turns struct {
	asking sync.Mutex // one question at a time

	mu      sync.Mutex
	at      time.Time // the newest that was given
	asked   string    // the message that waits for an answer
	answers chan time.Duration
}

// give notes that the turn is in a while.
func (t *turns) give(after time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.at = time.Now().Add(min(after, mostTurn))
}

// left returns how far away the turn is, and whether one was given that can still be used.
func (t *turns) left() (time.Duration, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	left := time.Until(t.at)
	return max(left, 0), left > -signaling.InventoryTurnHolds
}

// ask notes a new question, and returns where its answer arrives. The channel is closed when the
// link is lost.
func (t *turns) ask() (id string, answer <-chan time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.asked, t.answers = signaling.NewID("turn"), make(chan time.Duration, 1)
	return t.asked, t.answers
}

// answered takes a message if it is the answer. A gateway that does not know the question takes
// uploads as they come.
func (t *turns) answered(e signaling.Envelope) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if e.Re == "" || e.Re != t.asked {
		return false
	}
	var after time.Duration
	switch b := e.Body.(type) {
	case signaling.InventoryTurn:
		after = time.Duration(min(max(b.AfterMS, 0), mostTurn.Milliseconds())) * time.Millisecond
	case signaling.Error:
	default:
		return false
	}
	t.answers <- after
	t.asked = ""
	return true
}

// lost ends the wait for an answer: the next link is asked anew.
func (t *turns) lost() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.asked != "" {
		close(t.answers)
		t.asked = ""
	}
}

// awaitTurn asks the gateway for a turn unless there is one. It returns nil when the turn
// is now, and an error with a RetryAfter when it is not.
func (l *Link) awaitTurn(ctx context.Context) error {
	l.turns.asking.Lock()
	defer l.turns.asking.Unlock()
	left, ok := l.turns.left()
	if !ok {
		id, answer := l.turns.ask()
		if err := l.client.Send(signaling.Envelope{Type: signaling.TypeInventoryAsk, ID: id, Body: signaling.InventoryAsk{}}); err != nil {
			return err
		}
		t := time.NewTimer(turnAnswer)
		defer t.Stop()
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-t.C:
			return errNoTurn
		case left, ok = <-answer:
			if !ok {
				return ErrOffline
			}
		}
		l.turns.give(left)
	}
	if left > 0 {
		return &Problem{
			Status: http.StatusServiceUnavailable, Code: signaling.CodeBusy, Title: "the gateway takes this device's inventory later",
			RetryAfterMS: max(left.Milliseconds(), 1),
		}
	}
	return nil
}
