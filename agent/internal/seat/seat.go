package seat

import (
	"context"
	"os"
	"slices"
	"strings"
	"sync"

	"handrail/agent/internal/account"
)

// Desktop is one person's graphical session. It is not changed after it was made.
type Desktop struct {
	ID      string // logind's id of the session; "" for a display the agent was given
	UID     int    // whose it is
	User    string // that account's name; "" where it has none
	Display string // X display, as ":0"
	// Env is what programs in the session need to find it: DISPLAY, XAUTHORITY, HOME, the
	// session's bus and so on, as NAME=value.
	Env []string
}

// Seat says which desktop is in front. It is safe for concurrent use.
type Seat struct {
	mu      sync.Mutex
	now     *Desktop
	why     string // there is none
	changed chan struct{}
	run     func(ctx context.Context, s *Seat) error // nil where nothing ever changes
}

// Now returns the desktop in front, nil for none, and a channel that is closed when that is
// another.
func (s *Seat) Now() (*Desktop, <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.now, s.changed
}

// Why says in words why there is no desktop.
func (s *Seat) Why() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.why
}

const whyNobody = "nobody is signed in at this device's screen"

// Run follows the seat until ctx ends, then returns nil.
func (s *Seat) Run(ctx context.Context) error {
	if s.run == nil {
		<-ctx.Done()
		return nil
	}
	return s.run(ctx, s)
}

// set says which desktop is in front, or why there is none.
func (s *Seat) set(d *Desktop, why string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.why == why && (d == nil && s.now == nil || d != nil && s.now != nil && same(*d, *s.now)) {
		return
	}
	s.now, s.why = d, why
	close(s.changed)
	s.changed = make(chan struct{})
}

func same(a, b Desktop) bool {
	return a.ID == b.ID && a.UID == b.UID && a.Display == b.Display && slices.Equal(a.Env, b.Env)
}

// Fixed is the seat of a display the agent was given, "" for none. The desktop belongs to uid, or
// to the agent's own account where that is negative. It never changes.
func Fixed(display string, uid int) *Seat {
	s := &Seat{changed: make(chan struct{}), why: "no display was named; give one with --display"}
	if display == "" {
		return s
	}
	d := &Desktop{UID: uid, Display: display, Env: os.Environ()}
	if uid < 0 {
		d.UID = os.Geteuid()
	}
	if who, err := account.ByUID(d.UID); err == nil {
		if d.User = who.Name; !who.IsOwn() {
			d.Env = who.Env()
			if cookies := os.Getenv("XAUTHORITY"); cookies != "" {
				d.Env = replace(d.Env, "XAUTHORITY="+cookies)
			}
		}
	}
	d.Env = replace(d.Env, "DISPLAY="+display)
	s.now, s.why = d, ""
	return s
}

// replace returns env with variables in the place of those of the same name.
func replace(env []string, vars ...string) []string {
	out := slices.Clone(env)
	for _, v := range vars {
		name, _, _ := strings.Cut(v, "=")
		out = slices.DeleteFunc(out, func(old string) bool { return strings.HasPrefix(old, name+"=") })
		out = append(out, v)
	}
	return out
}
