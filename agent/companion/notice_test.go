//go:build cgo && linux

package main

import (
	"context"
	"testing"
	"time"

	"handrail/agent/internal/prompt"
)

// TestNotice: a message comes up, is said to have come up, and goes when it is closed.
func TestNotice(t *testing.T) {
	s := newStage(t)
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	begun := false
	by, err := s.desk.Notify(ctx, prompt.Notice{
		Title: "Tonight", Text: "This computer restarts at eight.\nPlease save your work.", From: "Ada Admin", Organisation: "Example Ltd",
	}, func() error { begun = true; return nil })
	if err != nil || by == "" || !begun {
		t.Fatalf("shown to %q, begun %v: %v", by, begun, err)
	}
	w := s.find("Handrail: message")
	s.shot("notice")
	s.click(w.id, w.w-60, w.h-36) // Close
	s.gone("Handrail: message")
}
