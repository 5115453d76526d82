package turn

import (
	"fmt"
	"log/slog"

	"github.com/pion/logging"
)

// loggers gives the library's words to our logger: everything a stranger can cause is debug.
type loggers struct{ log *slog.Logger }

// NewLogger implements logging.LoggerFactory.
func (l loggers) NewLogger(scope string) logging.LeveledLogger {
	return leveled{l.log.With("scope", scope)}
}

type leveled struct{ log *slog.Logger }

func (l leveled) say(text string)                { l.log.Debug("turn", "text", text) }
func (l leveled) Trace(string)                   {}
func (l leveled) Tracef(string, ...any)          {}
func (l leveled) Debug(string)                   {}
func (l leveled) Debugf(string, ...any)          {}
func (l leveled) Info(msg string)                { l.say(msg) }
func (l leveled) Infof(format string, v ...any)  { l.say(fmt.Sprintf(format, v...)) }
func (l leveled) Warn(msg string)                { l.say(msg) }
func (l leveled) Warnf(format string, v ...any)  { l.say(fmt.Sprintf(format, v...)) }
func (l leveled) Error(msg string)               { l.say(msg) }
func (l leveled) Errorf(format string, v ...any) { l.say(fmt.Sprintf(format, v...)) }
