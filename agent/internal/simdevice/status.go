package simdevice

import (
	"fmt"
	"io"
	"strings"
)

// WriteStatus writes the packages of a Debian office workstation, at their newest, as dpkg keeps
// them in its status file.
func WriteStatus(w io.Writer) {
	for line := range strings.Lines(packageList) {
		f := strings.Fields(line)
		if len(f) != 3 || f[0] != "-" && f[0] != "o" {
			continue
		}
		fmt.Fprintf(w, "Package: %s\nStatus: install ok installed\nArchitecture: amd64\nMaintainer: Debian <debian@example.org>\nVersion: %s\nDescription: %s\n\n", f[1], f[2], f[1])
	}
}
