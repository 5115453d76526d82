// Package library is the scripts that come with the program: small ones, for what a support
// desk is asked every day. They are in everybody's library, cannot be changed there, and are
// there to be copied.
package library

import (
	"embed"
	"fmt"
	"slices"
	"time"

	"handrail/mdm/script"
)

//go:embed scripts
var bodies embed.FS

// entry is one script and what is said about it.
type entry struct {
	id, name, description, file, interpreter string
	parameters                               []script.Parameter
	timeout                                  int // seconds; 0 is script's own
}

// number is a parameter that takes a whole number.
func number(name, title, value string, low, high int64) script.Parameter {
	return script.Parameter{Name: name, Title: title, Type: script.Int, Default: value, Min: &low, Max: &high}
}

// yes is a parameter that is off unless it is asked for.
func yes(name, title, help string) script.Parameter {
	return script.Parameter{Name: name, Title: title, Help: help, Type: script.Bool, Default: "false"}
}

// lookers say how things are.
func lookers() []entry {
	path := script.Parameter{Name: "path", Title: "Directory", Type: script.String, Default: "/", Pattern: `/[^\n]*`}
	return []entry{
		{
			id: "diskusage", name: "Disk usage report", file: "disk-usage.sh", interpreter: "sh", timeout: 600,
			description: "Says how full each volume is and which directories take the room. Changes nothing.",
			parameters:  []script.Parameter{path, number("depth", "Levels below it", "2", 1, 6), number("count", "How many to list", "20", 1, 200)},
		},
		{
			id: "largestfiles", name: "Largest files", file: "largest-files.py", interpreter: "python3", timeout: 600,
			description: "Lists the largest files below a directory, on its own volume only. Changes nothing.",
			parameters: []script.Parameter{
				path, number("count", "How many to list", "20", 1, 200), number("min_mib", "From this size on, in MiB", "10", 0, 1<<20),
			},
		},
		{
			id: "reach", name: "Can it be reached?", file: "reach.py", interpreter: "python3",
			description: "Looks a name up and opens TCP connections to it, with times, as this device sees it. Changes nothing.",
			parameters: []script.Parameter{
				{Name: "host", Title: "Name or address", Type: script.String, Required: true, Pattern: `[A-Za-z0-9:][A-Za-z0-9.:-]{0,252}`},
				number("port", "Port", "443", 1, 65535), number("tries", "Tries", "3", 1, 20),
			},
		},
		{
			id: "certificate", name: "Certificate of a server", file: "certificate.py", interpreter: "python3",
			description: "Shows the certificate a server presents and when it ends, and fails when that is soon. Changes nothing.",
			parameters: []script.Parameter{
				{Name: "host", Title: "Name", Type: script.String, Required: true, Pattern: `[A-Za-z0-9][A-Za-z0-9.-]{0,252}`},
				number("port", "Port", "443", 1, 65535), number("days", "Soon is, in days", "14", 0, 3650),
			},
		},
		{
			id: "listeningports", name: "Listening ports", file: "listening-ports.sh", interpreter: "sh",
			description: "Lists which programs listen for connections and on which addresses. Changes nothing.",
			parameters:  []script.Parameter{yes("outside_only", "Only what others can reach", "Leaves out what listens on this device only.")},
		},
		{
			id: "printerstate", name: "Printers and their queues", file: "printer-state.sh", interpreter: "sh",
			description: "Says which printers there are, how they are, and what waits to be printed.",
			parameters:  []script.Parameter{yes("cancel", "Cancel what waits", "Everybody's jobs, on every printer.")},
		},
		{
			id: "smarthealth", name: "Health of the disks", file: "smart-health.py", interpreter: "python3",
			description: "Asks each disk about itself with smartctl (package smartmontools), and fails when one is failing. Changes nothing.",
		},
		{
			id: "failedservices", name: "Services that failed", file: "failed-services.sh", interpreter: "sh",
			description: "Lists services that failed, with the last lines of their logs.",
			parameters:  []script.Parameter{number("lines", "Lines of each log", "10", 0, 200), yes("retry", "Start them again", "")},
		},
	}
}

// changers put things right.
func changers() []entry {
	return []entry{
		{
			id: "cleanpackages", name: "Clean the package cache", file: "clean-packages.sh", interpreter: "sh", timeout: 900,
			description: "Removes downloaded packages (apt, dnf) and says how much room that made.",
			parameters:  []script.Parameter{yes("autoremove", "Remove unused packages too", "Packages that came as needs of others that are gone.")},
		},
		{
			id: "vacuumjournal", name: "Shrink the journal", file: "vacuum-journal.sh", interpreter: "sh",
			description: "Starts a new file of the system's journal and removes old ones beyond a size or an age.",
			parameters: []script.Parameter{
				number("size_mib", "Keep at most, in MiB", "200", 8, 1<<20), number("days", "Keep at most, in days; 0: any age", "0", 0, 3650),
			},
		},
		{
			id: "restartnetwork", name: "Restart the network", file: "restart-network.sh", interpreter: "sh",
			description: "Brings a network interface down and up again, or all of them, with NetworkManager or systemd-networkd. The device is away for some seconds.",
			parameters: []script.Parameter{
				{Name: "interface", Title: "Interface", Help: "Left empty: all.", Type: script.String, Pattern: `[A-Za-z0-9][A-Za-z0-9._-]{0,14}`},
			},
		},
		{
			id: "flushdns", name: "Flush the DNS cache", file: "flush-dns.sh", interpreter: "sh",
			description: "Empties the caches of systemd-resolved, nscd and dnsmasq, whichever are there.",
			parameters: []script.Parameter{
				{Name: "name", Title: "Look this name up afterwards", Type: script.String, Pattern: `[A-Za-z0-9][A-Za-z0-9.-]{0,252}`},
			},
		},
	}
}

// Scripts returns the library; the caller owns it.
func Scripts() ([]script.Shipped, error) {
	since := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC) // when the library came to be; its scripts have no other time
	var out []script.Shipped
	for _, e := range slices.Concat(lookers(), changers()) {
		b, err := bodies.ReadFile("scripts/" + e.file)
		if err != nil {
			return nil, fmt.Errorf("script %s: %w", e.id, err)
		}
		out = append(out, script.Shipped{
			ID: "scr_" + script.ID(e.id), Name: e.name, Description: e.description, At: since,
			Draft: script.Draft{Interpreter: e.interpreter, Body: string(b), Parameters: e.parameters, TimeoutSeconds: e.timeout},
		})
	}
	return out, nil
}
