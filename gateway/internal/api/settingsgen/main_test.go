package main

import (
	"os"
	"strings"
	"testing"
)

// TestPageIsFresh fails when docs/settings.md is not what the catalogue says.
func TestPageIsFresh(t *testing.T) {
	var want strings.Builder
	if err := render(&want); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile("../../../../docs/settings.md")
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want.String() {
		t.Error("docs/settings.md is not what the catalogue says: run make gen")
	}
}
