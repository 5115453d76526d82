package shell_test

import (
	"context"
	"log/slog"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"handrail/agent/internal/shell"
	"handrail/signaling"
	wire "handrail/signaling/shell"
	"handrail/signaling/tool"
)

// patience is how long a test waits for what should come at once; a loaded machine needs some.
const patience = 2 * time.Minute

// page is a viewer's page with one channel to the tool: it shows what comes, and says so.
type page struct {
	t       *testing.T
	session signaling.SessionID
	may     signaling.CapabilitySet
	who     string
	cancel  context.CancelFunc
	ctx     context.Context //nolint:containedctx // of the channel
	in      chan tool.Message
	done    chan error

	mu     sync.Mutex
	cond   *sync.Cond
	text   string // shown since the last replay began
	out    uint64 // bytes of output that came
	told   []any  // bodies of envelopes
	notes  []string
	frozen bool // shows nothing, so says nothing
	shut   bool // the channel is over
}

var everything = signaling.SetOf(signaling.Terminal, signaling.Root, signaling.Record)

func newShell(t *testing.T, change ...func(*shell.Config)) *shell.Shell {
	t.Helper()
	cfg := shell.Config{Desktop: func() (int, bool) { return os.Geteuid(), true }}
	for _, f := range change {
		f(&cfg)
	}
	s := shell.New(cfg, slog.New(slog.DiscardHandler))
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		select {
		case <-ended:
		case <-time.After(patience):
			t.Error("the tool does not end")
		}
	})
	return s
}

// visit opens a channel to the tool.
func visit(t *testing.T, s *shell.Shell, change ...func(*page)) *page {
	t.Helper()
	p := &page{t: t, session: "ses_1", may: everything, who: "Ada", in: make(chan tool.Message, 64), done: make(chan error, 1)}
	p.cond = sync.NewCond(&p.mu)
	for _, f := range change {
		f(p)
	}
	p.ctx, p.cancel = context.WithCancel(context.Background())
	t.Cleanup(p.leave)
	go p.acknowledge()
	go func() {
		err := s.Serve(p.ctx, p)
		p.mu.Lock()
		p.shut = true
		p.cond.Broadcast()
		p.mu.Unlock()
		p.done <- err
		close(p.done)
	}()
	return p
}

// leave is a network that is gone.
func (p *page) leave() {
	p.cancel()
	select {
	case <-p.done:
	case <-time.After(patience):
		p.t.Error("the tool does not end with its channel")
	}
}

func (p *page) Recv(ctx context.Context) (tool.Message, error) {
	select {
	case m := <-p.in:
		return m, nil
	case <-ctx.Done():
		return tool.Message{}, tool.ErrClosed
	}
}

