package signaling_test

import (
	"strings"
	"testing"

	"handrail/signaling"
)

// diagnosticSamples are the bodies of the diagnostic tools whose fields need more than filling.
var diagnosticSamples = map[signaling.Type]any{
	signaling.TypeProcessRows: signaling.ProcessRows{First: true, Last: true, Total: 1, Cores: 2, Rows: []signaling.ProcessRow{{
		PID: 4711, Birth: 12345, Parent: 1, Name: "bash", Command: "bash -l", User: "maria", Kind: signaling.ProcessOwn, StartMS: 1_700_000_000_000,
		Now: signaling.ProcessFigures{State: "S", CPU: 12, Memory: 4 << 20, Nice: -5, Threads: 1},
	}}},
	signaling.TypeProcessAct:    signaling.ProcessAct{PID: 4711, Birth: 12345, What: signaling.ProcessNice, Nice: 10},
	signaling.TypeProcessDone:   signaling.ProcessDone{PID: 4711, Birth: 12345, What: signaling.ProcessEnd, OK: true, Gone: true, Message: "bash (4711) has ended."},
	signaling.TypeProcessChange: signaling.ProcessChange{Last: true, Total: 2, New: []signaling.ProcessRow{}, Moved: []signaling.ProcessMove{{PID: 4711, Birth: 12345, Now: signaling.ProcessFigures{State: "R", CPU: 990, Memory: 1, Nice: 0, Threads: 2}}}, Gone: []int64{12}},

	signaling.TypeServiceRows: signaling.ServiceRows{First: true, Last: true, Manager: signaling.ManagerSystemd, Rows: []signaling.ServiceRow{{
		Name: "ssh.service", Description: "OpenBSD Secure Shell server", State: "active", Sub: "running", Enabled: "enabled",
	}}, Gone: []string{"old.service"}},
	signaling.TypeServiceLook: signaling.ServiceLook{Name: "ssh.service"},
	signaling.TypeServiceAct:  signaling.ServiceAct{Name: "getty@tty1.service", What: signaling.ServiceRestart},
	signaling.TypeServiceDone: signaling.ServiceDone{Name: "ssh.service", What: signaling.ServiceRestart, Before: "failed", After: "active", OK: true, Log: []string{"Started."}},

	signaling.TypeJournalOpen:  signaling.JournalOpen{Query: 1, Unit: "ssh.service", Priority: 4, Text: "failed", Boot: "ab12", Count: 200, Follow: true},
	signaling.TypeJournalLines: signaling.JournalLines{Query: 1, Seq: 3, Back: true, Begin: true, Dropped: 7, Last: true, Lines: []signaling.JournalLine{{TimeMS: 1, Priority: 3, Unit: "kernel", PID: 1, Text: "out of memory", Cut: 12}}},
	signaling.TypeJournalMore:  signaling.JournalMore{Query: 1, Count: 200},

	signaling.TypeSpaceWalk: signaling.SpaceWalk{Path: "/var/log", Seconds: 60},
	signaling.TypeSpaceTree: signaling.SpaceTree{Path: "/var", Done: true, Whole: true, Entries: 12, Unreadable: 1, Message: "m", Nodes: []signaling.SpaceNode{
		{Parent: -1, Name: "/var", Bytes: 12, Files: 2, Dir: true}, {Parent: 0, Name: "log", Bytes: 10, Files: 1, Dir: true},
	}},

	signaling.TypeNetRun:  signaling.NetRun{What: signaling.NetResolve, Target: "example.org", Server: "192.0.2.53", Record: "MX", Port: 53},
	signaling.TypeNetLine: signaling.NetLine{Text: "answer in 12 ms", Tone: signaling.ToneGood, MS: 12},

	signaling.TypeMachineAsk:   signaling.MachineAsk{Topic: signaling.MachineFaults},
	signaling.TypeMachineTable: signaling.MachineTable{Topic: signaling.MachineFaults, Summary: "One.", Columns: []string{"What"}, Rows: []signaling.MachineRow{{TimeMS: 1, Bad: true, Cells: []string{"I/O error"}}}},

	signaling.TypeFindings: signaling.Findings{Done: true, Summary: "One thing.", Findings: []signaling.Finding{{
		ID: "disk:/var", Severity: signaling.SeverityBad, Title: "/var is 97 % full", Evidence: []string{"41 GB of it in /var/log/journal"}, Advice: "Delete.", Tool: signaling.ToolSpace, Target: "/var",
	}}, Looked: []string{"disks"}, Missed: []string{"journal"}, TookMS: 12},
}

// TestDiagnosticsRefuse: what a viewer asks for ends on command lines, in paths and in loops of the
// device, so all of it is checked before a tool sees it.
func TestDiagnosticsRefuse(t *testing.T) {
	for name, frame := range map[string]string{
		"a process number below 1":       `{"v":1,"type":"process.act","body":{"pid":-1,"what":"kill"}}`,
		"a process group":                `{"v":1,"type":"process.act","body":{"pid":0,"what":"kill"}}`,
		"a verb that does not exist":     `{"v":1,"type":"process.act","body":{"pid":5,"what":"eat"}}`,
		"a priority that does not exist": `{"v":1,"type":"process.act","body":{"pid":5,"what":"nice","nice":-21}}`,
		"a list more often than may be":  `{"v":1,"type":"process.watch","body":{"every_ms":1}}`,
		"a service that is an option":    `{"v":1,"type":"service.act","body":{"name":"--root=/tmp","what":"start"}}`,
		"a service that is a path":       `{"v":1,"type":"service.look","body":{"name":"../../bin/sh"}}`,
		"a service with a space":         `{"v":1,"type":"service.look","body":{"name":"a b"}}`,
		"a service without a name":       `{"v":1,"type":"service.look","body":{}}`,
		"a log's service as an option":   `{"v":1,"type":"journal.open","body":{"unit":"-x","count":1}}`,
		"a boot that is none":            `{"v":1,"type":"journal.open","body":{"boot":"-1; ls","count":1}}`,
		"a million lines":                `{"v":1,"type":"journal.more","body":{"count":1000000}}`,
		"a walk of a relative path":      `{"v":1,"type":"space.walk","body":{"path":"etc","seconds":5}}`,
		"an endless walk":                `{"v":1,"type":"space.walk","body":{"path":"/","seconds":5000}}`,
		"a path with an end inside":      `{"v":1,"type":"space.walk","body":{"path":"/\u0000","seconds":5}}`,
		"a check that does not exist":    `{"v":1,"type":"net.run","body":{"what":"flood"}}`,
		"an endless ping":                `{"v":1,"type":"net.run","body":{"what":"ping","target":"x","count":100000}}`,
		"a port that does not exist":     `{"v":1,"type":"net.run","body":{"what":"tcp","target":"x","port":70000}}`,
		"a topic that does not exist":    `{"v":1,"type":"machine.ask","body":{"topic":"secrets"}}`,
		"a target of a megabyte":         `{"v":1,"type":"net.run","body":{"what":"ping","target":"` + strings.Repeat("x", 4096) + `"}}`,
	} {
		if _, err := signaling.Decode([]byte(frame), signaling.FromViewer); signaling.CodeOf(err) != signaling.CodeMalformed {
			t.Errorf("%s: %v", name, err)
		}
	}
}
