package gatewaytest

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/gorilla/websocket"

	"handrail/gateway/internal/auth"
	"handrail/signaling"
)

// Browser is an operator's socket, without a page around it.
type Browser struct {
	g  *Gateway
	ws *websocket.Conn
	in chan signaling.Envelope
	// Err is why the socket ended; read it after In was closed.
	Err error
}

// DialBrowser opens the socket of a signed-in client and redeems a ticket on it.
func (g *Gateway) DialBrowser(c *http.Client) *Browser {
	g.t.Helper()
	ticket, err := g.Rooms.Auth.NewTicket(g.t.Context(), g.Caller(c))
	if err != nil {
		g.t.Fatal(err)
	}
	b, err := g.DialBrowserWith(g.Cookie(c), g.URL, ticket)
	if err != nil {
		g.t.Fatal(err)
	}
	b.Await(signaling.TypeReady)
	return b
}

// DialBrowserWith opens a socket with any cookie, Origin and ticket ("" sends none).
func (g *Gateway) DialBrowserWith(cookie, origin, ticket string) (*Browser, error) {
	h := http.Header{"Origin": {origin}, "Cookie": {auth.CookieName + "=" + cookie}}
	ws, resp, err := websocket.DefaultDialer.DialContext(g.t.Context(), "ws"+strings.TrimPrefix(g.URL, "http")+"/api/socket", h)
	if err != nil {
		if resp != nil {
			resp.Body.Close()
			return nil, errors.New(resp.Status)
		}
		return nil, err
	}
	b := &Browser{g: g, ws: ws, in: make(chan signaling.Envelope, 1024)}
	g.t.Cleanup(func() { ws.Close() })
	go b.read()
	if ticket != "" {
		b.Send(signaling.TypeTicket, signaling.Ticket{Ticket: ticket})
	}
	return b, nil
}

func (b *Browser) read() {
	defer close(b.in)
	for {
		_, data, err := b.ws.ReadMessage()
		if err != nil {
			b.Err = err
			return
		}
		e, err := signaling.Decode(data, signaling.FromGateway)
		if err != nil {
			b.Err = err
			return
		}
		b.in <- e
	}
}

// Send sends a message with an id of its type's name.
func (b *Browser) Send(t signaling.Type, body any) {
	b.g.t.Helper()
	raw, err := json.Marshal(map[string]any{"v": signaling.Version, "type": t, "id": string(t), "body": body})
	if err != nil {
		b.g.t.Fatal(err)
	}
	b.SendRaw(raw)
}

// SendRaw sends any bytes as a text frame.
func (b *Browser) SendRaw(raw []byte) {
	b.g.t.Helper()
	if err := b.ws.WriteMessage(websocket.TextMessage, raw); err != nil {
		b.g.t.Fatalf("send to the gateway: %v", err)
	}
}

// Await returns the next message of a type, dropping others, and fails the test when none
// comes in a minute.
func (b *Browser) Await(t signaling.Type) signaling.Envelope {
	b.g.t.Helper()
	return b.AwaitFunc(string(t), func(e signaling.Envelope) bool { return e.Type == t })
}

// AwaitState waits until the gateway says that a session is in a state.
func (b *Browser) AwaitState(want signaling.State) signaling.SessionState {
	b.g.t.Helper()
	e := b.AwaitFunc("state "+string(want), func(e signaling.Envelope) bool {
		s, ok := e.Body.(signaling.SessionState)
		return ok && s.State == want
	})
	return e.Body.(signaling.SessionState)
}

// AwaitFunc returns the next message that matches; what names it in a failure.
func (b *Browser) AwaitFunc(what string, match func(signaling.Envelope) bool) signaling.Envelope {
	b.g.t.Helper()
	ctx, cancel := context.WithTimeout(b.g.t.Context(), time.Minute)
	defer cancel()
	var past []signaling.Type
	for {
		select {
		case e, ok := <-b.in:
			if !ok {
				b.g.t.Fatalf("socket ended while waiting for %s, after %v: %v", what, past, b.Err)
			}
			if match(e) {
				return e
			}
			past = append(past, e.Type)
		case <-ctx.Done():
			b.g.t.Fatalf("no %s in a minute, after %v", what, past)
		}
	}
}

// AwaitEnd waits until the gateway has closed the socket and returns why.
func (b *Browser) AwaitEnd() error {
	b.g.t.Helper()
	t := time.NewTimer(time.Minute)
	defer t.Stop()
	for {
		select {
		case _, ok := <-b.in:
			if !ok {
				return b.Err
			}
		case <-t.C:
			b.g.t.Fatal("the gateway did not close the socket in a minute")
		}
	}
}

// Close closes the socket.
func (b *Browser) Close() {
	_ = b.ws.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(websocket.CloseNormalClosure, ""), time.Now().Add(time.Second))
	b.ws.Close()
}
