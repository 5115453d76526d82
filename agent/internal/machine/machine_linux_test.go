package machine_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"handrail/agent/internal/diag"
	"handrail/agent/internal/journal"
	"handrail/agent/internal/machine"
	"handrail/mdm/inventory"
	"handrail/signaling"
	"handrail/signaling/tool/tooltest"
)

func ask(v *tooltest.Viewer, topic signaling.MachineTopic) signaling.MachineTable {
	v.Say(signaling.TypeMachineAsk, string(topic), signaling.MachineAsk{Topic: topic})
	return tooltest.Await(v, string(topic), func(m signaling.MachineTable) bool { return m.Topic == topic })
}

// complaints are lines as kernels write them.
var complaints = []string{
	"Linux version 6.1.0",
	"Out of memory: Killed process 4711 (firefox) total-vm:4194304kB, anon-rss:2097152kB",
	"blk_update_request: I/O error, dev sdb, sector 12345 op 0x0:(READ) flags 0x80700",
	"I/O error, dev nvme0n1, sector 5 op 0x1:(WRITE)",
	"EXT4-fs error (device sda1): ext4_find_entry:1455: inode #2: comm ls: reading directory lblock 0",
	"mce: [Hardware Error]: Machine check events logged",
	"CPU3: Core temperature above threshold, cpu clock throttled (total events = 1)",
	"INFO: task nfsd:812 blocked for more than 120 seconds.",
	"cupsd[321]: segfault at 0 ip 00007f sp 00007f error 4 in libc.so.6[7f]",
}

func said(_ context.Context, q signaling.JournalOpen) ([]signaling.JournalLine, error) {
	if !q.Kernel {
		return nil, errors.New("only the kernel was asked")
	}
	var out []signaling.JournalLine
	for i, text := range complaints {
		out = append(out, signaling.JournalLine{TimeMS: int64(i + 1), Unit: "kernel", Text: text})
	}
	return out, nil
}

// TestFaults: what kernels complain of is known by kind, and by what it is of; what is no complaint is left out.
func TestFaults(t *testing.T) {
	v := tooltest.Serve(t, machine.New(machine.Config{Lines: said}).Serve, signaling.Diagnostics)
	m := ask(v, signaling.MachineFaults)
	var got []string
	for _, r := range m.Rows {
		got = append(got, r.Cells[0]+": "+r.Cells[1])
	}
	want := []string{
		"Program crashed: cupsd", "Something hangs: nfsd", "Too hot: ", "Hardware error: ", "File system damaged: sda1", "Disk error: nvme0n1", "Disk error: sdb", "Memory ran out: firefox",
	}
	if !slices.Equal(got, want) || !strings.Contains(m.Summary, "8 complaints of the kernel, 7 of them grave") {
		t.Errorf("%s\n%q\nwant\n%q", m.Summary, got, want)
	}
}

// TestCrashes: from what systemd keeps, from Ubuntu's reports, and from the kernel's log.
func TestCrashes(t *testing.T) {
	root := t.TempDir()
	for _, name := range []string{"var/lib/systemd/coredump/core.soffice\\x2ebin.1000.2a55840f49d34ef496fbf6ca5fc1bb3b.4711.1795489830000000.zst", "var/crash/_usr_bin_gimp.1000.crash"} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(root, name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(root, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	v := tooltest.Serve(t, machine.New(machine.Config{Lines: said, Root: root}).Serve, signaling.Diagnostics)
	m := ask(v, signaling.MachineCrashes)
	var got []string
	for _, r := range m.Rows {
		got = append(got, r.Cells[0])
	}
	slices.Sort(got)
	if !slices.Equal(got, []string{"/usr/bin/gimp", "cupsd", "firefox", `soffice\x2ebin`}) {
		t.Errorf("crashes %q", got)
	}
}

// TestUpdates: those for security come first, and a restart that is needed is said.
func TestUpdates(t *testing.T) {
	u := &inventory.Updates{RebootRequired: true, Pending: []inventory.PendingUpdate{{Name: "vim", Installed: "1", Candidate: "2"}, {Name: "openssl", Installed: "3", Candidate: "4", Security: true}}}
	v := tooltest.Serve(t, machine.New(machine.Config{Updates: func(context.Context) (*inventory.Updates, string) { return u, "" }}).Serve, signaling.Diagnostics)
	m := ask(v, signaling.MachineUpdates)
	if len(m.Rows) != 2 || m.Rows[0].Cells[0] != "openssl" || !m.Rows[0].Bad || !strings.Contains(m.Summary, "2 updates wait, 1 of them for security. A restart is needed") {
		t.Errorf("%+v", m)
	}
}

// TestThisMachine: each table of a real machine is one, whatever that has.
func TestThisMachine(t *testing.T) {
	cfg := machine.Config{Lines: journal.New(journal.Config{}).Lines, Users: diag.Users, Updates: diag.Updates}
	v := tooltest.Serve(t, machine.New(cfg).Serve, signaling.Diagnostics)
	for _, topic := range []signaling.MachineTopic{signaling.MachineUsers, signaling.MachineFaults, signaling.MachineCrashes, signaling.MachineBoot, signaling.MachineUpdates} {
		m := ask(v, topic)
		if m.Summary == "" || len(m.Columns) == 0 {
			t.Errorf("%s: %+v", topic, m)
		}
		for _, r := range m.Rows {
			if len(r.Cells) != len(m.Columns) {
				t.Errorf("%s: a row of %d cells in a table of %d: %q", topic, len(r.Cells), len(m.Columns), r.Cells)
			}
		}
	}
}
