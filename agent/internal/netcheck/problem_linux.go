package netcheck

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"

	"handrail/signaling"
)

// apart is how far a clock may be off before certificates and sign-ins suffer.
const apart = 2 * time.Minute

// problem goes from the cable to a server and stops at the first thing that is wrong, as what
// comes after cannot work either. Without a target it goes to this installation's own server.
func (t *Tool) problem(ctx context.Context, target string, out say) result {
	s := t.state()
	for _, step := range []func() *result{
		func() *result { return t.hasLink(s, out) },
		func() *result { return t.hasRoute(ctx, s, out) },
		func() *result { return t.hasNames(ctx, target, out) },
	} {
		if r := step(); r != nil {
			return *r
		}
		if ctx.Err() != nil {
			return bad("Ended.")
		}
	}
	if target != "" {
		if r := t.connect(ctx, target, 443, out); !r.ok {
			return r
		}
		return good("Nothing wrong was found on the way to %s.", target)
	}
	return t.reachesServer(ctx, out)
}

func (t *Tool) hasLink(s signaling.NetState, out say) *result {
	up := false
	for _, i := range s.Interfaces {
		if i.Name == "lo" {
			continue
		}
		switch {
		case i.Up && i.Link && len(i.Addresses) > 0:
			up = true
			out(signaling.ToneGood, -1, "%s is connected, with %s", i.Name, strings.Join(i.Addresses, ", "))
		case i.Up && i.Link:
			out(signaling.ToneBad, -1, "%s is connected, but has no address", i.Name)
		case i.Up:
			out(signaling.TonePlain, -1, "%s is not connected", i.Name)
		}
		if i.Errors > 1000 {
			out(signaling.ToneBad, -1, "%s had %d errors: a bad cable, plug or driver", i.Name, i.Errors)
		}
	}
	if !up {
		r := bad("No network is connected, or none gives the device an address. Look at the cable, the wireless network, and DHCP.")
		return &r
	}
	return nil
}

func (t *Tool) hasRoute(ctx context.Context, s signaling.NetState, out say) *result {
	to, err := netip.ParseAddr(s.Gateway)
	if err != nil {
		for _, r := range s.Routes {
			if r.To == "default" {
				out(signaling.ToneGood, -1, "everything goes by %s", r.Device)
				return nil
			}
		}
		r := bad("The device knows no router, so it reaches its own network only. Look at DHCP, or at the fixed settings.")
		return &r
	}
	e, err := dialEcho(to)
	if err != nil {
		out(signaling.TonePlain, -1, "the router is %s", to)
		return nil
	}
	defer e.close()
	for seq := range uint16(3) {
		if what, _, took, err := e.ask(ctx, seq+1, hopWithin); err == nil && what == answered {
			out(signaling.ToneGood, ms(took), "the router %s answers", to)
			return nil
		}
	}
	out(signaling.TonePlain, -1, "the router %s does not answer echoes, as some do not", to)
	return nil
}

// hasNames asks every DNS server by itself: one that is dead makes everything slow.
func (t *Tool) hasNames(ctx context.Context, target string, out say) *result {
	name := target
	if name == "" {
		if u, err := url.Parse(first(t.cfg.Server())); err == nil {
			name = u.Hostname()
		}
	}
	if _, err := netip.ParseAddr(name); err == nil || name == "" || name == "localhost" {
		name = "example.com" // what is asked for does not matter: "no such name" is an answer
	}
	servers, _ := t.servers()
	if len(servers) == 0 {
		r := bad("The device has no DNS servers, so no names are found. Look at DHCP, or at /etc/resolv.conf.")
		return &r
	}
	dead := []string{}
	for _, s := range servers {
		asked, cancel := context.WithTimeout(ctx, dnsWithin)
		took, err := Ask(asked, s, name)
		cancel()
		if err != nil {
			dead = append(dead, s.String())
			out(signaling.ToneBad, ms(took), "DNS server %s: %v", s, err)
			continue
		}
		out(signaling.ToneGood, ms(took), "DNS server %s answers", s)
	}
	if len(dead) > 0 {
		r := bad("DNS server %s does not answer. Take it out of the device's settings, or mend it.", strings.Join(dead, ", "))
		return &r
	}
	return nil
}

func first(a, _ string) string { return a }

// reachesServer connects to this installation's own server and compares clocks.
func (t *Tool) reachesServer(ctx context.Context, out say) result {
	client, u, roots, err := t.own()
	if err != nil {
		return good("Nothing wrong was found, as far as it could be looked at: %v.", err)
	}
	defer client.CloseIdleConnections()
	port, _ := strconv.ParseInt(u.Port(), 10, 32)
	if port == 0 {
		port = map[string]int64{"http": 80}[u.Scheme]
	}
	if port == 0 {
		port = 443
	}
	if u.Scheme == "https" {
		if r := t.handshake(ctx, u.Hostname(), port, roots, out); !r.ok {
			return r
		}
	} else if r := t.connect(ctx, u.Hostname(), port, out); !r.ok {
		return r
	}
	off, err := clockOff(ctx, client, u)
	switch {
	case err != nil:
		return bad("%s takes connections and does not answer: %v.", u.Host, plain(err))
	case off > apart || off < -apart:
		out(signaling.ToneBad, -1, "the device's clock is off by %s", off.Round(time.Second))
		return bad("The device's clock is off by %s. Set it: certificates and sign-ins fail by that.", off.Round(time.Second))
	}
	out(signaling.ToneGood, -1, "the device's clock is right")
	return good("Nothing wrong was found, from the cable to %s.", u.Host)
}

// clockOff is how much later the device's clock is than the server's, to a second or so.
func clockOff(ctx context.Context, client *http.Client, u *url.URL) (time.Duration, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodHead, u.Scheme+"://"+u.Host+"/", http.NoBody)
	if err != nil {
		return 0, err
	}
	began := time.Now()
	res, err := client.Do(req)
	if err != nil {
		return 0, err
	}
	defer res.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(res.Body, 1<<20)) // so that the connection can be used again
	there, err := http.ParseTime(res.Header.Get("Date"))
	if err != nil {
		return 0, errors.New("its answer has no date")
	}
	here := began.Add(time.Since(began) / 2)
	return here.Sub(there.Add(500 * time.Millisecond)), nil
}

// Clock returns how much later the device's clock is than that of this installation's server; it
// fails where the server cannot be asked.
func (t *Tool) Clock(ctx context.Context) (time.Duration, error) {
	client, u, _, err := t.own()
	if err != nil {
		return 0, err
	}
	defer client.CloseIdleConnections()
	return clockOff(ctx, client, u)
}

// Servers returns the DNS servers of the device.
func (t *Tool) Servers() []netip.Addr {
	servers, _ := t.servers()
	return servers
}

// Connected reports whether any network gives the device an address.
func (t *Tool) Connected() bool {
	all, err := net.Interfaces()
	if err != nil {
		return true // nobody knows
	}
	for _, i := range all {
		if addresses, err := i.Addrs(); err == nil && i.Flags&net.FlagLoopback == 0 && i.Flags&net.FlagUp != 0 && len(addresses) > 0 {
			return true
		}
	}
	return false
}
