package hub

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"handrail/signaling"
)

// BrowserConfig gives Browsers its limits and the functions that know operators. O is
// what the gateway knows of a signed-in operator. All functions are needed.
type BrowserConfig[O any] struct {
	Limits Limits

	// Origin reports whether a page of this request's Origin may speak to the gateway.
	Origin func(r *http.Request) bool
	// SignedIn returns who the request's cookie belongs to, before the upgrade. An error
	// is answered with 401, or a Refusal's words.
	SignedIn func(r *http.Request) (O, error)
	// Redeem takes a one-time ticket of this operator.
	Redeem func(ctx context.Context, o O, ticket string) error
	// Connected is called when the browser has been told that it is ready.
	Connected func(b *Browser[O])
	// Message is called for each message whose rule is not RuleNone or RuleTicket, in
	// order, by the connection's own goroutine.
	Message func(b *Browser[O], e signaling.Envelope)
	// Gone is called once for each Connected.
	Gone func(b *Browser[O], cause error)
}

// Browser is the socket of a signed-in operator.
type Browser[O any] struct {
	*Socket
	Operator O
	Remote   string // network address, for logs and audit
}

// Browsers accepts the sockets of browsers.
type Browsers[O any] struct {
	cfg    BrowserConfig[O]
	log    *slog.Logger
	limits *Limits

	ctx    context.Context // ends when Run does
	cancel context.CancelFunc
	wg     sync.WaitGroup

	mu       sync.Mutex
	open     map[*Socket]struct{}
	draining bool
}

// NewBrowsers returns a hub that accepts connections until Run ends.
func NewBrowsers[O any](cfg BrowserConfig[O], log *slog.Logger) *Browsers[O] {
	ctx, cancel := context.WithCancel(context.Background())
	l := cfg.Limits.withDefaults()
	return &Browsers[O]{cfg: cfg, log: log, limits: &l, ctx: ctx, cancel: cancel, open: map[*Socket]struct{}{}}
}

// Run blocks until ctx ends, then closes every connection and waits for their callbacks.
func (h *Browsers[O]) Run(ctx context.Context) error {
	<-ctx.Done()
	h.cancel()
	h.mu.Lock()
	h.draining = true
	for s := range h.open {
		s.Close(ErrDraining)
	}
	h.mu.Unlock()
	h.wg.Wait()
	return nil
}

// Drain tells every browser that this gateway goes away and closes their connections; new
// ones are refused.
func (h *Browsers[O]) Drain(after time.Duration) {
	frame := signaling.MustEncode(signaling.Envelope{Type: signaling.TypeDrain, Body: signaling.Drain{ReconnectAfterMS: after.Milliseconds()}})
	h.mu.Lock()
	defer h.mu.Unlock()
	h.draining = true
	for s := range h.open {
		_ = s.SendFrame(frame)
		s.Close(ErrDraining)
	}
}

// Len returns how many browsers are connected.
func (h *Browsers[O]) Len() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.open)
}

// ServeHTTP accepts one browser.
func (h *Browsers[O]) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !h.cfg.Origin(r) {
		http.Error(w, "this page may not open a socket here", http.StatusForbidden)
		return
	}
	o, err := h.cfg.SignedIn(r)
	if err != nil {
		http.Error(w, "not signed in", http.StatusUnauthorized)
		return
	}
	b := &Browser[O]{Operator: o, Remote: r.RemoteAddr}
	s, err := accept(w, r, signaling.FromBrowser, h.limits, h.cfg.Origin)
	if err != nil {
		h.log.Debug("browser_upgrade_refused", "remote", b.Remote, "error", err)
		return
	}
	b.Socket = s
	h.mu.Lock()
	if h.draining {
		h.mu.Unlock()
		refuse(s, &Refusal{Code: signaling.CodeDraining, Message: "this gateway is shutting down", RetryAfter: time.Second})
		return
	}
	h.open[s] = struct{}{}
	h.wg.Add(1)
	h.mu.Unlock()
	go h.run(b)
}

func (h *Browsers[O]) run(b *Browser[O]) {
	defer h.wg.Done()
	defer func() {
		h.mu.Lock()
		delete(h.open, b.Socket)
		h.mu.Unlock()
	}()
	if err := h.redeem(b); err != nil {
		h.log.Info("browser_refused", "remote", b.Remote, "error", err)
		return
	}
	h.cfg.Connected(b)
	cause := b.serve(h.ctx, func(e signaling.Envelope) {
		switch signaling.RuleOf(e.Type) {
		case signaling.RuleNone, signaling.RuleTicket:
			b.Refuse(e, signaling.CodeForbidden, string(e.Type)+" is not for a browser to send now")
		default:
			h.cfg.Message(b, e)
		}
	})
	h.cfg.Gone(b, cause)
}

// redeem takes the ticket that must come first.
func (h *Browsers[O]) redeem(b *Browser[O]) error {
	ctx, cancel := context.WithTimeout(h.ctx, h.limits.Handshake)
	defer cancel()
	_ = b.ws.SetReadDeadline(time.Now().Add(h.limits.Handshake))
	t, err := expect[signaling.Ticket](b.Socket)
	if err == nil {
		err = h.cfg.Redeem(ctx, b.Operator, t.Ticket)
	}
	if err != nil {
		var r *Refusal
		var re *readError
		switch {
		case errors.As(err, &re):
			b.fail(err)
			return err
		case !errors.As(err, &r):
			h.log.Error("browser_ticket_broken", "error", err)
			r = &Refusal{Code: signaling.CodeInternal, Message: "the gateway could not check the ticket", RetryAfter: time.Second}
		}
		refuse(b.Socket, r)
		return r
	}
	_ = b.ws.SetReadDeadline(time.Time{})
	err = b.Send(signaling.Envelope{Type: signaling.TypeReady, Body: signaling.Ready{HeartbeatMS: h.limits.Heartbeat.Milliseconds()}})
	if err != nil {
		return err
	}
	b.heartbeat()
	return nil
}
