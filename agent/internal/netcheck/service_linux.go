package netcheck

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"handrail/mdm"
	"handrail/signaling"
)

// Limits of what is asked of others.
const (
	dnsWithin     = 3 * time.Second
	connectWithin = 10 * time.Second
	fetchWithin   = 30 * time.Second
	maxFetched    = 10 << 20 // bytes
	maxRedirects  = 5
	rateFor       = 3 * time.Second
	soon          = 14 * 24 * time.Hour // a certificate that expires within this is told of
)

// plain says what went wrong without the names of functions.
func plain(err error) error {
	var dns *net.DNSError
	var op *net.OpError
	switch {
	case errors.As(err, &dns) && dns.IsNotFound:
		return errors.New("there is no such name")
	case errors.As(err, &dns) && dns.IsTimeout, errors.Is(err, context.DeadlineExceeded):
		return errors.New("no answer came in time")
	case errors.As(err, &dns):
		return errors.New(mdm.Clean(dns.Err, 200))
	case errors.As(err, &op) && op.Timeout():
		return errors.New("no answer came in time")
	case errors.As(err, &op) && op.Err != nil:
		return errors.New(mdm.Clean(op.Err.Error(), 200))
	}
	return errors.New(mdm.Clean(err.Error(), 300))
}

// at is a resolver that asks one server; the zero address asks those of the device.
func at(server netip.Addr) *net.Resolver {
	r := &net.Resolver{PreferGo: true}
	if server.IsValid() {
		r.Dial = func(ctx context.Context, network, _ string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, network, netip.AddrPortFrom(server, 53).String())
		}
	}
	return r
}

// Ask asks a DNS server for the addresses of a name and returns how long the answer took. That
// there is no such name is an answer too.
func Ask(ctx context.Context, server netip.Addr, name string) (time.Duration, error) {
	began := time.Now()
	_, err := at(server).LookupNetIP(ctx, "ip", strings.TrimSuffix(name, ".")+".")
	var dns *net.DNSError
	if errors.As(err, &dns) && dns.IsNotFound {
		err = nil
	}
	if err != nil {
		err = plain(err)
	}
	return time.Since(began), err
}

// resolve asks DNS for a name.
func (t *Tool) resolve(ctx context.Context, name, server, record string, out say) result {
	servers, _ := t.servers()
	if server != "" {
		servers = []netip.Addr{netip.MustParseAddr(server)} // checked before
	}
	if len(servers) == 0 {
		return bad("This device has no DNS servers, so no names are found. Check its network settings (/etc/resolv.conf is empty).")
	}
	failed := 0
	for _, s := range servers {
		asked, cancel := context.WithTimeout(ctx, dnsWithin)
		began := time.Now()
		answers, err := records(asked, at(s), name, record)
		took := time.Since(began)
		cancel()
		if ctx.Err() != nil {
			break
		}
		if err != nil {
			failed++
			out(signaling.ToneBad, ms(took), "%s: %v", s, plain(err))
			continue
		}
		slices.Sort(answers)
		for _, a := range answers[:min(len(answers), 50)] {
			out(signaling.ToneGood, ms(took), "%s: %s", s, a)
		}
	}
	switch {
	case failed == 0:
		return good("%s was found.", name)
	case failed < len(servers):
		return bad("%d of %d servers did not find %s: what uses those is slow or fails now and then.", failed, len(servers), name)
	}
	return bad("%s was not found. Try a name that surely exists: if that fails too, the DNS server is wrong or does not answer.", name)
}

