package prompt

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os/user"
	"strconv"
	"time"

	"handrail/agent/internal/state"
	"handrail/signaling"
)

// helloWithin is how long a client may take to say what it is.
const helloWithin = 5 * time.Second

// outbound is how many messages wait for a client; a person's window reads at once.
const outbound = 64

// visitor is one companion at the desk.
type visitor struct {
	conn net.Conn
	by   string // account name
	out  chan Message
}

// send queues a message; a visitor that does not keep up is cut off.
func (v *visitor) send(m Message) {
	select {
	case v.out <- m:
	default:
		v.conn.Close()
	}
}

func (d *Desk) serve(ctx context.Context, conn *net.UnixConn) {
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	uid, err := peerUID(conn)
	if err != nil || !d.cfg.Allow(uid) {
		d.log.Warn("local client turned away", "uid", uid, "err", err)
		return
	}
	lines := newLines(conn)
	_ = conn.SetReadDeadline(time.Now().Add(helloWithin))
	m, err := lines.next()
	if err != nil || m.Type != TypeHello {
		return
	}
	_ = conn.SetReadDeadline(time.Time{})
	if m.Hello.Role == RoleStatus {
		d.serveStatus(conn)
		return
	}
	v := &visitor{conn: conn, by: account(uid), out: make(chan Message, outbound)}
	d.log.Info("companion connected", "uid", uid)
	done := make(chan struct{})
	go func() { defer close(done); v.write(ctx) }()
	d.join(v)
	err = d.listenTo(v, lines)
	d.leave(v)
	close(v.out)
	conn.Close()
	<-done
	if ctx.Err() == nil {
		d.log.Info("companion left", "uid", uid, "err", err)
	}
}

func (d *Desk) serveStatus(conn net.Conn) {
	var s state.Status
	if d.cfg.Status != nil {
		s = d.cfg.Status()
	}
	b, err := Encode(Message{Type: TypeStatus, Status: &s})
	if err != nil {
		d.log.Error("status could not be encoded", "err", err)
		return
	}
	conn.SetWriteDeadline(time.Now().Add(helloWithin))
	if _, err := conn.Write(b); err != nil {
		d.log.Debug("status client left early", "err", err)
	}
}

// join makes v known and tells it what is going on.
func (d *Desk) join(v *visitor) {
	d.mu.Lock()
	d.clients[v] = true
	v.send(d.allBanners())
	for _, q := range d.asks {
		v.send(Message{Type: TypeAsk, Ask: q.left()})
	}
	d.note()
	d.mu.Unlock()
	d.announce()
}

func (d *Desk) leave(v *visitor) {
	d.mu.Lock()
	delete(d.clients, v)
	d.note()
	d.mu.Unlock()
	d.announce()
}

// note wakes those who wait for companions to come or go; d.mu is held.
func (d *Desk) note() {
	close(d.changed)
	d.changed = make(chan struct{})
}

// write sends what is queued until the queue is closed.
func (v *visitor) write(ctx context.Context) {
	for m := range v.out {
		b, err := Encode(m)
		if err != nil || ctx.Err() != nil {
			continue
		}
		v.conn.SetWriteDeadline(time.Now().Add(helloWithin))
		if _, err := v.conn.Write(b); err != nil {
			v.conn.Close() // the reader ends, and with it the queue
		}
	}
}

// listenTo acts on what a companion says until it leaves or breaks a rule.
func (d *Desk) listenTo(v *visitor, lines *lineReader) error {
	for {
		m, err := lines.next()
		if err != nil {
			return err
		}
		switch m.Type {
		case TypeShown:
			d.shown(m.ID, v.by)
		case TypeAnswer:
			d.answer(*m.Answer, v.by)
		case TypeCommand:
			c := *m.Command
			c.By = v.by
			if d.cfg.OnCommand != nil {
				d.cfg.OnCommand(c)
			}
		default:
			return fmt.Errorf("a companion does not say %q", m.Type)
		}
	}
}

func (d *Desk) shown(id, by string) {
	d.mu.Lock()
	q, n := d.asks[id], d.notices[id]
	d.mu.Unlock()
	if n != nil {
		select {
		case n <- by:
		default: // another companion was faster
		}
	}
	if q != nil {
		q.once.Do(func() { close(q.shown) })
	}
}

// answer passes on the first answer to an open question; what was not asked for is not granted.
func (d *Desk) answer(r Reply, by string) {
	d.mu.Lock()
	q := d.asks[r.ID]
	d.mu.Unlock()
	if q == nil {
		return // too late: it was withdrawn
	}
	a := Answer{Decision: signaling.DecisionDeclined, By: by}
	granted := r.Granted.And(q.ask.Capabilities | q.ask.Already)
	if r.Accepted && granted != 0 {
		a.Decision, a.Granted = signaling.DecisionGranted, granted
	}
	select {
	case q.answer <- a:
	default: // another companion was faster
	}
}

// account names who said something, for the timeline.
func account(uid uint32) string {
	id := strconv.FormatUint(uint64(uid), 10)
	if u, err := user.LookupId(id); err == nil {
		return u.Username
	}
	return "uid " + id
}

// lineReader reads messages.
type lineReader struct{ r *bufio.Reader }

func newLines(r io.Reader) *lineReader { return &lineReader{bufio.NewReaderSize(r, MaxLine)} }

func (l *lineReader) next() (Message, error) {
	line, err := l.r.ReadSlice('\n')
	if errors.Is(err, bufio.ErrBufferFull) {
		return Message{}, fmt.Errorf("%w: a line over %d bytes", ErrMalformed, MaxLine)
	}
	if err != nil {
		return Message{}, err
	}
	return Decode(line)
}
