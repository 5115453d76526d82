//go:build cgo && !linux

package main

import "context"

func canShow() error { return nil }

func watchDisplay(ctx context.Context) error { <-ctx.Done(); return nil }

// pin leaves the banner where the system puts it.
type pin struct{}

func (*pin) open(uintptr) error { return nil }
func (*pin) place()             {}

func keepAbove(uintptr) error { return nil }

func again() error { return nil }
