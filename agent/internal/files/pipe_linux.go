package files

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime/debug"
	"sync"
	"syscall"

	"handrail/agent/internal/account"
	"handrail/signaling"
	"handrail/signaling/tool"
)

// Frames of the pipe between the agent and a process of the person: a kind, the length in four bytes,
// big endian, and as many bytes.
const (
	pipeText  = 'T'
	pipeBlock = 'B'
	pipeNote  = 'N' // for the timeline; to the agent only
	pipeWhy   = 'W' // why the process ends; to the agent only
)

// rootVariable tells the process where paths begin.
const rootVariable = "HANDRAIL_FILES_ROOT"

const maxPipe = signaling.MaxChannel

func writePipe(w io.Writer, kind byte, data []byte) error {
	head := binary.BigEndian.AppendUint32([]byte{kind}, uint32(min(len(data), maxPipe))) //nolint:gosec // bounded
	if _, err := w.Write(head); err != nil {
		return err
	}
	_, err := w.Write(data[:min(len(data), maxPipe)])
	return err
}

func readPipe(r io.Reader) (byte, []byte, error) {
	var head [5]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return 0, nil, err
	}
	n := binary.BigEndian.Uint32(head[1:])
	if n > maxPipe {
		return 0, nil, fmt.Errorf("frame of %d bytes in the pipe", n)
	}
	data := make([]byte, n)
	_, err := io.ReadFull(r, data)
	return head[0], data, err
}

// serveAs serves as the agent itself, or as the person in a process of theirs.
func (f *Files) serveAs(ctx context.Context, c tool.Conn, open signaling.FilesOpen) error {
	isRoot := os.Geteuid() == 0
	switch {
	case open.Admin && !isRoot:
		return account.ErrCannotBecome
	case open.Admin, !isRoot:
		return serve(ctx, c, f.cfg.Root, open.Admin)
	}
	uid, ok := -1, false
	if f.cfg.Desktop != nil {
		uid, ok = f.cfg.Desktop()
	}
	switch {
	case !ok:
		return errNobody
	case uid == 0:
		return errPersonIsRoot
	}
	person, err := account.ByUID(uid)
	if err != nil {
		return err
	}
	return f.relay(ctx, c, person)
}

// relay serves the channel from a process with the rights of a person.
func (f *Files) relay(ctx context.Context, c tool.Conn, person account.Account) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	cmd, err := f.command(ctx, person)
	if err != nil {
		return err
	}
	in, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("files could not be opened as %s: %w", person.Name, err)
	}
	var both sync.WaitGroup
	both.Go(func() { cancel(inward(ctx, c, in)) })
	err = outward(ctx, c, out)
	cancel(err)
	_ = in.Close()
	both.Wait()
	ended := cmd.Wait()
	switch cause := context.Cause(ctx); {
	case err != nil && !errors.Is(err, io.EOF):
		return err
	case cause != nil && !errors.Is(cause, io.EOF):
		return cause
	case ended != nil:
		return fmt.Errorf("the process for the files of %s ended: %w", person.Name, ended)
	}
	return nil
}

// command is this agent as a person: their account, their groups, nothing of the agent's environment.
func (f *Files) command(ctx context.Context, person account.Account) (*exec.Cmd, error) {
	program := f.cfg.Program
	if program == "" {
		var err error
		if program, err = os.Executable(); err != nil {
			return nil, err
		}
	}
	cmd := exec.CommandContext(ctx, program, Command) //nolint:gosec // our own binary
	cmd.Env = append(person.Env(), rootVariable+"="+f.cfg.Root)
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: person.Credential(), Setsid: true}
	return cmd, nil
}

// inward passes on what the viewer says; the channel has been opened as it may be.
func inward(ctx context.Context, c tool.Conn, w io.Writer) error {
	for {
		m, err := c.Recv(ctx)
		if err != nil {
			return err
		}
		kind := byte(pipeBlock)
		if m.Text {
			kind = pipeText
		}
		if err := writePipe(w, kind, m.Data); err != nil {
			return io.EOF // the process is gone, and its end says why
		}
	}
}

// outward passes on what the process says.
func outward(ctx context.Context, c tool.Conn, r io.Reader) error {
	in := bufio.NewReaderSize(r, 64<<10)
	for {
		kind, data, err := readPipe(in)
		if err != nil {
			return io.EOF
		}
		switch kind {
		case pipeText, pipeBlock:
			if err := c.Send(ctx, tool.Message{Text: kind == pipeText, Data: data}); err != nil {
				return err
			}
		case pipeNote:
			c.Note(signaling.PrintableName(string(data)))
		case pipeWhy:
			return errors.New(signaling.PrintableName(string(data)))
		}
	}
}

// pipeConn is the channel as the process sees it.
type pipeConn struct {
	in  chan tool.Message
	mu  sync.Mutex
	out io.Writer
}

func (p *pipeConn) Recv(ctx context.Context) (tool.Message, error) {
	select {
	case m, ok := <-p.in:
		if !ok {
			return tool.Message{}, tool.ErrClosed
		}
		return m, nil
	case <-ctx.Done():
		return tool.Message{}, ctx.Err()
	}
}

func (p *pipeConn) write(kind byte, data []byte) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := writePipe(p.out, kind, data); err != nil {
		return tool.ErrClosed
	}
	return nil
}

func (p *pipeConn) Send(_ context.Context, m tool.Message) error {
	if m.Text {
		return p.write(pipeText, m.Data)
	}
	return p.write(pipeBlock, m.Data)
}

func (p *pipeConn) Note(what string) { _ = p.write(pipeNote, []byte(what)) }

// The process serves one channel with one account's rights: who the viewer is, is the agent's to know.
func (p *pipeConn) Session() signaling.SessionID       { return "" }
func (p *pipeConn) Operator() string                   { return "" }
func (p *pipeConn) May(signaling.Capability) bool      { return false }
func (p *pipeConn) Require(signaling.Capability) error { return tool.ErrClosed }

// Child serves one channel over a pipe, with the rights of the account that the process has, until
// the agent closes in or ctx ends. It is what the agent's command Command runs.
func Child(ctx context.Context, in io.Reader, out io.Writer) error {
	debug.SetGCPercent(hastyPercent)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	p := &pipeConn{in: make(chan tool.Message), out: out}
	go func() {
		defer cancel()
		defer close(p.in)
		r := bufio.NewReaderSize(in, 64<<10)
		for {
			kind, data, err := readPipe(r)
			if err != nil {
				return
			}
			select {
			case p.in <- tool.Message{Text: kind == pipeText, Data: data}:
			case <-ctx.Done():
				return
			}
		}
	}()
	root := os.Getenv(rootVariable)
	if root == "" {
		root = "/"
	}
	err := serve(ctx, p, root, false)
	if err != nil && !errors.Is(err, tool.ErrClosed) && ctx.Err() == nil {
		_ = p.write(pipeWhy, []byte(err.Error()))
	}
	return nil
}
