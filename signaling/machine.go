package signaling

import (
	"fmt"
	"slices"
)

// Messages of the tool "machine": what else there is to know of a device. Each MachineAsk, sent with
// an id, is answered by one MachineTable, which names it as re.
const (
	TypeMachineAsk   Type = "machine.ask"
	TypeMachineTable Type = "machine.table"
)

// ToolMachine names the tool.
const ToolMachine = "machine"

// MachineTopic is what a table is of.
type MachineTopic string

// The topics.
const (
	MachineUsers   MachineTopic = "users"   // signed in
	MachineFaults  MachineTopic = "faults"  // of the hardware, and of memory that ran out, from the kernel's log
	MachineCrashes MachineTopic = "crashes" // of programs
	MachineBoot    MachineTopic = "boot"    // what the last start took
	MachineUpdates MachineTopic = "updates" // that wait
)

// MachineAsk asks for one topic.
type MachineAsk struct {
	Topic MachineTopic `json:"topic"`
}

func (a MachineAsk) validate() error {
	if !slices.Contains([]MachineTopic{MachineUsers, MachineFaults, MachineCrashes, MachineBoot, MachineUpdates}, a.Topic) {
		return fmt.Errorf("topic is %q", trim(string(a.Topic), 32))
	}
	return nil
}

// MachineRow is one line of a table.
type MachineRow struct {
	TimeMS int64    `json:"time_ms"` // when it was; 0 where that has no meaning
	Bad    bool     `json:"bad"`
	Cells  []string `json:"cells"` // as many as there are Columns
}

// MachineTable answers MachineAsk.
type MachineTable struct {
	Topic   MachineTopic `json:"topic"`
	Summary string       `json:"summary"` // in one sentence
	Columns []string     `json:"columns"` // besides the time
	Rows    []MachineRow `json:"rows"`
	Message string       `json:"message"` // what could not be read, and why
}
