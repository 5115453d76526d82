package helper

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"handrail/agent/internal/desktop"
	"handrail/agent/internal/picture"
	"handrail/signaling"
)

// maxWatches is how many pictures a daemon has at once; its sessions allow fewer.
const maxWatches = 512

// server is the helper's end.
type server struct {
	log     *slog.Logger
	out     *out
	local   *Local
	watches map[uint32]*served // the reader's
	refused string             // why input came to nothing last, as told; the reader's
}

// served is one picture. Of the pictures of one viewer one is on its way at a time: the daemon
// says when the next can be taken, as its session would to a room in its own process.
type served struct {
	watcher Watcher
	waiting atomic.Bool
}

// Serve is the helper: it works on a display ("" is $DISPLAY) for the daemon at the other end of conn
// until that closes it or ctx ends. Whatever is held is let go of.
func Serve(ctx context.Context, conn io.ReadWriteCloser, display string, log *slog.Logger) error {
	s := &server{log: log, out: newOut(), watches: map[uint32]*served{}}
	var err error
	if s.local, err = NewLocal(display, s.told(), log); err != nil {
		return err
	}
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return s.local.Run(ctx) })
	g.Go(func() error { return s.out.run(ctx, conn) })
	g.Go(func() error { return s.out.watch(ctx) })
	g.Go(func() error { return s.read(conn) })
	context.AfterFunc(ctx, func() { conn.Close() })
	if err = g.Wait(); errors.Is(err, io.EOF) || errors.Is(err, context.Canceled) {
		return nil // the daemon is gone, or this process is told to stop
	}
	return err
}

func (s *server) told() Told {
	say := func(t signaling.Type, k kind, body any) {
		b, err := signaling.Encode(signaling.Envelope{Type: t, Body: body})
		if err != nil {
			s.log.Error("not told to the daemon", "type", t, "err", err)
			return
		}
		s.out.bytes(k, 0, b)
	}
	return Told{
		Picture: func(p picture.State) {
			say(signaling.TypePicture, kindState, signaling.Picture{State: p.Picture, Message: p.Message})
		},
		Desktop: func(words string) { s.out.bytes(kindDesktop, 0, []byte(words)) },
		Monitors: func(m []signaling.Monitor) {
			say(signaling.TypeMonitors, kindMonitors, signaling.Monitors{Monitors: m})
		},
		Cursor: func(c desktop.Cursor) {
			s.out.put(kindCursor, 0, func(b []byte) []byte { return appendCursor(b, c) })
		},
		Pointer: func(x, y int) {
			s.out.put(kindPointer, 0, func(b []byte) []byte { return appendPoint(b, x, y) })
		},
		Clipboard:  func(text string) { s.out.bytes(kindText, 0, []byte(text)) },
		LocalInput: func() { s.out.put(kindLocal, 0, nil) },
	}
}

func (s *server) read(r io.Reader) error {
	defer func() {
		for _, w := range s.watches {
			w.watcher.Close()
		}
	}()
	in := bufio.NewReader(r)
	var buf []byte
	for {
		k, id, body, err := readFrame(in, &buf)
		if err != nil {
			return err
		}
		if err := s.take(k, id, body); err != nil {
			return fmt.Errorf("frame of kind %d: %w", k, err)
		}
	}
}

func (s *server) take(k kind, id uint32, body []byte) error {
	switch k {
	case kindWatch:
		return s.watch(id, body)
	case kindUnwatch, kindSelect, kindTier, kindNetwork, kindKeyframe, kindReady:
		if w := s.watches[id]; w != nil {
			return s.direct(w, k, id, body)
		}
		return nil
	case kindInput:
		viewer, f, err := decodeInput(body)
		if err != nil {
			return err
		}
		s.injected(s.local.Apply(viewer, f))
	case kindRelease:
		s.local.ReleaseAll(signaling.PeerID(body))
	case kindLeave:
		s.local.Leave(signaling.PeerID(body))
	case kindSetText:
		text, err := decodeText(body)
		if err != nil {
			return err
		}
		s.injected(s.local.SetClipboard(text))
	case kindWatching:
		if len(body) != 1 {
			return errFrame
		}
		s.local.Watching(body[0] == 1)
	default:
		return errFrame
	}
	return nil
}

func (s *server) watch(id uint32, body []byte) error {
	var want watchBody
	if err := json.Unmarshal(body, &want); err != nil || s.watches[id] != nil || len(s.watches) >= maxWatches {
		return errFrame
	}
	w := &served{}
	w.waiting.Store(!want.Ready)
	var err error
	w.watcher, err = s.local.Watch(picture.WatchConfig{
		Monitor: want.Monitor, Tier: want.Tier, Ready: func() bool { return !w.waiting.Load() },
		Sink: func(e picture.Encoded) {
			w.waiting.Store(true)
			s.out.put(kindPicture, id, func(b []byte) []byte { return appendPicture(b, e, time.Now()) })
		},
	})
	if err != nil {
		return err
	}
	s.watches[id] = w
	return nil
}

// direct changes a picture.
func (s *server) direct(w *served, k kind, id uint32, body []byte) error {
	switch k {
	case kindUnwatch:
		w.watcher.Close()
		delete(s.watches, id)
	case kindSelect:
		if len(body) != 1 {
			return errFrame
		}
		w.watcher.SelectMonitor(body[0])
	case kindTier:
		w.watcher.SetTier(string(body))
	case kindNetwork:
		n, err := decodeNetwork(body)
		if err != nil {
			return err
		}
		w.watcher.SetNetwork(n)
	case kindKeyframe:
		w.watcher.RequestKeyframe()
	default: // kindReady
		w.waiting.Store(false)
		w.watcher.Wake()
	}
	return nil
}

// injected tells the daemon when input begins to come to nothing, and when it arrives again.
func (s *server) injected(err error) {
	words := ""
	if err != nil {
		words = err.Error()
	}
	if words != s.refused {
		s.refused = words
		s.out.bytes(kindInjection, 0, []byte(words))
	}
}
