//go:build !linux

package diag

import (
	"context"
	"errors"
)

var errTree = errors.New("only on Linux a tree of files can stand for a device")

// NewTreeCollector is not available here.
func NewTreeCollector(string, string) (*Collector, error) { return nil, errTree }

// WatchTree is not available here.
func WatchTree(context.Context, string, func()) error { return errTree }
