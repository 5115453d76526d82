//go:build !linux

package files

import (
	"context"
	"errors"
	"io"

	"handrail/signaling"
	"handrail/signaling/tool"
)

// errSystem is what a viewer is told where paths cannot be walked safely.
var errSystem = errors.New("files are shown of Linux devices only")

func (f *Files) serveAs(context.Context, tool.Conn, signaling.FilesOpen) error { return errSystem }

// Child is there on Linux only.
func Child(context.Context, io.Reader, io.Writer) error { return errSystem }
