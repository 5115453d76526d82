package prompt_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"handrail/agent/internal/prompt"
	"handrail/agent/internal/state"
	"handrail/signaling"
)

type desk struct {
	*prompt.Desk
	socket   string
	commands chan prompt.Command
	present  chan bool
}

func newDesk(t *testing.T, change func(*prompt.Config)) *desk {
	t.Helper()
	d := &desk{socket: filepath.Join(t.TempDir(), "s"), commands: make(chan prompt.Command, 8), present: make(chan bool, 8)}
	cfg := prompt.Config{
		Socket: d.socket, Grace: 200 * time.Millisecond, ShowWithin: time.Second,
		OnCommand: func(c prompt.Command) { d.commands <- c }, OnPresence: func(p bool) { d.present <- p },
		Status: func() state.Status { return state.Status{Link: "online", PID: 7} },
	}
	if change != nil {
		change(&cfg)
	}
	var err error
	if d.Desk, err = prompt.New(cfg, slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- d.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run = %v", err)
		}
	})
	return d
}

// dial connects, waiting for the socket to be there.
func (d *desk) dial(t *testing.T, role prompt.Role) *prompt.Conn {
	t.Helper()
	for range 500 {
		c, err := prompt.Dial(t.Context(), d.socket, role)
		if err == nil {
			t.Cleanup(func() { c.Close() })
			return c
		}
		<-time.After(10 * time.Millisecond)
	}
	t.Fatal("the desk never listened")
	return nil
}

func companion(t *testing.T, d *desk) *prompt.Conn {
	t.Helper()
	c := d.dial(t, prompt.RoleCompanion)
	await(t, c, prompt.TypeBanners)
	return c
}

// await reads until a message of that type.
func await(t *testing.T, c *prompt.Conn, want prompt.Type) prompt.Message {
	t.Helper()
	for {
		m, err := c.Receive()
		if err != nil {
			t.Fatalf("waiting for %s: %v", want, err)
		}
		if m.Type == want {
			return m
		}
	}
}

func request(within time.Duration) prompt.Request {
	return prompt.Request{Session: "ses_a", Operator: signaling.Operator{Name: "Alex"}, Capabilities: signaling.SetOf(signaling.View, signaling.Control), Within: within}
}

func (d *desk) ask(r prompt.Request) chan prompt.Answer {
	out := make(chan prompt.Answer, 1)
	go func() { out <- d.Ask(context.Background(), r) }()
	return out
}

func TestAnswers(t *testing.T) {
	for _, tc := range []struct {
		name  string
		reply prompt.Reply
		want  signaling.Decision
		grant signaling.CapabilitySet
	}{
		{"accepted", prompt.Reply{Accepted: true, Granted: signaling.SetOf(signaling.View)}, signaling.DecisionGranted, signaling.SetOf(signaling.View)},
		{"more than was asked", prompt.Reply{Accepted: true, Granted: signaling.SetOf(signaling.View, signaling.Files)}, signaling.DecisionGranted, signaling.SetOf(signaling.View)},
		{"accepted nothing", prompt.Reply{Accepted: true}, signaling.DecisionDeclined, 0},
		{"declined", prompt.Reply{Granted: signaling.SetOf(signaling.View)}, signaling.DecisionDeclined, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			d := newDesk(t, nil)
			c := companion(t, d)
			answers := d.ask(request(time.Minute))
			q := await(t, c, prompt.TypeAsk).Ask
			if q.WithinMS <= 0 || q.WithinMS > q.OfMS {
				t.Errorf("%d of %d ms left", q.WithinMS, q.OfMS)
			}
			c.Send(prompt.Message{Type: prompt.TypeShown, ID: q.ID})
			tc.reply.ID = q.ID
			c.Send(prompt.Message{Type: prompt.TypeAnswer, Answer: &tc.reply})
			if a := <-answers; a.Decision != tc.want || a.Granted != tc.grant || a.By == "" {
				t.Errorf("answer = %+v, want %s of %v, by somebody", a, tc.want, tc.grant.List())
			}
			if m := await(t, c, prompt.TypeWithdraw); m.ID != q.ID {
				t.Errorf("withdrawn: %q, want %q", m.ID, q.ID)
			}
		})
	}
}

