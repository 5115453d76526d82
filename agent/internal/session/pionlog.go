package session

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/pion/logging"
)

// pionLog gives pion's parts a logger each. What they call a warning is everyday life on
// a network (a candidate that does not answer, a packet late), so it arrives as debug.
type pionLog struct{ log *slog.Logger }

// NewLogger returns the logger of one part.
func (p pionLog) NewLogger(scope string) logging.LeveledLogger {
	return pionScope{p.log.With("part", scope)}
}

type pionScope struct{ log *slog.Logger }

func (s pionScope) say(level slog.Level, text string) {
	s.log.Log(context.Background(), level, "webrtc", "said", text)
}

func (s pionScope) sayf(level slog.Level, format string, args []any) {
	if s.log.Enabled(context.Background(), level) {
		s.say(level, fmt.Sprintf(format, args...))
	}
}

func (s pionScope) Trace(string)                      {}
func (s pionScope) Tracef(string, ...any)             {}
func (s pionScope) Debug(string)                      {}
func (s pionScope) Debugf(string, ...any)             {}
func (s pionScope) Info(string)                       {}
func (s pionScope) Infof(string, ...any)              {}
func (s pionScope) Warn(msg string)                   { s.say(slog.LevelDebug, msg) }
func (s pionScope) Warnf(format string, args ...any)  { s.sayf(slog.LevelDebug, format, args) }
func (s pionScope) Error(msg string)                  { s.say(slog.LevelDebug, msg) }
func (s pionScope) Errorf(format string, args ...any) { s.sayf(slog.LevelDebug, format, args) }
