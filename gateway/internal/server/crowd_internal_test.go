package server

import (
	"log/slog"
	"net"
	"testing"
)

// TestAFullHouseAcceptsAgain fills every place; who comes then is let in when one leaves.
func TestAFullHouseAcceptsAgain(t *testing.T) {
	plain, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := bounded(plain, 2, slog.New(slog.DiscardHandler))
	t.Cleanup(func() { l.Close() })
	accepted := make(chan net.Conn, 3)
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				close(accepted)
				return
			}
			accepted <- conn
		}
	}()
	dial := func() {
		t.Helper()
		conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
	}
	dial()
	dial()
	first, second := <-accepted, <-accepted
	dial() // into the backlog
	select {
	case <-accepted:
		t.Fatal("a third was let in")
	default:
	}
	first.Close()
	first.Close() // gives back one place, not two
	third := <-accepted
	dial()
	select {
	case <-accepted:
		t.Fatal("closing twice made room for two")
	default:
	}
	second.Close()
	third.Close()
	(<-accepted).Close()
}