func TestNobodyToAsk(t *testing.T) {
	d := newDesk(t, nil)
	if a := d.Ask(t.Context(), request(time.Minute)); a.Decision != signaling.DecisionUnavailable || a.Message == "" {
		t.Errorf("answer = %+v, want unavailable, in words", a)
	}
}

func TestNothingIsShown(t *testing.T) {
	d := newDesk(t, nil)
	companion(t, d) // connected, but it never puts the question on the screen
	if a := d.Ask(t.Context(), request(time.Minute)); a.Decision != signaling.DecisionUnavailable {
		t.Errorf("answer = %+v, want unavailable", a)
	}
}

func TestSilenceIsRefusal(t *testing.T) {
	d := newDesk(t, nil)
	c := companion(t, d)
	answers := d.ask(request(300 * time.Millisecond))
	c.Send(prompt.Message{Type: prompt.TypeShown, ID: await(t, c, prompt.TypeAsk).Ask.ID})
	if a := <-answers; a.Decision != signaling.DecisionTimeout {
		t.Errorf("answer = %+v, want timeout", a)
	}
}

func TestCrashedCompanion(t *testing.T) {
	d := newDesk(t, nil)
	c := companion(t, d)
	answers := d.ask(request(time.Minute))
	c.Send(prompt.Message{Type: prompt.TypeShown, ID: await(t, c, prompt.TypeAsk).Ask.ID})
	c.Close()
	if a := <-answers; a.Decision != signaling.DecisionUnavailable {
		t.Errorf("answer = %+v, want unavailable", a)
	}
}

func TestRestartedCompanionGoesOn(t *testing.T) {
	d := newDesk(t, func(c *prompt.Config) { c.Grace = 10 * time.Second })
	d.Show(prompt.Banner{Session: "ses_b", SinceUS: 1})
	c := companion(t, d)
	answers := d.ask(request(time.Minute))
	id := await(t, c, prompt.TypeAsk).Ask.ID
	c.Send(prompt.Message{Type: prompt.TypeShown, ID: id})
	c.Close()
	c = d.dial(t, prompt.RoleCompanion)
	if m := await(t, c, prompt.TypeBanners); len(m.Banners) != 1 || m.Banners[0].Session != "ses_b" {
		t.Errorf("banners = %+v, want the one there is", m.Banners)
	}
	if again := await(t, c, prompt.TypeAsk).Ask.ID; again != id {
		t.Errorf("question %q, want %q", again, id)
	}
	c.Send(prompt.Message{Type: prompt.TypeAnswer, Answer: &prompt.Reply{ID: id, Accepted: true, Granted: signaling.SetOf(signaling.View)}})
	if a := <-answers; a.Decision != signaling.DecisionGranted {
		t.Errorf("answer = %+v, want granted", a)
	}
}

func TestCommandsAndPresence(t *testing.T) {
	d := newDesk(t, nil)
	c := companion(t, d)
	if !<-d.present {
		t.Error("a companion came, but nobody is present")
	}
	c.Send(prompt.Message{Type: prompt.TypeCommand, Command: &prompt.Command{Session: "ses_a", Kind: prompt.Drop, Capability: signaling.Control}})
	if got := <-d.commands; got.Kind != prompt.Drop || got.Capability != signaling.Control || got.By == "" {
		t.Errorf("command = %+v", got)
	}
	d.Show(prompt.Banner{Session: "ses_a"})
	d.Show(prompt.Banner{Session: "ses_a", Paused: true})
	if m := await(t, c, prompt.TypeBanners); len(m.Banners) != 1 || m.Banners[0].Paused {
		t.Errorf("banners = %+v", m.Banners)
	}
	if m := await(t, c, prompt.TypeBanners); len(m.Banners) != 1 || !m.Banners[0].Paused {
		t.Errorf("banners = %+v, want one, paused", m.Banners)
	}
	d.Hide("ses_a")
	if m := await(t, c, prompt.TypeBanners); len(m.Banners) != 0 {
		t.Errorf("banners = %+v, want none", m.Banners)
	}
	c.Close()
	if <-d.present {
		t.Error("the companion left, but somebody is present")
	}
}

