package main

import (
	"os"

	"handrail/agent/internal/files"
)

// filesCmd is started by the agent itself, as the person at the device; see files.Child.
type filesCmd struct{}

// Run serves one channel over standard input and output.
func (filesCmd) Run(t *terminal) error { return files.Child(t.ctx, os.Stdin, t.stdout) }
