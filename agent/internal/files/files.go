// Package files shows viewers what is on the device's disks, and moves it: the tool "files". It
// speaks signaling's files messages, and the blocks of signaling/file, over a tool.Conn.
//
// What a viewer may touch is what the person signed in may touch, and the kernel sees to that: an
// agent that is root serves each channel from a process of its own with that person's account and
// groups (see Child). Only where the session holds root too, and the viewer asks for it, the agent
// serves as itself.
//
// No path is handed to the kernel whole. A path is walked from the root, directory by directory, each
// opened relative to the one before and never through a link (see tree), and what is done is done by
// name in the directory that was reached: whatever is renamed or replaced meanwhile, nothing leads
// elsewhere. Links are followed where something is looked at, and the viewer is told where that led;
// never where something is changed. Only folders and ordinary files are opened.
package files

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"

	"handrail/signaling"
	"handrail/signaling/tool"
)

// Command is the name of the agent's command that runs Child.
const Command = "files"

// Config says whose files are shown. The zero value shows those of the account that the agent runs as.
type Config struct {
	Root string // directory that paths begin in; "" means "/". Tests have their own
	// Desktop returns the account of the person signed in; ok is false where nobody is known. It is
	// asked for each channel. An agent that is not root does not ask: it has one account's rights
	// and no others. May be nil.
	Desktop func() (uid int, ok bool)
	// Program is this agent's own binary, run with Command as the person. "" takes os.Executable.
	Program string
}

// Files is the tool. It is safe for concurrent use.
type Files struct {
	cfg Config

	mu   sync.Mutex
	open int // channels
	was  int // the collector's percentage while none is open
}

// New returns the tool; it starts nothing.
func New(cfg Config) *Files {
	if cfg.Root == "" {
		cfg.Root = "/"
	}
	return &Files{cfg: cfg}
}

// errNobody is told where there is nobody as whom files could be shown.
var errNobody = errors.New("nobody is signed in at this device, so there is nobody whose files could be shown; with the right to act as administrator you can open the files of all")

var errPersonIsRoot = errors.New("who is signed in at this device is its administrator, whose files are shown only with the right to act as administrator")

// Serve talks with one viewer until the channel ends; a tool.Serve.
func (f *Files) Serve(ctx context.Context, c tool.Conn) error {
	open, err := awaitOpen(ctx, c)
	if err != nil {
		return err
	}
	if open.Admin {
		if err := c.Require(signaling.Root); err != nil {
			return err
		}
	}
	defer f.hasten()()
	return f.serveAs(ctx, c, open)
}

// hastyPercent is how much garbage there may be for what lives while files move. The agent keeps its
// heap small by collecting often, which for every packet of a file would be a third of the work.
const hastyPercent = 200

// hasten has the collector run seldom until the last of the functions it returns has been called.
func (f *Files) hasten() func() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.open++; f.open == 1 {
		f.was = debug.SetGCPercent(hastyPercent)
	}
	return func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		if f.open--; f.open == 0 {
			debug.SetGCPercent(f.was)
		}
	}
}

func awaitOpen(ctx context.Context, c tool.Conn) (signaling.FilesOpen, error) {
	m, err := c.Recv(ctx)
	if err != nil {
		return signaling.FilesOpen{}, err
	}
	e, err := decode(m)
	if err != nil {
		return signaling.FilesOpen{}, err
	}
	open, ok := e.(signaling.FilesOpen)
	if !ok {
		return open, fmt.Errorf("files are to be opened first")
	}
	return open, nil
}

// decode reads a message of the viewer that is not a block.
func decode(m tool.Message) (any, error) {
	if !m.Text {
		return nil, errors.New("a block where none belongs")
	}
	e, err := signaling.Decode(m.Data, signaling.FromViewer)
	if err != nil {
		return nil, err
	}
	return e.Body, nil
}
