//go:build !cgo

package main

import (
	"context"
	"errors"
)

// canShow says that this program was built for machines without a screen.
func canShow() error {
	return errors.New("this program was built without cgo and cannot draw windows; build it with CGO_ENABLED=1")
}

func watchDisplay(ctx context.Context) error { <-ctx.Done(); return nil }

func show(context.Context, *board, string) {}

func again() error { return nil }
