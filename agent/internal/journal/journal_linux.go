package journal

import (
	"context"
	"errors"
	"os"
	"strings"
	"sync"
	"time"

	"handrail/mdm"
	"handrail/signaling"
	"handrail/signaling/tool"
)

// Bounds and paces.
const (
	maxText    = 8 << 10 // bytes of a line that are told
	maxEntry   = 8 << 20 // bytes of a line that are read
	maxPending = 6000    // lines that wait for a viewer
	maxWaiting = 4 << 20 // bytes of them
	burstEvery = 100 * time.Millisecond
	burst      = 3                // messages
	lineBytes  = 110              // that a line takes besides its texts, at most
	pageWithin = 15 * time.Second // a search may take
)

// entry is a line and where it stands in its source.
type entry struct {
	line signaling.JournalLine
	at   string // what pages and follows from there
}

// source is where lines come from. Its methods may be called at the same time.
type source interface {
	// page returns at most n entries before at, or the newest where at is "", oldest first. Begin
	// says that there are none before those; reached is where the search got to, also where it found nothing.
	page(ctx context.Context, q signaling.JournalOpen, at string, n int) (list []entry, reached string, begin bool, err error)
	// follow tells lines after at, or those to come where at is "", until ctx ends.
	follow(ctx context.Context, q signaling.JournalOpen, at string, tell func(signaling.JournalLine)) error
}

// Config says where logs are. The zero value is the running machine.
type Config struct {
	Dir  string   // of log files; "" is /var/log
	Args []string // to journalctl before all others, as --directory=… in tests
}

// Tool is the tool. It is safe for concurrent use.
type Tool struct{ cfg Config }

// New returns the tool.
func New(cfg Config) *Tool {
	if cfg.Dir == "" {
		cfg.Dir = "/var/log"
	}
	return &Tool{cfg: cfg}
}

// Serve serves one viewer until the channel ends; a tool.Serve.
func (t *Tool) Serve(ctx context.Context, c tool.Conn) error {
	ctx, asked, stop := tool.Asked(ctx, c)
	s := &serving{c: c, tool: t, acked: make(chan struct{}, 1)}
	defer func() { s.endQuery() }()
	defer stop()
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case e := <-asked:
			switch b := e.Body.(type) {
			case signaling.JournalOpen:
				s.endQuery()
				s.begin(ctx, b)
			case signaling.JournalMore:
				s.more(b)
			case signaling.JournalAck:
				s.ack(b.Seq)
			default:
				return tool.NotFor(e)
			}
		}
	}
}

// serving is one viewer's view.
type serving struct {
	c     tool.Conn
	tool  *Tool
	query *query // nil before the first

	mu    sync.Mutex
	seq   int64 // of the batch that was sent last
	shown int64 // of the batch that was acknowledged last
	acked chan struct{}
}

// query is one question of the viewer's, and what answers it.
type query struct {
	s      *serving
	ask    signaling.JournalOpen
	src    source
	oldest string
	end    context.CancelFunc
	done   chan struct{}
	mores  chan signaling.JournalMore
	feed   feed
}

func (s *serving) endQuery() {
	if s.query != nil {
		s.query.end()
		<-s.query.done
	}
}

func (s *serving) begin(ctx context.Context, o signaling.JournalOpen) {
	ctx, cancel := context.WithCancel(ctx)
	q := &query{s: s, ask: o, end: cancel, done: make(chan struct{}), mores: make(chan signaling.JournalMore, 4)}
	s.query = q
	go func() {
		defer close(q.done)
		defer cancel()
		q.run(ctx)
	}()
}

func (s *serving) more(m signaling.JournalMore) {
	if s.query == nil || s.query.ask.Query != m.Query {
		return // of a question before
	}
	select {
	case s.query.mores <- m:
	default: // it has asked for more than it can have seen
	}
}

func (s *serving) ack(seq int64) {
	s.mu.Lock()
	if seq > s.shown && seq <= s.seq {
		s.shown = seq
	}
	s.mu.Unlock()
	select {
	case s.acked <- struct{}{}:
	default:
	}
}

// hasRoom reports whether another batch may be on its way.
func (s *serving) hasRoom() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.seq-s.shown < signaling.JournalWindow
}

// send sends a batch, once there is room for it.
func (s *serving) send(ctx context.Context, m signaling.JournalLines) error {
	for !s.hasRoom() {
		select {
		case <-s.acked:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	s.mu.Lock()
	s.seq++
	m.Seq = s.seq
	s.mu.Unlock()
	return tool.Tell(ctx, s.c, signaling.TypeJournalLines, "", m)
}

// run answers until the question ends.
func (q *query) run(ctx context.Context) {
	about := q.s.tool.about(q.ask)
	q.src = about.src
	if q.tell(ctx, about.said) != nil {
		return
	}
	if q.src == nil {
		_ = q.s.send(ctx, signaling.JournalLines{Query: q.ask.Query, Begin: true, Last: true, Lines: []signaling.JournalLine{}})
		return
	}
	var others sync.WaitGroup
	defer others.Wait()
	others.Go(func() {
		if more, ok := q.s.tool.slow(ctx, about); ok {
			_ = q.tell(ctx, more)
		}
	})
	newest, err := q.page(ctx, int(q.ask.Count), false)
	if err != nil {
		return
	}
	if q.ask.Follow && q.ask.UntilMS == 0 {
		others.Go(func() {
			err := q.src.follow(ctx, q.ask, newest, q.feed.add)
			if err != nil && ctx.Err() == nil {
				q.feed.add(signaling.JournalLine{TimeMS: time.Now().UnixMilli(), Priority: 4, Unit: "handrail", Text: mdm.Clean("Nothing more is followed: "+err.Error(), 500)})
			}
		})
	}
	q.serve(ctx)
}

func (q *query) tell(ctx context.Context, m signaling.JournalSource) error {
	m.Query = q.ask.Query
	return tool.Tell(ctx, q.s.c, signaling.TypeJournalSource, "", m)
}

// serve pages backwards when asked to, and sends what is followed.
func (q *query) serve(ctx context.Context) {
	beat := time.NewTicker(burstEvery)
	defer beat.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case m := <-q.mores:
			if _, err := q.page(ctx, int(m.Count), true); err != nil {
				return
			}
		case <-beat.C:
			for range burst {
				if !q.s.hasRoom() {
					break
				}
				lines, dropped := q.feed.take()
				if len(lines) == 0 && dropped == 0 {
					break
				}
				if q.s.send(ctx, signaling.JournalLines{Query: q.ask.Query, Dropped: dropped, Lines: lines}) != nil {
					return
				}
			}
		}
	}
}

