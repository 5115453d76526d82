package netcheck

import (
	"context"
	"fmt"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"handrail/mdm"
	"handrail/signaling"
	"handrail/signaling/tool"
)

const (
	maxChecks   = 4               // of one viewer at a time
	checkWithin = 3 * time.Minute // any check ends by then
)

// Config says what the checks know of. The zero value works, and knows of no server.
type Config struct {
	// Server returns the address of this installation's own server, as https://help.example.org, and
	// the authority its certificate is of in PEM, "" for the system's. Nil knows none.
	Server func() (address, authority string)
	// Resolv is the file with the device's DNS servers; "" is the system's.
	Resolv string
}

// Tool is the tool. It is safe for concurrent use.
type Tool struct{ cfg Config }

// New returns the tool.
func New(cfg Config) *Tool {
	if cfg.Server == nil {
		cfg.Server = func() (string, string) { return "", "" }
	}
	return &Tool{cfg: cfg}
}

// result is how a check ended, in one sentence.
type result struct {
	ok      bool
	message string
}

func good(format string, args ...any) result { return result{true, fmt.Sprintf(format, args...)} }

func bad(format string, args ...any) result { return result{false, fmt.Sprintf(format, args...)} }

// say writes a line of a check's output; ms is negative where nothing was measured.
type say func(tone signaling.NetTone, ms float64, format string, args ...any)

// finished is a check that ended, and how.
type finished struct {
	id   string
	done signaling.NetDone
}

// Serve serves one viewer until the channel ends; a tool.Serve.
func (t *Tool) Serve(ctx context.Context, c tool.Conn) error {
	ctx, asked, stop := tool.Asked(ctx, c)
	running := map[string]context.CancelFunc{}
	ended := make(chan finished, maxChecks)
	defer func() {
		stop()
		for range running {
			<-ended
		}
	}()
	for {
		var err error
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case f := <-ended:
			running[f.id]()
			delete(running, f.id) // before the viewer hears of it, who may then use the id again
			err = tool.Tell(ctx, c, signaling.TypeNetDone, f.id, f.done)
		case e := <-asked:
			switch b := e.Body.(type) {
			case signaling.NetAsk:
				err = tool.Tell(ctx, c, signaling.TypeNetState, e.ID, t.state())
			case signaling.NetSocketsAsk:
				err = tellSockets(ctx, c, e.ID)
			case signaling.NetStop:
				if end := running[b.Check]; end != nil {
					end()
				}
			case signaling.NetRun:
				switch why := t.refuses(b); {
				case running[e.ID] != nil:
					why = "A check of that id is running already."
					fallthrough
				case why != "" || len(running) >= maxChecks:
					if why == "" {
						why = "Too many checks are running. Wait for one to end."
					}
					err = tool.Tell(ctx, c, signaling.TypeNetDone, e.ID, signaling.NetDone{Message: why})
				default:
					running[e.ID] = t.start(ctx, c, e.ID, b, ended)
				}
			default:
				err = tool.NotFor(e)
			}
		}
		if err != nil {
			return err
		}
	}
}

// start runs a check beside everything else.
func (t *Tool) start(ctx context.Context, c tool.Conn, id string, r signaling.NetRun, ended chan<- finished) context.CancelFunc {
	ctx, cancel := context.WithTimeout(ctx, checkWithin)
	go func() {
		res := t.check(ctx, r, func(tone signaling.NetTone, ms float64, format string, args ...any) {
			line := signaling.NetLine{Text: mdm.Clean(fmt.Sprintf(format, args...), 1000), Tone: tone, MS: ms}
			_ = tool.Tell(ctx, c, signaling.TypeNetLine, id, line) // an error is the channel's end, or the check's
		})
		if ctx.Err() != nil {
			res = bad("The check was ended before it was through.")
		}
		done := signaling.NetDone{OK: res.ok, Message: mdm.Clean(res.message, 1000)}
		what := string(r.What)
		if r.Target != "" {
			what += " " + r.Target
		}
		c.Note(mdm.Clean(what+": "+done.Message, 500))
		ended <- finished{id, done}
	}()
	return cancel
}

// refuses says what is wrong with a question; "" where nothing is.
func (t *Tool) refuses(r signaling.NetRun) string {
	switch r.What {
	case signaling.NetRate:
		if address, _ := t.cfg.Server(); address == "" {
			return "This device knows no server to measure the way to."
		}
		return ""
	case signaling.NetProblem:
		if r.Target == "" {
			return ""
		}
	case signaling.NetHTTP:
		u, err := url.Parse(r.Target)
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil {
			return "That is no web address. It looks like https://example.org/."
		}
		return ""
	case signaling.NetResolve:
		if r.Server != "" {
			if _, err := netip.ParseAddr(r.Server); err != nil {
				return "A DNS server is given by its address, as 192.0.2.53."
			}
		}
	}
	if !isHost(r.Target) {
		return "That is neither a name nor an address. It looks like example.org or 192.0.2.1."
	}
	return ""
}

// isHost reports whether a text is a host's name or address.
func isHost(s string) bool {
	if _, err := netip.ParseAddr(s); err == nil {
		return true
	}
	if s == "" || len(s) > 253 || s[0] == '-' || s[0] == '.' {
		return false
	}
	for _, r := range s {
		if (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '.' && r != '-' && r != '_' {
			return false
		}
	}
	return !strings.Contains(s, "..")
}

func (t *Tool) check(ctx context.Context, r signaling.NetRun, out say) result {
	port := r.Port
	if port == 0 {
		port = 443
	}
	switch r.What {
	case signaling.NetPing:
		count := int(r.Count)
		if count == 0 {
			count = 5
		}
		return t.ping(ctx, r.Target, count, out)
	case signaling.NetTrace:
		return t.trace(ctx, r.Target, out)
	case signaling.NetResolve:
		return t.resolve(ctx, r.Target, r.Server, r.Record, out)
	case signaling.NetConnect:
		return t.connect(ctx, r.Target, port, out)
	case signaling.NetTLS:
		return t.handshake(ctx, r.Target, port, nil, out)
	case signaling.NetHTTP:
		return t.fetch(ctx, r.Target, out)
	case signaling.NetRate:
		return t.rate(ctx, out)
	case signaling.NetProblem:
		return t.problem(ctx, r.Target, out)
	}
	return bad("There is no such check.")
}

// ms is a duration in milliseconds, to a hundredth.
func ms(d time.Duration) float64 { return float64(d.Microseconds()/10) / 100 }