// records asks for one kind of record.
func records(ctx context.Context, r *net.Resolver, name, record string) (out []string, err error) {
	full := strings.TrimSuffix(name, ".") + "."
	add := func(format string, args ...any) {
		out = append(out, record+" "+mdm.Clean(fmt.Sprintf(format, args...), 300))
	}
	switch record {
	case "CNAME":
		var s string
		s, err = r.LookupCNAME(ctx, full)
		add("%s", s)
	case "MX":
		var all []*net.MX
		all, err = r.LookupMX(ctx, full)
		for _, m := range all {
			add("%d %s", m.Pref, m.Host)
		}
	case "NS":
		var all []*net.NS
		all, err = r.LookupNS(ctx, full)
		for _, n := range all {
			add("%s", n.Host)
		}
	case "TXT":
		var all []string
		all, err = r.LookupTXT(ctx, full)
		for _, s := range all {
			add("%s", s)
		}
	case "SRV":
		var all []*net.SRV
		_, all, err = r.LookupSRV(ctx, "", "", full)
		for _, s := range all {
			add("%d %d %d %s", s.Priority, s.Weight, s.Port, s.Target)
		}
	case "PTR":
		var all []string
		all, err = r.LookupAddr(ctx, name)
		for _, s := range all {
			add("%s", s)
		}
	default:
		network := map[string]string{"A": "ip4", "AAAA": "ip6", "": "ip"}[record]
		var all []netip.Addr
		all, err = r.LookupNetIP(ctx, network, full)
		for _, a := range all {
			if record = "A"; !a.Unmap().Is4() {
				record = "AAAA"
			}
			add("%s", a.Unmap())
		}
	}
	if err != nil {
		return nil, err
	}
	return out, nil
}

// dial opens a connection, and tells how that went.
func dial(ctx context.Context, host string, port int64, out say) (net.Conn, error) {
	to, err := lookup(ctx, host)
	if err != nil {
		out(signaling.ToneBad, -1, "%s has no address: %v", host, err)
		return nil, fmt.Errorf("%s has no address: %w", host, err)
	}
	if to.String() != host {
		out(signaling.TonePlain, -1, "%s is %s", host, to)
	}
	ctx, cancel := context.WithTimeout(ctx, connectWithin)
	defer cancel()
	began := time.Now()
	var d net.Dialer
	c, err := d.DialContext(ctx, "tcp", net.JoinHostPort(to.String(), strconv.FormatInt(port, 10)))
	took := time.Since(began)
	if err != nil {
		out(signaling.ToneBad, ms(took), "%s, port %d: %v", to, port, plain(err))
		return nil, plain(err)
	}
	out(signaling.ToneGood, ms(took), "connected to %s, port %d", to, port)
	return c, nil
}

func (t *Tool) connect(ctx context.Context, host string, port int64, out say) result {
	c, err := dial(ctx, host, port, out)
	switch {
	case err == nil:
		c.Close()
		return good("%s takes connections at port %d.", host, port)
	case strings.Contains(err.Error(), "refused"):
		return bad("%s is there, but nothing listens at port %d: is the program running?", host, port)
	}
	return bad("No connection to %s at port %d: %v. A firewall on the way, or a host that is down, looks like this.", host, port, err)
}

// handshake looks at a server's certificates. Roots are those the device trusts, or nil for the system's.
func (t *Tool) handshake(ctx context.Context, host string, port int64, roots *x509.CertPool, out say) result {
	c, err := dial(ctx, host, port, out)
	if err != nil {
		return bad("No connection to %s at port %d: %v.", host, port, err)
	}
	defer c.Close()
	ctx, cancel := context.WithTimeout(ctx, connectWithin)
	defer cancel()
	// The certificate is judged below, so that it can be shown where it is bad. Nothing is sent.
	secure := tls.Client(c, &tls.Config{ServerName: host, InsecureSkipVerify: true, MinVersion: tls.VersionTLS10}) //nolint:gosec // as said
	began := time.Now()
	if err := secure.HandshakeContext(ctx); err != nil {
		out(signaling.ToneBad, ms(time.Since(began)), "TLS: %v", plain(err))
		return bad("%s does not speak TLS at port %d: %v.", host, port, plain(err))
	}
	state := secure.ConnectionState()
	out(signaling.ToneGood, ms(time.Since(began)), "%s, %s", tls.VersionName(state.Version), tls.CipherSuiteName(state.CipherSuite))
	return judge(host, state.PeerCertificates, roots, time.Now(), out)
}

