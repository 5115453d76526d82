package files_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"handrail/agent/internal/files"
	"handrail/signaling"
	"handrail/signaling/file"
	"handrail/signaling/tool"
)

// patience is how long a test waits for what must come, on a machine with much else to do.
const patience = 2 * time.Minute

func TestMain(m *testing.M) {
	if len(os.Args) == 2 && os.Args[1] == files.Command { // as the agent's own command does
		if err := files.Child(context.Background(), os.Stdin, os.Stdout); err != nil {
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// viewer is the other end of a channel: a tool.Conn, and what a test does with it.
type viewer struct {
	t      *testing.T
	in     chan tool.Message
	out    chan tool.Message
	ctx    context.Context //nolint:containedctx // of the channel
	cancel context.CancelFunc
	ended  chan error
	may    signaling.CapabilitySet
	job    uint32

	mu    sync.Mutex
	notes []string
}

// dial opens a channel to the files below root, with all rights that this process has.
func dial(t *testing.T, root string) *viewer {
	t.Helper()
	v := connect(t, files.Config{Root: root}, signaling.Files, signaling.Root)
	v.say(signaling.TypeFilesOpen, signaling.FilesOpen{Admin: os.Geteuid() == 0})
	next[signaling.FilesHello](v)
	return v
}

func connect(t *testing.T, cfg files.Config, may ...signaling.Capability) *viewer {
	t.Helper()
	v := &viewer{t: t, in: make(chan tool.Message, 64), out: make(chan tool.Message, 64), ended: make(chan error, 1), may: signaling.SetOf(may...)}
	v.ctx, v.cancel = context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		v.ended <- files.New(cfg).Serve(v.ctx, v)
	}()
	t.Cleanup(func() {
		v.cancel()
		select {
		case <-done:
		case <-time.After(patience):
			t.Error("the tool does not end with its channel")
		}
	})
	return v
}

func (v *viewer) Recv(ctx context.Context) (tool.Message, error) {
	select {
	case m := <-v.in:
		return m, nil
	case <-v.ctx.Done():
		return tool.Message{}, tool.ErrClosed
	case <-ctx.Done():
		return tool.Message{}, ctx.Err()
	}
}

func (v *viewer) Send(ctx context.Context, m tool.Message) error {
	if len(m.Data) > signaling.MaxChannel {
		v.t.Errorf("a message of %d bytes", len(m.Data))
	}
	select {
	case v.out <- tool.Message{Text: m.Text, Data: slices.Clone(m.Data)}:
		return nil
	case <-v.ctx.Done():
		return tool.ErrClosed
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (v *viewer) Note(what string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.notes = append(v.notes, what)
}

func (v *viewer) Session() signaling.SessionID       { return "ses_1" }
func (v *viewer) Operator() string                   { return "Ada" }
func (v *viewer) May(need signaling.Capability) bool { return v.may.Has(need) }
func (v *viewer) Require(c signaling.Capability) error {
	if !v.may.Has(c) {
		return tool.ErrClosed
	}
	return nil
}

// noted reports whether the timeline has a line with all of these.
func (v *viewer) noted(parts ...string) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return slices.ContainsFunc(v.notes, func(n string) bool {
		return !slices.ContainsFunc(parts, func(p string) bool { return !strings.Contains(n, p) })
	})
}

func (v *viewer) say(t signaling.Type, body any) {
	v.t.Helper()
	b, err := signaling.Encode(signaling.Envelope{Type: t, Body: body})
	if err != nil {
		v.t.Fatal(err)
	}
	v.send(tool.Message{Text: true, Data: b})
}

func (v *viewer) send(m tool.Message) {
	v.t.Helper()
	select {
	case v.in <- m:
	case <-time.After(patience):
		v.t.Fatal("the tool does not read")
	}
}

// message is what came: a body, or a block.
func (v *viewer) message() any {
	v.t.Helper()
	select {
	case m := <-v.out:
		if !m.Text {
			b, err := file.Decode(m.Data)
			if err != nil {
				v.t.Fatal(err)
			}
			return b
		}
		e, err := signaling.Decode(m.Data, signaling.FromHelper)
		if err != nil {
			v.t.Fatalf("%s: %v", m.Data, err)
		}
		return e.Body
	case err := <-v.ended:
		v.t.Fatalf("the channel ended: %v", err)
	case <-time.After(patience):
		v.t.Fatal("nothing comes")
	}
	return nil
}

// next returns the next message of a type. Progress is passed over, a failure fails the test.
func next[T any](v *viewer) T {
	v.t.Helper()
	for {
		m := v.message()
		if want, ok := m.(T); ok {
			return want
		}
		switch m := m.(type) {
		case signaling.FilesProgress, signaling.FilesAck:
		default:
			v.t.Fatalf("%#v came, want %T", m, *new(T))
		}
	}
}

func (v *viewer) id() uint32 {
	v.job++
	return v.job
}

func name(s string) signaling.FileName { return signaling.NameFile(s) }

// list returns what is in a folder, and the last page.
func (v *viewer) list(l signaling.FilesList) ([]signaling.FileEntry, signaling.FilesPage) {
	v.t.Helper()
	l.Job = v.id()
	v.say(signaling.TypeFilesList, l)
	var all []signaling.FileEntry
	for {
		p := next[signaling.FilesPage](v)
		all = append(all, p.Entries...)
		if p.Last {
			return all, p
		}
		v.say(signaling.TypeFilesMore, signaling.FilesMore{Job: l.Job})
	}
}

// get returns what comes of a get, up to its end or to stop bytes.
func (v *viewer) get(g signaling.FilesGet, stop int64) (content []byte, m signaling.FilesMeta, d signaling.FilesDone) {
	v.t.Helper()
	g.Job = v.id()
	v.say(signaling.TypeFilesGet, g)
	m = next[signaling.FilesMeta](v)
	var out bytes.Buffer
	for {
		switch x := v.message().(type) {
		case file.Block:
			if x.Offset != m.Offset+int64(out.Len()) {
				v.t.Fatalf("a block at %d, want %d", x.Offset, m.Offset+int64(out.Len()))
			}
			out.Write(x.Data)
			if stop > 0 && int64(out.Len()) >= stop {
				return out.Bytes(), m, d
			}
			v.say(signaling.TypeFilesAck, signaling.FilesAck{Job: g.Job, Offset: x.Offset + int64(len(x.Data))})
		case signaling.FilesProgress:
		case signaling.FilesDone:
			return out.Bytes(), m, x
		default:
			v.t.Fatalf("%#v came in the middle of a get", x)
		}
	}
}

// put writes content until its end, or until stop bytes are kept; it returns the answer and where it began.
func (v *viewer) put(p signaling.FilesPut, content []byte, stop int64) (answer any, began int64) {
	v.t.Helper()
	p.Job = v.id()
	if p.Size == 0 {
		p.Size = int64(len(content))
	}
	if p.Conflict == "" {
		p.Conflict = signaling.ConflictAsk
	}
	v.say(signaling.TypeFilesPut, p)
	first := v.message()
	ready, ok := first.(signaling.FilesReady)
	if !ok {
		return first, 0
	}
	at, kept := ready.Offset, ready.Offset
	for kept < p.Size {
		for at < p.Size && at-kept < file.MaxWindow*file.MaxBlock {
			end := min(at+file.MaxBlock, p.Size)
			b, err := file.Block{Job: p.Job, Offset: at, Data: content[at:end]}.Append(nil)
			if err != nil {
				v.t.Fatal(err)
			}
			v.send(tool.Message{Data: b})
			at = end
		}
		switch m := v.message().(type) {
		case signaling.FilesAck:
			kept = m.Offset
		default:
			return m, ready.Offset
		}
		if stop > 0 && kept >= stop {
			return nil, ready.Offset
		}
	}
	v.say(signaling.TypeFilesEnd, signaling.FilesEnd{Job: p.Job, SHA256: sum(content)})
	return v.message(), ready.Offset
}

func sum(b []byte) string {
	s := sha256.Sum256(b)
	return hex.EncodeToString(s[:])
}

// content returns bytes that no two places have alike.
func content(n int) []byte {
	out := make([]byte, n)
	state := uint64(88172645463325252)
	for i := range out {
		state ^= state << 13
		state ^= state >> 7
		state ^= state << 17
		out[i] = byte(state)
	}
	return out
}

// is fails the test unless the answer is a failure of that kind.
func is(t *testing.T, answer any, fault signaling.FileFault) signaling.FilesFailed {
	t.Helper()
	f, ok := answer.(signaling.FilesFailed)
	if !ok || f.Fault != fault || f.Message == "" {
		t.Fatalf("answer %#v, want the fault %s in words", answer, fault)
	}
	return f
}

// end waits for the end of the channel and returns its error.
func (v *viewer) end() error {
	v.t.Helper()
	select {
	case err := <-v.ended:
		return err
	case <-time.After(patience):
		v.t.Fatal("the channel does not end")
		return nil
	}
}
