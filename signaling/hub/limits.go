package hub

import (
	"errors"
	"fmt"
	"time"

	"handrail/signaling"
)

// Limits bound what one connection may cost. The zero value is what production uses.
type Limits struct {
	Heartbeat    time.Duration // between pings; 0 means 15 s. A ping unanswered at the next one ends the connection
	Handshake    time.Duration // from upgrade to welcome or ready; 0 means 10 s
	Write        time.Duration // for one frame to leave; 0 means 10 s
	QueueBytes   int           // waiting to be written; 0 means 1 MiB. Over it the consumer is too slow and is cut off
	MaxFaults    int           // refused frames before the connection is closed; 0 means 32
	MessageRate  int           // messages read per second, steady; 0 means 200. Above it reading pauses
	MessageBurst int           // messages that may come at once; 0 means 1000
}

func (l Limits) withDefaults() Limits {
	set := func(d *time.Duration, v time.Duration) {
		if *d <= 0 {
			*d = v
		}
	}
	num := func(n *int, v int) {
		if *n <= 0 {
			*n = v
		}
	}
	set(&l.Heartbeat, 15*time.Second)
	set(&l.Handshake, 10*time.Second)
	set(&l.Write, 10*time.Second)
	num(&l.QueueBytes, 1<<20)
	num(&l.MaxFaults, 32)
	num(&l.MessageRate, 200)
	num(&l.MessageBurst, 1000)
	return l
}

// Why a connection ended; Gone callbacks get one of these, or the error of the network.
var (
	ErrClosed   = errors.New("closed")                                        // by Close, or after a refusal
	ErrLeft     = errors.New("closed by the other end")                       // a clean close
	ErrSilent   = errors.New("heartbeat missed")                              // cut, or asleep
	ErrSlow     = errors.New("too slow: its queue of outgoing bytes is full") //
	ErrFaults   = errors.New("too many refused messages")                     //
	ErrReplaced = errors.New("replaced by a newer connection of the same device")
	ErrDraining = errors.New("gateway is draining")
)

// Refusal is an error the other end is told in full. Every other error of a callback is
// told as CodeInternal, and logged.
type Refusal struct {
	Code       signaling.Code
	Message    string        // words for whoever can act on it
	RetryAfter time.Duration // 0: the other end should not retry by itself
}

func (r *Refusal) Error() string { return fmt.Sprintf("%s: %s", r.Code, r.Message) }

// bucket paces what is read from one connection. It is used by its reader alone.
type bucket struct {
	tokens float64
	last   time.Time
}

// take returns how long to wait before the next message may be handled.
func (b *bucket) take(l *Limits, now time.Time) time.Duration {
	if b.last.IsZero() {
		b.tokens = float64(l.MessageBurst)
	} else {
		b.tokens = min(float64(l.MessageBurst), b.tokens+now.Sub(b.last).Seconds()*float64(l.MessageRate))
	}
	b.last = now
	b.tokens--
	if b.tokens >= 0 {
		return 0
	}
	return time.Duration(-b.tokens / float64(l.MessageRate) * float64(time.Second))
}