// judge tells the certificates and says whether they hold.
func judge(host string, chain []*x509.Certificate, roots *x509.CertPool, now time.Time, out say) result {
	if len(chain) == 0 {
		return bad("%s shows no certificate.", host)
	}
	between := x509.NewCertPool()
	for i, c := range chain[:min(len(chain), 10)] {
		tone := signaling.TonePlain
		if now.After(c.NotAfter) || now.Before(c.NotBefore) {
			tone = signaling.ToneBad
		}
		out(tone, -1, "certificate %d: %s, by %s, from %s to %s", i+1, mdm.Clean(c.Subject.String(), 200), mdm.Clean(c.Issuer.String(), 200), c.NotBefore.Format(time.DateOnly), c.NotAfter.Format(time.DateOnly))
		if i == 0 {
			names := slices.Clone(c.DNSNames[:min(len(c.DNSNames), 20)])
			for _, ip := range c.IPAddresses[:min(len(c.IPAddresses), 20)] {
				names = append(names, ip.String())
			}
			out(signaling.TonePlain, -1, "for %s", mdm.Clean(strings.Join(names, ", "), 500))
			continue
		}
		between.AddCert(c)
	}
	leaf := chain[0]
	_, err := leaf.Verify(x509.VerifyOptions{DNSName: host, Roots: roots, Intermediates: between, CurrentTime: now})
	var name x509.HostnameError
	var unknown x509.UnknownAuthorityError
	days := int(leaf.NotAfter.Sub(now).Hours() / 24)
	switch {
	case now.After(leaf.NotAfter):
		return bad("The certificate of %s expired %d days ago. If that seems wrong, look at the device's clock: it says %s.", host, -days, now.Format(time.DateTime))
	case now.Before(leaf.NotBefore):
		return bad("The certificate of %s is not valid before %s, and the device's clock says %s. Set the clock.", host, leaf.NotBefore.Format(time.DateTime), now.Format(time.DateTime))
	case errors.As(err, &name):
		return bad("The certificate is of another host than %s. Either the server is set up wrong, or somebody stands between.", host)
	case errors.As(err, &unknown):
		return bad("The certificate of %s is of nobody this device trusts: of its own making, of a company's own authority that is not installed here, or of somebody who stands between.", host)
	case err != nil:
		return bad("The certificate of %s does not hold: %v.", host, err)
	case leaf.NotAfter.Sub(now) < soon:
		return result{true, fmt.Sprintf("The certificate of %s holds, but only for %d days more.", host, days)}
	}
	return good("The certificate of %s holds, for %d days more.", host, days)
}