// page tells a page, and returns where its newest line is.
func (q *query) page(ctx context.Context, n int, back bool) (newest string, err error) {
	timed, cancel := context.WithTimeout(ctx, pageWithin)
	defer cancel()
	list, reached, begin, err := q.src.page(timed, q.ask, q.oldest, n)
	if ctx.Err() != nil {
		return "", context.Cause(ctx)
	}
	if err != nil && !errors.Is(timed.Err(), context.DeadlineExceeded) {
		list = append(list, entry{line: signaling.JournalLine{TimeMS: time.Now().UnixMilli(), Priority: 4, Unit: "handrail", Text: mdm.Clean("The log cannot be read further: "+err.Error(), 500)}})
		begin = true
	}
	if reached != "" {
		q.oldest = reached
	}
	if len(list) > 0 {
		newest = list[len(list)-1].at
	}
	var parts [][]signaling.JournalLine
	part, room := []signaling.JournalLine{}, tool.Room
	for _, e := range list {
		w := weight(e.line)
		if w > room {
			parts, part, room = append(parts, part), []signaling.JournalLine{}, tool.Room
		}
		part, room = append(part, e.line), room-w
	}
	parts = append(parts, part)
	for i := range parts {
		m := signaling.JournalLines{Query: q.ask.Query, Back: back, Last: i == len(parts)-1, Lines: parts[i]}
		if back { // the newest of the page come first, as each goes before what was told
			m.Lines = parts[len(parts)-1-i]
		}
		m.Begin = begin && m.Last
		if err := q.s.send(ctx, m); err != nil {
			return "", err
		}
	}
	return newest, nil
}

func weight(l signaling.JournalLine) int { return lineBytes + tool.Weight(l.Text, l.Unit) }

// feed is lines that wait for a viewer.
type feed struct {
	mu      sync.Mutex
	lines   []signaling.JournalLine
	bytes   int
	dropped int64
}

// add takes a line in; the oldest go where there is no room.
func (f *feed) add(l signaling.JournalLine) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.lines = append(f.lines, l)
	f.bytes += len(l.Text)
	n := 0
	for ; len(f.lines)-n > maxPending || f.bytes > maxWaiting; n++ {
		f.bytes -= len(f.lines[n].Text)
	}
	f.dropped += int64(n)
	f.lines = f.lines[n:]
}

// take returns what fits one message, and how many lines were dropped before it.
func (f *feed) take() ([]signaling.JournalLine, int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	n, room := 0, tool.Room
	for ; n < len(f.lines); n++ {
		w := weight(f.lines[n])
		if w > room {
			break
		}
		room -= w
		f.bytes -= len(f.lines[n].Text)
	}
	out, dropped := f.lines[:n:n], f.dropped
	f.lines, f.dropped = f.lines[n:], 0
	if n == 0 {
		out = []signaling.JournalLine{}
		f.lines = nil
	}
	return out, dropped
}

// clean makes a line's text fit to be told; what it lacks of it is counted.
func clean(text []byte) (string, int64) {
	cut := int64(0)
	if len(text) > maxText {
		cut = int64(len(text) - maxText)
		text = text[:maxText]
	}
	var b strings.Builder
	b.Grow(len(text))
	for _, r := range strings.ToValidUTF8(strings.TrimRight(string(text), "\r\n\x00 "), "\uFFFD") {
		switch {
		case r == '\n' || r == '\t' || r >= ' ' && r != 0x7f && (r < 0x80 || r > 0x9f):
			b.WriteRune(r)
		case r == 0x1b:
			b.WriteRune('␛') // an escape is shown, and does nothing
		default:
			b.WriteRune('\uFFFD')
		}
	}
	return b.String(), cut
}

// fits reports whether a line is what the viewer asked for.
func fits(q signaling.JournalOpen, l signaling.JournalLine, text string) bool {
	switch {
	case l.Priority > q.Priority,
		q.SinceMS > 0 && l.TimeMS > 0 && l.TimeMS < q.SinceMS,
		q.UntilMS > 0 && l.TimeMS > q.UntilMS,
		q.Text != "" && !strings.Contains(strings.ToLower(text), strings.ToLower(q.Text)):
		return false
	}
	return true
}

// exists reports whether there is something at a path.
func exists(name string) bool {
	_, err := os.Stat(name)
	return err == nil
}

// Lines returns the newest lines that a question asks for, oldest first, at most its Count. It fails
// where the device keeps no such log.
func (t *Tool) Lines(ctx context.Context, q signaling.JournalOpen) ([]signaling.JournalLine, error) {
	a := t.about(q)
	if a.src == nil {
		return nil, errors.New(a.said.Message)
	}
	list, _, _, err := a.src.page(ctx, q, "", int(q.Count))
	out := make([]signaling.JournalLine, len(list))
	for i, e := range list {
		out[i] = e.line
	}
	return out, err
}
