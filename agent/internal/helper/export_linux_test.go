package helper

import (
	"io"
	"log/slog"

	"handrail/agent/internal/desktop"
	"handrail/agent/internal/picture"
	"handrail/agent/internal/seat"
	"handrail/signaling"
)

// Hear has a Remote with one picture hear what a helper says, to its end.
func Hear(said io.Reader) error {
	r := NewRemote(RemoteConfig{Seat: seat.Fixed("", -1)}, Told{
		Picture: func(picture.State) {}, Desktop: func(string) {}, Monitors: func([]signaling.Monitor) {}, Cursor: func(desktop.Cursor) {},
		Pointer: func(int, int) {}, Clipboard: func(string) {}, LocalInput: func() {},
	}, slog.New(slog.DiscardHandler))
	o := newOut()
	r.take(o)
	w, err := r.Watch(picture.WatchConfig{Sink: func(picture.Encoded) {}})
	if err != nil {
		return err
	}
	defer w.Close()
	return r.read(said, o)
}

// PID is the helper's process.
func (c *child) PID() int { return c.cmd.Process.Pid }