// fetch fetches a page and tells how long each part of that took. The page itself is only counted.
func (t *Tool) fetch(ctx context.Context, address string, out say) result {
	ctx, cancel := context.WithTimeout(ctx, fetchWithin)
	defer cancel()
	client := &http.Client{
		Transport:     &http.Transport{Proxy: http.ProxyFromEnvironment, DisableKeepAlives: true, TLSHandshakeTimeout: connectWithin, MaxResponseHeaderBytes: 256 << 10},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	for range maxRedirects {
		began := time.Now()
		traced := httptrace.WithClientTrace(ctx, tracer(out))
		req, err := http.NewRequestWithContext(traced, http.MethodGet, address, http.NoBody)
		if err != nil {
			return bad("That is no web address.")
		}
		req.Header.Set("User-Agent", "Handrail network check")
		out(signaling.TonePlain, -1, "GET %s", address)
		res, err := client.Do(req)
		if err != nil {
			var u *url.Error
			if errors.As(err, &u) {
				err = u.Err
			}
			out(signaling.ToneBad, ms(time.Since(began)), "%v", plain(err))
			return bad("%s does not answer: %v.", address, plain(err))
		}
		n, err := io.Copy(io.Discard, io.LimitReader(res.Body, maxFetched))
		res.Body.Close()
		took := time.Since(began)
		tone := signaling.ToneGood
		if res.StatusCode >= 400 || err != nil {
			tone = signaling.ToneBad
		}
		out(tone, ms(took), "%s, %d bytes, %s", res.Status, n, mdm.Clean(res.Header.Get("Content-Type"), 100))
		next, lerr := res.Location()
		switch {
		case err != nil:
			return bad("The answer of %s ended in the middle: %v.", address, plain(err))
		case res.StatusCode < 300 || lerr != nil:
			if res.StatusCode >= 400 {
				return bad("%s answers, but with %s: the network is good, the service is not.", address, res.Status)
			}
			return good("%s answers, in %.0f ms.", address, ms(took))
		case next.Scheme != "http" && next.Scheme != "https":
			return bad("%s sends on to what is no web address.", address)
		}
		address = next.Redacted()
		out(signaling.TonePlain, -1, "sent on to %s", address)
	}
	return bad("It is sent on without end.")
}

// tracer tells the parts of a request as they are done.
func tracer(out say) *httptrace.ClientTrace {
	var began time.Time
	step := func() float64 {
		took := ms(time.Since(began))
		began = time.Now()
		return took
	}
	return &httptrace.ClientTrace{
		GetConn:  func(string) { began = time.Now() },
		DNSStart: func(httptrace.DNSStartInfo) { began = time.Now() },
		DNSDone: func(i httptrace.DNSDoneInfo) {
			if i.Err == nil && len(i.Addrs) > 0 {
				out(signaling.TonePlain, step(), "name found: %s", i.Addrs[0].String())
			}
		},
		ConnectStart: func(string, string) { began = time.Now() },
		ConnectDone: func(_, address string, err error) {
			if err != nil {
				out(signaling.ToneBad, step(), "%s: %v", address, plain(err))
				return
			}
			out(signaling.TonePlain, step(), "connected to %s", address)
		},
		TLSHandshakeDone: func(s tls.ConnectionState, err error) {
			if err == nil {
				out(signaling.TonePlain, step(), "%s", tls.VersionName(s.Version))
			}
		},
		GotFirstResponseByte: func() { out(signaling.TonePlain, step(), "first byte of the answer") },
	}
}

// own returns a client that trusts what the agent trusts, and this installation's address.
func (t *Tool) own() (*http.Client, *url.URL, *x509.CertPool, error) {
	address, authority := t.cfg.Server()
	u, err := url.Parse(address)
	if err != nil || u.Host == "" {
		return nil, nil, nil, errors.New("this device knows no server of its own")
	}
	var roots *x509.CertPool
	if authority != "" {
		roots = x509.NewCertPool()
		roots.AppendCertsFromPEM([]byte(authority))
	}
	c := &http.Client{
		Timeout:       fetchWithin,
		Transport:     &http.Transport{Proxy: http.ProxyFromEnvironment, TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}, DisableCompression: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return c, u, roots, nil
}

// part is a file that a page of ours needs.
var part = regexp.MustCompile(`(?:src|href)="(/[A-Za-z0-9._/-]+\.(?:js|css))"`)

// rate measures the way to this installation's server by what that serves to everybody: its console.
func (t *Tool) rate(ctx context.Context, out say) result {
	client, u, _, err := t.own()
	if err != nil {
		return bad("%v.", err)
	}
	defer client.CloseIdleConnections()
	get := func(path string) (io.ReadCloser, error) {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.Scheme+"://"+u.Host+path, http.NoBody)
		if err != nil {
			return nil, err
		}
		res, err := client.Do(req)
		if err != nil {
			return nil, err
		}
		if res.StatusCode != http.StatusOK {
			res.Body.Close()
			return nil, errors.New(res.Status)
		}
		return res.Body, nil
	}
	paths := []string{"/"}
	var sum time.Duration
	const times = 5
	for i := range times {
		began := time.Now()
		body, err := get("/")
		if err != nil {
			return bad("%s does not answer: %v.", u.Host, plain(err))
		}
		page, _ := io.ReadAll(io.LimitReader(bufio.NewReader(body), 1<<20)) // the names in what came
		body.Close()
		took := time.Since(began)
		out(signaling.TonePlain, ms(took), "a small request")
		if i > 0 {
			sum += took
			continue
		}
		for _, m := range part.FindAllSubmatch(page, 20) {
			paths = append(paths, string(m[1]))
		}
	}
	if len(paths) > 1 {
		paths = paths[1:]
	}
	bytes, began := int64(0), time.Now()
	for i := 0; time.Since(began) < rateFor && ctx.Err() == nil; i++ {
		body, err := get(paths[i%len(paths)])
		if err != nil {
			return bad("%s stopped answering: %v.", u.Host, plain(err))
		}
		n, _ := io.Copy(io.Discard, io.LimitReader(body, maxFetched)) // what came counts
		body.Close()
		bytes += n
	}
	seconds := time.Since(began).Seconds()
	rate := float64(bytes) * 8 / seconds / 1e6
	delay := ms(sum / (times - 1))
	out(signaling.ToneGood, -1, "%.1f MB in %.1f s", float64(bytes)/1e6, seconds)
	return good("From %s to this device come %.1f Mbit/s, with %.1f ms for a small request.", u.Host, rate, delay)
}