func TestStatus(t *testing.T) {
	d := newDesk(t, nil)
	d.dial(t, prompt.RoleCompanion)
	s, err := prompt.FetchStatus(t.Context(), d.socket)
	if err != nil || s.Link != "online" || s.PID != 7 {
		t.Errorf("status = %+v, %v", s, err)
	}
}

func TestStrangersAndRuleBreakersAreCutOff(t *testing.T) {
	for _, tc := range []struct {
		name string
		cfg  func(*prompt.Config)
		say  string
	}{
		{"another account", func(c *prompt.Config) { c.Allow = func(uint32) bool { return false } }, ""},
		{"not JSON", nil, "hello\n"},
		{"no hello", nil, `{"type":"shown","id":"ask_a"}` + "\n"},
		{"a line without end", nil, strings.Repeat("x", 2*prompt.MaxLine)},
		{"the daemon's words", nil, `{"type":"hello","hello":{"version":1,"role":"companion"}}` + "\n" + `{"type":"withdraw","id":"ask_a"}` + "\n"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			d := newDesk(t, tc.cfg)
			var conn net.Conn
			for range 500 {
				var err error
				if conn, err = net.Dial("unix", d.socket); err == nil {
					break
				}
				<-time.After(10 * time.Millisecond)
			}
			defer conn.Close()
			conn.Write([]byte(tc.say))
			conn.SetReadDeadline(time.Now().Add(time.Minute))
			buf := make([]byte, 4096)
			for {
				_, err := conn.Read(buf)
				if errors.Is(err, os.ErrDeadlineExceeded) {
					t.Fatal("still connected after 10 s")
				}
				if err != nil {
					return
				}
			}
		})
	}
}

func TestLongSocketPath(t *testing.T) {
	_, err := prompt.New(prompt.Config{Socket: "/" + strings.Repeat("x", 120)}, slog.New(slog.DiscardHandler))
	if err == nil || !strings.Contains(err.Error(), "--socket") {
		t.Errorf("New = %v, want what to do", err)
	}
}

func FuzzDecode(f *testing.F) {
	for _, m := range []prompt.Message{
		{Type: prompt.TypeHello, Hello: &prompt.Hello{Version: 1, Role: prompt.RoleCompanion}},
		{Type: prompt.TypeStatus, Status: &state.Status{Link: "online"}},
		{Type: prompt.TypeAsk, Ask: &prompt.Ask{ID: "ask_a", Session: "ses_a", Capabilities: signaling.SetOf(signaling.View), WithinMS: 1, OfMS: 2}},
		{Type: prompt.TypeShown, ID: "ask_a"},
		{Type: prompt.TypeAnswer, Answer: &prompt.Reply{ID: "ask_a", Accepted: true}},
		{Type: prompt.TypeWithdraw, ID: "ask_a"},
		{Type: prompt.TypeBanners, Banners: []prompt.Banner{{Session: "ses_a", Viewers: []string{"x"}}}},
		{Type: prompt.TypeCommand, Command: &prompt.Command{Session: "ses_a", Kind: prompt.Stop}},
	} {
		b, err := prompt.Encode(m)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Add([]byte(`{"type":"command"}`))
	f.Add([]byte(`{"type":"banners","banners":[{"session":"../x"}]}`))
	f.Fuzz(func(t *testing.T, line []byte) {
		m, err := prompt.Decode(line)
		if err != nil {
			if !errors.Is(err, prompt.ErrMalformed) {
				t.Fatalf("Decode(%q) = %v, want ErrMalformed", line, err)
			}
			return
		}
		b, err := prompt.Encode(m)
		if err != nil {
			return // it grew past the limit by escaping
		}
		again, err := prompt.Decode(b)
		if err != nil {
			t.Fatalf("Decode(%q) was taken, its encoding %q is not: %v", line, b, err)
		}
		if c, _ := prompt.Encode(again); !bytes.Equal(b, c) {
			t.Fatalf("%q became %q", b, c)
		}
	})
}
