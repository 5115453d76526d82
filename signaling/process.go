package signaling

import (
	"fmt"
	"slices"
)

// Messages of the tool "process": what runs on the device, and ending it. They go over the tool's
// channel as envelopes in text frames. After ProcessWatch the whole list comes once, in pieces of
// ProcessRows, and then what changed of it, in ProcessChange; a new ProcessWatch begins anew.
// ProcessLook and ProcessAct are sent with an id, which the answer names as re.
const (
	TypeProcessWatch   Type = "process.watch"
	TypeProcessRows    Type = "process.rows"
	TypeProcessChange  Type = "process.change"
	TypeProcessLook    Type = "process.look"
	TypeProcessDetails Type = "process.details"
	TypeProcessAct     Type = "process.act"
	TypeProcessDone    Type = "process.done"
)

// ToolProcess names the tool.
const ToolProcess = "process"

// ProcessWatch asks for the list; without it none comes.
type ProcessWatch struct {
	EveryMS int64 `json:"every_ms"` // between changes; 1000 to 60000
}

func (w ProcessWatch) validate() error { return checkRange("every_ms", w.EveryMS, 1000, 60_000) }

// ProcessKind says whose a process is, and so what it takes to act on it.
type ProcessKind string

// The kinds of processes.
const (
	ProcessOwn    ProcessKind = "own"    // of the person signed in: diagnostics suffices to act on it
	ProcessSystem ProcessKind = "system" // of the system or of others: needs root too
	ProcessAgent  ProcessKind = "agent"  // Handrail's own, which is not acted on
	ProcessKernel ProcessKind = "kernel" // a thread of the kernel, which is not acted on
)

// ProcessRow is one process. Its number may be another's later: Birth tells the two apart.
type ProcessRow struct {
	PID     int64          `json:"pid"`
	Birth   int64          `json:"birth"`  // when it began, in the kernel's ticks; opaque
	Parent  int64          `json:"parent"` // 0 is nobody
	Name    string         `json:"name"`
	Command string         `json:"command"` // with arguments, cut at 400 bytes; "" where the system does not tell
	User    string         `json:"user"`
	Kind    ProcessKind    `json:"kind"`
	StartMS int64          `json:"start_ms"` // the device's clock, Unix
	Now     ProcessFigures `json:"now"`
}

// ProcessFigures is what changes while a process runs.
type ProcessFigures struct {
	State   string `json:"state"`   // a letter, as ps has it: R running, S asleep, D waiting for a disk, T stopped, Z ended and not collected, I idle
	CPU     int64  `json:"cpu"`     // thousandths of one core since the last time
	Memory  int64  `json:"memory"`  // resident, in bytes
	Nice    int64  `json:"nice"`    // -20 first to 19 last
	Threads int64  `json:"threads"` // of it
}

// ProcessMove is a process whose figures changed.
type ProcessMove struct {
	PID   int64          `json:"pid"`
	Birth int64          `json:"birth"`
	Now   ProcessFigures `json:"now"`
}

// ProcessRows is a piece of the whole list. First empties what was there before.
type ProcessRows struct {
	First bool         `json:"first"`
	Last  bool         `json:"last"`
	Total int64        `json:"total"` // of the whole list
	Cores int64        `json:"cores"` // of the device, which CPU figures may add up to a thousand times
	Rows  []ProcessRow `json:"rows"`
}

// ProcessChange is what changed since the last time. Much of it comes in several pieces.
type ProcessChange struct {
	Last  bool          `json:"last"`
	Total int64         `json:"total"`
	New   []ProcessRow  `json:"new"` // also a process that became another program
	Moved []ProcessMove `json:"moved"`
	Gone  []int64       `json:"gone"` // numbers; they come before New
}

// ProcessLook asks for the details of one process.
type ProcessLook struct {
	PID   int64 `json:"pid"`
	Birth int64 `json:"birth"`
}

func (l ProcessLook) validate() error { return checkRange("pid", l.PID, 1, 1<<31) }

// ProcessDetails is what is known of one process. Of its environment only the names are told:
// the values are often secrets.
type ProcessDetails struct {
	PID       int64           `json:"pid"`
	Birth     int64           `json:"birth"`
	Gone      bool            `json:"gone"` // it has ended; nothing else is filled then
	Command   []string        `json:"command"`
	Exe       string          `json:"exe"`
	Dir       string          `json:"dir"`     // it works in
	Control   string          `json:"control"` // control group, which names its service
	Read      int64           `json:"read"`    // bytes from disks so far
	Written   int64           `json:"written"` // bytes to disks so far
	Env       []string        `json:"env"`     // names
	Files     []ProcessFile   `json:"files"`
	FileCount int64           `json:"file_count"` // may be more than Files
	Sockets   []ProcessSocket `json:"sockets"`
	Message   string          `json:"message"` // what could not be read, and why
}

// ProcessFile is an open file.
type ProcessFile struct {
	FD   int64  `json:"fd"`
	Name string `json:"name"`
}

// ProcessSocket is an open socket.
type ProcessSocket struct {
	Proto  string `json:"proto"` // tcp, tcp6, udp, udp6, unix
	Local  string `json:"local"`
	Remote string `json:"remote"`
	State  string `json:"state"` // of TCP, as LISTEN
}

// ProcessVerb is what is done with a process.
type ProcessVerb string

// The verbs.
const (
	ProcessEnd      ProcessVerb = "end"  // asks it to end (SIGTERM) and waits some seconds
	ProcessKill     ProcessVerb = "kill" // ends it at once (SIGKILL): what it had not saved is lost
	ProcessStop     ProcessVerb = "stop" // holds it (SIGSTOP)
	ProcessContinue ProcessVerb = "continue"
	ProcessNice     ProcessVerb = "nice" // gives it another priority
)

// ProcessAct acts on one process, if it is still the one that began at Birth.
type ProcessAct struct {
	PID   int64       `json:"pid"`
	Birth int64       `json:"birth"`
	What  ProcessVerb `json:"what"`
	Nice  int64       `json:"nice"` // for nice: -20 to 19
}

func (a ProcessAct) validate() error {
	if !slices.Contains([]ProcessVerb{ProcessEnd, ProcessKill, ProcessStop, ProcessContinue, ProcessNice}, a.What) {
		return fmt.Errorf("what is %q", trim(string(a.What), 32))
	}
	return firstError(checkRange("pid", a.PID, 1, 1<<31), checkRange("nice", a.Nice, -20, 19))
}

// ProcessDone answers ProcessAct.
type ProcessDone struct {
	PID     int64       `json:"pid"`
	Birth   int64       `json:"birth"`
	What    ProcessVerb `json:"what"`
	OK      bool        `json:"ok"`
	Gone    bool        `json:"gone"`    // it runs no more
	Message string      `json:"message"` // how it went, and what to do where it did not
}
