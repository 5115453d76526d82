package main

import "testing"

// The committed TypeScript is what the Go types say.
func TestCommittedFilesAreCurrent(t *testing.T) {
	if err := run("../..", true); err != nil {
		t.Fatal(err)
	}
}
