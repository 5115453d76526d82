package main

import (
	"slices"
	"sync"
	"time"

	"handrail/agent/internal/prompt"
)

// maxNotices bounds those that wait to be read.
const maxNotices = 20

// endedFor is how long the banner says that a session is over.
const endedFor = 4 * time.Second

// board is what there is to show, as the daemon last said it. The windows draw it anew on
// each change. It is safe for concurrent use.
type board struct {
	wanted chan struct{} // closed when there is something to show for the first time

	mu      sync.Mutex
	conn    *prompt.Conn // nil while the daemon cannot be reached
	asks    []question   // oldest first; the first is on the screen
	banners []prompt.Banner
	notices []prompt.Notice // oldest first; the first is on the screen
	ended   []ending
	since   time.Time // when the board was last not empty
	changed func()    // draws; nil until there are windows
	shown   bool      // wanted is closed
}

// question is one for the person, with its end by this machine's clock.
type question struct {
	prompt.Ask
	until time.Time
}

// ending is a session that is over, still said for a moment.
type ending struct {
	banner prompt.Banner
	until  time.Time
}

func newBoard() *board { return &board{wanted: make(chan struct{}), since: time.Now()} }

func (b *board) attach(conn *prompt.Conn) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.conn = conn
}

// clear empties the board: without the daemon nobody is viewing, and no answer can be given.
// Notices stay until they are closed.
func (b *board) clear() {
	b.mu.Lock()
	b.asks, b.banners = nil, nil
	b.mu.Unlock()
	b.draw()
}

// put acts on a message of the daemon.
func (b *board) put(m prompt.Message) {
	b.mu.Lock()
	now := time.Now()
	switch m.Type {
	case prompt.TypeAsk:
		b.asks = append(b.asks, question{Ask: *m.Ask, until: now.Add(time.Duration(m.Ask.WithinMS) * time.Millisecond)})
	case prompt.TypeWithdraw:
		b.asks = slices.DeleteFunc(b.asks, func(q question) bool { return q.ID == m.ID })
	case prompt.TypeNotice:
		if len(b.notices) < maxNotices { // more than anybody reads
			b.notices = append(b.notices, *m.Notice)
		}
	case prompt.TypeBanners:
		for _, old := range b.banners {
			if !slices.ContainsFunc(m.Banners, func(n prompt.Banner) bool { return n.Session == old.Session }) {
				b.ended = append(b.ended, ending{banner: old, until: now.Add(endedFor)})
			}
		}
		b.banners = m.Banners
	}
	b.mu.Unlock()
	b.draw()
}

// draw has the windows drawn; the first thing to show opens them.
func (b *board) draw() {
	b.mu.Lock()
	f := b.changed
	if !b.shown && len(b.asks)+len(b.banners)+len(b.notices) > 0 {
		b.shown = true
		close(b.wanted)
	}
	b.mu.Unlock()
	if f != nil {
		f()
	}
}

// onChange sets who draws.
func (b *board) onChange(f func()) {
	b.mu.Lock()
	b.changed = f
	b.mu.Unlock()
	f()
}

// view is the board at one moment.
type view struct {
	ask     *question      // on the screen; nil for none
	waiting int            // questions behind it
	notice  *prompt.Notice // on the screen; nil for none
	unread  int            // notices behind it
	banners []prompt.Banner
	ended   []prompt.Banner
	idle    time.Duration // for how long there has been nothing to show
}

func (b *board) look() view {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now()
	b.ended = slices.DeleteFunc(b.ended, func(e ending) bool { return now.After(e.until) })
	v := view{banners: slices.Clone(b.banners)}
	for _, e := range b.ended {
		v.ended = append(v.ended, e.banner)
	}
	if len(b.asks) > 0 {
		first := b.asks[0]
		v.ask, v.waiting = &first, len(b.asks)-1
	}
	if len(b.notices) > 0 {
		first := b.notices[0]
		v.notice, v.unread = &first, len(b.notices)-1
	}
	if v.ask != nil || v.notice != nil || len(v.banners)+len(v.ended) > 0 {
		b.since = now
	}
	v.idle = now.Sub(b.since)
	return v
}

// say sends the person's word. Without a daemon it is lost, and so is what it was about.
func (b *board) say(m prompt.Message) error {
	b.mu.Lock()
	conn := b.conn
	b.mu.Unlock()
	if conn == nil {
		return nil
	}
	return conn.Send(m)
}

// answer takes a question off the board and sends the answer.
func (b *board) answer(r prompt.Reply) error {
	b.mu.Lock()
	b.asks = slices.DeleteFunc(b.asks, func(q question) bool { return q.ID == r.ID })
	b.mu.Unlock()
	err := b.say(prompt.Message{Type: prompt.TypeAnswer, Answer: &r})
	b.draw()
	return err
}

// read takes a notice off the board.
func (b *board) read(id string) {
	b.mu.Lock()
	b.notices = slices.DeleteFunc(b.notices, func(n prompt.Notice) bool { return n.ID == id })
	b.mu.Unlock()
	b.draw()
}
