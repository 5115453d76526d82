package daemon

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"strings"
	"time"

	"handrail/agent/internal/seat"
)

// Pauses before a companion that ended is started again: at once when it ran well.
const (
	companionPause = 250 * time.Millisecond
	companionRest  = 30 * time.Second // at most, for one that ends at once every time
	companionWell  = 10 * time.Second
)

// keepCompanion runs the companion program in whatever desktop is in front, and starts it again
// when it ends, so that nobody is viewed without the banner.
func (d *Daemon) keepCompanion(ctx context.Context) error {
	if d.cfg.Companion == "" {
		return nil
	}
	if _, err := os.Stat(d.cfg.Companion); err != nil {
		d.log.Warn("no companion program: consent can only be given by policy", "path", d.cfg.Companion)
		return nil
	}
	pause := companionPause
	for ctx.Err() == nil {
		desktop, changed := d.seat.Now()
		if desktop == nil {
			select {
			case <-changed:
			case <-ctx.Done():
			}
			continue
		}
		start := time.Now()
		err := d.runCompanion(ctx, *desktop, changed)
		if ctx.Err() != nil {
			break
		}
		if time.Since(start) > companionWell {
			pause = companionPause
		}
		d.log.Info("companion ended", "err", err, "restart_in", pause)
		select {
		case <-ctx.Done():
		case <-changed:
			pause = companionPause
		case <-time.After(pause):
		}
		pause = min(2*pause, companionRest)
	}
	return nil
}

// runCompanion runs it as whoever the desktop belongs to, until it ends or another desktop comes
// to the front.
func (d *Daemon) runCompanion(ctx context.Context, desktop seat.Desktop, changed <-chan struct{}) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	cmd := exec.CommandContext(ctx, d.cfg.Companion, "--socket", d.cfg.Socket) //nolint:gosec // the admin's own choice
	if err := desktop.Enter(cmd); err != nil {
		return err
	}
	w := &logWriter{log: d.log.With("room", "companion")}
	cmd.Stdout, cmd.Stderr = w, w
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 2 * time.Second
	if err := cmd.Start(); err != nil {
		return err
	}
	go func() {
		select {
		case <-changed:
			cancel()
		case <-ctx.Done():
		}
	}()
	err := cmd.Wait()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return errors.New(exit.String())
	}
	return err
}

// logWriter puts a program's output in the log, a line an entry.
type logWriter struct {
	log  *slog.Logger
	line strings.Builder
}

func (w *logWriter) Write(b []byte) (int, error) {
	for _, c := range b {
		switch {
		case c == '\n':
			w.log.Info("companion says", "line", w.line.String())
			w.line.Reset()
		case w.line.Len() < 1024:
			w.line.WriteByte(c)
		}
	}
	return len(b), nil
}

var _ io.Writer = (*logWriter)(nil)