func (p *page) Send(_ context.Context, m tool.Message) error {
	if p.ctx.Err() != nil {
		return tool.ErrClosed
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	defer p.cond.Broadcast()
	if m.Text {
		e, err := signaling.Decode(m.Data, signaling.FromHelper)
		if err != nil {
			p.t.Errorf("the tool says what is refused: %v", err)
			return err
		}
		if e.Type == signaling.TypeTerminalReplay {
			p.text = ""
		}
		p.told = append(p.told, e.Body)
		return nil
	}
	f, err := wire.Decode(m.Data)
	if err != nil || f.Kind != wire.Output {
		p.t.Errorf("the tool sends frame %v, %v", f.Kind, err)
		return err
	}
	p.out += uint64(len(f.Bytes))
	p.text = (p.text + string(f.Bytes))
	p.text = p.text[max(0, len(p.text)-1<<20):]
	return nil
}

// acknowledge says what is shown, as it is; a page's own loop, which does not hold the tool up.
func (p *page) acknowledge() {
	said := uint64(0)
	for {
		p.mu.Lock()
		for !p.shut && (p.frozen || p.out == said) {
			p.cond.Wait()
		}
		if p.shut {
			p.mu.Unlock()
			return
		}
		said = p.out
		p.mu.Unlock()
		b, err := wire.Frame{Kind: wire.Shown, Shown: said}.Append(nil)
		if err != nil {
			p.t.Error(err)
		}
		p.put(tool.Message{Data: b})
	}
}

func (p *page) Session() signaling.SessionID    { return p.session }
func (p *page) Operator() string                { return p.who }
func (p *page) May(c signaling.Capability) bool { return p.may.Has(c) }
func (p *page) Require(c signaling.Capability) error {
	if !p.may.Has(c) {
		p.cancel()
		return tool.ErrClosed
	}
	return nil
}

func (p *page) Note(what string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.notes = append(p.notes, what)
	p.cond.Broadcast()
}

func (p *page) say(kind signaling.Type, body any) {
	p.t.Helper()
	b, err := signaling.Encode(signaling.Envelope{Type: kind, Body: body})
	if err != nil {
		p.t.Fatal(err)
	}
	p.put(tool.Message{Text: true, Data: b})
}

func (p *page) put(m tool.Message) {
	select {
	case p.in <- m:
	case <-p.ctx.Done():
	}
}

// types sends keys.
func (p *page) types(text string) {
	p.t.Helper()
	b, err := wire.Frame{Kind: wire.Input, Bytes: []byte(text)}.Append(nil)
	if err != nil {
		p.t.Fatal(err)
	}
	p.put(tool.Message{Data: b})
}

// until waits for what the page comes to see.
func (p *page) until(what string, seen func() bool) {
	p.t.Helper()
	stop := time.AfterFunc(patience, p.cond.Broadcast)
	defer stop.Stop()
	deadline := time.Now().Add(patience)
	p.mu.Lock()
	defer p.mu.Unlock()
	for !seen() {
		if time.Now().After(deadline) {
			p.t.Fatalf("no %s; the page shows %q, was told %+v", what, p.text[max(0, len(p.text)-2000):], p.told)
		}
		p.cond.Wait()
	}
}

// shows waits for a text on the page.
func (p *page) shows(text string) {
	p.t.Helper()
	p.until("text "+text, func() bool { return strings.Contains(p.text, text) })
}

// told waits for an envelope and returns its body.
func told[T any](p *page, what string) T {
	p.t.Helper()
	var found T
	p.until(what, func() bool {
		for _, b := range p.told {
			if m, ok := b.(T); ok {
				found = m
				return true
			}
		}
		return false
	})
	return found
}

// ends waits for the end of the channel and returns why.
func (p *page) ends() error {
	p.t.Helper()
	p.until("end of the channel", func() bool { return p.shut })
	return <-p.done
}

// opens opens a terminal with a plain shell in it, and returns its id.
func (p *page) opens() string {
	p.t.Helper()
	p.say(signaling.TypeTerminalOpen, signaling.TerminalOpen{Root: os.Geteuid() == 0, Cols: 80, Rows: 24})
	id := told[signaling.TerminalOpened](p, "open terminal").Terminal.ID
	p.prompted()
	// No one's habits, and a prompt that no echo of a line looks like.
	p.types("exec env -i HOME=/nonexistent TERM=$TERM PATH=$PATH PS1='re''ady> ' sh\r")
	p.shows("ready> ")
	return id
}

// prompted waits for a login shell's first prompt: some lose what is typed before.
func (p *page) prompted() {
	p.t.Helper()
	p.until("prompt", func() bool { return strings.ContainsAny(p.text, "#$%>") })
}

// attaches takes part in a terminal.
func (p *page) attaches(id string) {
	p.t.Helper()
	p.say(signaling.TypeTerminalAttach, signaling.TerminalAttach{ID: id, Cols: 80, Rows: 24})
	told[signaling.TerminalReady](p, "end of the replay")
}

func message(t *testing.T, f wire.Frame) tool.Message {
	t.Helper()
	b, err := f.Append(nil)
	if err != nil {
		t.Fatal(err)
	}
	return tool.Message{Data: b}
}
