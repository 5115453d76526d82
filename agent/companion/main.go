// Command handrail-companion is what the person at a device sees of Handrail: the window
// that asks for consent, and the banner that stays while somebody is there. It decides
// nothing: the daemon asks, it shows, the person answers. One runs in each desktop session,
// started by the daemon or with the desktop, and it draws nothing until there is something
// to show.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/alecthomas/kong"

	"handrail/agent/internal/prompt"
)

// idleAfter is how long nothing is shown before the memory of a drawn window is given back.
const idleAfter = time.Minute

// Pauses between tries to reach the daemon.
const (
	firstPause = 200 * time.Millisecond
	lastPause  = 5 * time.Second
)

type cli struct {
	Socket string `help:"The agent's local socket." default:"/var/lib/handrail-agent/agent.sock" env:"HANDRAIL_SOCKET"`
	Theme  string `help:"auto, light or dark." enum:"auto,light,dark" default:"auto" env:"HANDRAIL_THEME"`
}

func main() {
	var c cli
	kong.Parse(&c, kong.Name("handrail-companion"), kong.Description("Handrail's window for the person at the device."))
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, c)
	stop()
	if err != nil {
		fmt.Fprintf(os.Stderr, "handrail-companion: %v\n", err)
		os.Exit(1)
	}
}

// run keeps this goroutine, the process's first, for the window system, which wants it.
func run(ctx context.Context, c cli) error {
	if err := canShow(); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	b := newBoard()
	lost := make(chan error, 1)
	go func() {
		lost <- watchDisplay(ctx)
		cancel()
	}()
	go b.follow(ctx, c.Socket)
	select {
	case <-ctx.Done():
	case <-b.wanted:
		show(ctx, b, c.Theme)
	}
	if ctx.Err() == nil {
		return again() // shown enough: start afresh, small
	}
	select {
	case err := <-lost:
		return err
	default:
		return nil
	}
}

// follow keeps the conversation with the daemon going until ctx ends.
func (b *board) follow(ctx context.Context, socket string) {
	pause := firstPause
	for {
		conn, err := prompt.Dial(ctx, socket, prompt.RoleCompanion)
		if err == nil {
			pause = firstPause
			b.talk(ctx, conn)
			b.clear()
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
		pause = min(2*pause, lastPause)
	}
}

// talk puts what the daemon says on the board until the daemon hangs up.
func (b *board) talk(ctx context.Context, conn *prompt.Conn) {
	b.attach(conn)
	defer b.attach(nil)
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	for {
		m, err := conn.Receive()
		if err != nil {
			return
		}
		b.put(m)
	}
}
