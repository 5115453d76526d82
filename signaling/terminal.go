package signaling

import "fmt"

// Messages of the tool "terminal": programs of the device in a terminal. They go over the tool's
// channel as envelopes in text frames; what is typed and shown goes over the same channel in
// binary frames (package signaling/shell), so that all of it is in order.
//
// A channel begins with a list of terminals, if the viewer asks for it, and becomes one terminal's
// with TerminalOpen or TerminalAttach. TerminalOpened answers, then TerminalReplay begins what the
// terminal shows, which ends with TerminalReady; from there on it is live. A terminal outlives its
// channels: it ends with its shell, with TerminalClose, with the session, or when no viewer has had
// it open for a while.
const (
	TypeTerminalList   Type = "terminal.list"
	TypeTerminalListed Type = "terminal.listed"
	TypeTerminalOpen   Type = "terminal.open"
	TypeTerminalAttach Type = "terminal.attach"
	TypeTerminalOpened Type = "terminal.opened"
	TypeTerminalReplay Type = "terminal.replay"
	TypeTerminalReady  Type = "terminal.ready"
	TypeTerminalResize Type = "terminal.resize"
	TypeTerminalSize   Type = "terminal.size"
	TypeTerminalClose  Type = "terminal.close"
	TypeTerminalExited Type = "terminal.exited"
)

// ToolTerminal names the tool.
const ToolTerminal = "terminal"

// MaxTerminals is how many terminals of one session run at once.
const MaxTerminals = 16

// TerminalList asks which terminals there are, and whose could be opened.
type TerminalList struct{}

// TerminalListed answers TerminalList.
type TerminalListed struct {
	User        string          `json:"user"`         // account a terminal is opened as; "" where none can be
	UserProblem string          `json:"user_problem"` // why none can be opened as the user
	RootProblem string          `json:"root_problem"` // why none can be opened as root
	KeepMS      int64           `json:"keep_ms"`      // how long one runs on without a viewer
	Terminals   []TerminalBrief `json:"terminals"`
}

func (l TerminalListed) validate() error {
	if len(l.Terminals) > MaxTerminals {
		return fmt.Errorf("%d terminals", len(l.Terminals))
	}
	for _, t := range l.Terminals {
		if err := t.validate(); err != nil {
			return err
		}
	}
	return firstError(checkText("user", l.User, 256), checkText("user_problem", l.UserProblem, 1024), checkText("root_problem", l.RootProblem, 1024))
}

// TerminalBrief is a terminal that runs.
type TerminalBrief struct {
	ID        string `json:"id"`
	User      string `json:"user"`       // account it runs as
	Root      bool   `json:"root"`       // that is the administrator's
	Opener    string `json:"opener"`     // operator who opened it
	StartedMS int64  `json:"started_ms"` // the device's clock, Unix
	Viewers   int    `json:"viewers"`    // who have it open
	Recorded  bool   `json:"recorded"`   // what it shows is kept
}

func (t TerminalBrief) validate() error {
	return firstError(checkTerminal(t.ID), checkText("user", t.User, 256), checkText("opener", t.Opener, 256))
}

// TerminalOpen starts a shell in a terminal.
type TerminalOpen struct {
	Root bool `json:"root"` // as the administrator; it takes the capability root
	Cols int  `json:"cols"`
	Rows int  `json:"rows"`
}

func (o TerminalOpen) validate() error { return checkSize(o.Cols, o.Rows) }

// TerminalAttach takes part in a terminal that runs.
type TerminalAttach struct {
	ID   string `json:"id"`
	Cols int    `json:"cols"`
	Rows int    `json:"rows"`
}

func (a TerminalAttach) validate() error {
	return firstError(checkTerminal(a.ID), checkSize(a.Cols, a.Rows))
}

// TerminalOpened says that the channel is this terminal's.
type TerminalOpened struct {
	Terminal TerminalBrief `json:"terminal"`
}

func (o TerminalOpened) validate() error { return o.Terminal.validate() }

// TerminalReplay begins what the terminal has shown so far; the page clears its own first. It comes
// in the middle too, to a viewer that is too far behind. Programs that ask the terminal something
// got their answer then: nothing may be answered until TerminalReady.
type TerminalReplay struct {
	Cut bool `json:"cut"` // older lines are not kept
}

// TerminalReady ends the replay.
type TerminalReady struct{}

// TerminalResize says how much fits the viewer's page. The newest of all viewers' counts.
type TerminalResize struct {
	Cols int `json:"cols"`
	Rows int `json:"rows"`
}

func (r TerminalResize) validate() error { return checkSize(r.Cols, r.Rows) }

// TerminalSize says how large the terminal is from here on.
type TerminalSize struct {
	Cols int `json:"cols"`
	Rows int `json:"rows"`
}

func (s TerminalSize) validate() error { return checkSize(s.Cols, s.Rows) }

// TerminalClose ends the terminal and what runs in it.
type TerminalClose struct{}

// TerminalExited says that the terminal is over; the channel closes.
type TerminalExited struct {
	Code    int    `json:"code"`    // exit status of the shell; -1 where it did not exit by itself
	Message string `json:"message"` // how it ended, in words
}

func (e TerminalExited) validate() error { return checkText("message", e.Message, 1024) }

func checkTerminal(id string) error {
	if id == "" {
		return fmt.Errorf("no terminal")
	}
	return checkText("terminal", id, 64)
}

// maxCells is how wide and how high a terminal may be.
const maxCells = 2000

func checkSize(cols, rows int) error {
	return firstError(checkRange("cols", int64(cols), 2, maxCells), checkRange("rows", int64(rows), 1, maxCells))
}
