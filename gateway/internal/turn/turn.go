// Package turn runs the embedded STUN and TURN relay on UDP, TCP and TLS. It makes
// short-lived credentials for one viewer of one session, refuses relays to addresses a
// stranger should not reach, and bounds how many a credential may hold. Any node that knows
// the secret accepts the credentials of the others; none are stored.
package turn

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/pion/stun/v4"
	"github.com/pion/turn/v5"

	"handrail/signaling"
)

// realm is part of the password hash; clients learn it from the server.
const realm = "handrail"

// keep is how long past its expiry a credential still serves the allocations made with it.
// It bounds a session through the relay.
const keep = 24 * time.Hour

// Config says where the relay listens. At least one of UDP, TCP and TLS must be set.
type Config struct {
	UDP    string      // "host:port"; "" is off, port 0 picks one
	TCP    string      //
	TLS    string      // needs Certs
	Certs  *tls.Config // serves TLS
	Public string      // host name or address that devices and browsers reach this node at; "" is the host listened on
	// RelayIP is where relayed packets come from and go to; zero means Public when it is an
	// address, otherwise what Public resolves to.
	RelayIP    netip.Addr
	MinPort    uint16         // of relays; 0 means the system picks
	MaxPort    uint16         //
	AllowPeers []netip.Prefix // exceptions to the refusal of private and local peers
	Secret     []byte         // the same on every node; at least 16 bytes
	CredTTL    time.Duration  // for making allocations; 0 means 2 h
	Quota      int            // allocations at once for one viewer and one end; 0 means 12
}

// Relay is the embedded relay. Its methods are safe for concurrent use.
type Relay struct {
	cfg    Config
	log    *slog.Logger
	server *turn.Server
	urls   []string // what clients are told

	mu   sync.Mutex
	held map[string]int // allocations of a user id

	own own // where this relay's clients are relayed
}

// New validates cfg and binds the ports, so that a taken one is known at once; it serves
// from Run on.
func New(cfg Config, log *slog.Logger) (*Relay, error) {
	if cfg.CredTTL <= 0 {
		cfg.CredTTL = 2 * time.Hour
	}
	if cfg.Quota <= 0 {
		cfg.Quota = 12
	}
	if len(cfg.Secret) < 16 {
		return nil, errors.New("turn: the secret is under 16 bytes")
	}
	if cfg.MinPort > cfg.MaxPort {
		return nil, fmt.Errorf("turn: relay ports %d-%d: the first is above the last", cfg.MinPort, cfg.MaxPort)
	}
	r := &Relay{cfg: cfg, log: log, held: map[string]int{}}
	if err := r.bind(); err != nil {
		return nil, err
	}
	return r, nil
}

// bind opens the ports. The library serves as soon as it has them, which nobody notices:
// no credential is made before Run.
func (r *Relay) bind() (err error) {
	sc := turn.ServerConfig{
		Realm: realm, LoggerFactory: loggers{r.log}, AuthHandler: r.auth, QuotaHandler: r.quota,
		EventHandler: turn.EventHandler{
			OnAllocationCreated: func(_, _ net.Addr, _, user, _ string, _ net.Addr, _ int) { r.count(user, 1) },
			OnAllocationDeleted: func(_, _ net.Addr, _, user, _ string) { r.count(user, -1) },
		},
	}
	defer func() {
		if err == nil {
			return
		}
		for _, c := range sc.PacketConnConfigs {
			err = errors.Join(err, c.PacketConn.Close())
		}
		for _, c := range sc.ListenerConfigs {
			err = errors.Join(err, c.Listener.Close())
		}
	}()
	var lc net.ListenConfig
	ctx := context.Background()
	if r.cfg.UDP != "" {
		gen, err := r.generator(r.cfg.UDP)
		if err != nil {
			return err
		}
		c, err := lc.ListenPacket(ctx, "udp", r.cfg.UDP)
		if err != nil {
			return fmt.Errorf("turn: %w", err)
		}
		sc.PacketConnConfigs = append(sc.PacketConnConfigs, turn.PacketConnConfig{PacketConn: c, RelayAddressGenerator: gen, PermissionHandler: r.permit})
		r.tell("stun:%s", r.cfg.UDP, c.LocalAddr())
		r.tell("turn:%s?transport=udp", r.cfg.UDP, c.LocalAddr())
	}
	listen := func(addr, format string, wrap func(net.Listener) net.Listener) error {
		gen, err := r.generator(addr)
		if err != nil {
			return err
		}
		l, err := lc.Listen(ctx, "tcp", addr)
		if err != nil {
			return fmt.Errorf("turn: %w", err)
		}
		r.tell(format, addr, l.Addr())
		sc.ListenerConfigs = append(sc.ListenerConfigs, turn.ListenerConfig{Listener: wrap(l), RelayAddressGenerator: gen, PermissionHandler: r.permit})
		return nil
	}
	if r.cfg.TCP != "" {
		if err := listen(r.cfg.TCP, "turn:%s?transport=tcp", func(l net.Listener) net.Listener { return l }); err != nil {
			return err
		}
	}
	if r.cfg.TLS != "" {
		if r.cfg.Certs == nil {
			return errors.New("turn: TLS without a certificate")
		}
		if err := listen(r.cfg.TLS, "turns:%s?transport=tcp", func(l net.Listener) net.Listener { return tls.NewListener(l, r.cfg.Certs) }); err != nil {
			return err
		}
	}
	r.server, err = turn.NewServer(sc)
	if err != nil {
		return fmt.Errorf("turn: %w", err)
	}
	return nil
}

// tell adds a URL clients are given.
func (r *Relay) tell(format, listen string, at net.Addr) {
	host := r.host(listen)
	_, port, err := net.SplitHostPort(at.String())
	if err != nil {
		return // a listener's address always splits
	}
	r.urls = append(r.urls, fmt.Sprintf(format, net.JoinHostPort(host, port)))
}

// host is the name clients reach a listener at.
func (r *Relay) host(listen string) string {
	if r.cfg.Public != "" {
		return r.cfg.Public
	}
	host, _, err := net.SplitHostPort(listen)
	if err != nil || host == "" {
		return "localhost"
	}
	return host
}

// generator makes the sockets of relays for a listener.
func (r *Relay) generator(listen string) (turn.RelayAddressGenerator, error) {
	ip := r.cfg.RelayIP
	if !ip.IsValid() {
		host := r.host(listen)
		var err error
		if ip, err = resolve(host); err != nil {
			return nil, fmt.Errorf("turn: %q is what clients are told, and it has no address: %w", host, err)
		}
	}
	if ip.IsUnspecified() {
		return nil, fmt.Errorf("turn: listening on %s: say under which address clients reach this gateway", listen)
	}
	bind := "0.0.0.0"
	if ip.Is6() {
		bind = "::"
	}
	if ip.IsLoopback() {
		bind = ip.String()
	}
	r.own.serve(ip)
	if r.cfg.MaxPort == 0 {
		return &fenced{&turn.RelayAddressGeneratorStatic{RelayAddress: ip.AsSlice(), Address: bind}, r}, nil
	}
	return &fenced{&turn.RelayAddressGeneratorPortRange{
		RelayAddress: ip.AsSlice(), Address: bind, MinPort: max(r.cfg.MinPort, 1024), MaxPort: r.cfg.MaxPort,
	}, r}, nil
}

func resolve(host string) (netip.Addr, error) {
	if ip, err := netip.ParseAddr(host); err == nil {
		return ip.Unmap(), nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	ips, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return netip.Addr{}, err
	}
	for _, ip := range ips {
		if ip = ip.Unmap(); ip.Is4() {
			return ip, nil
		}
	}
	if len(ips) == 0 {
		return netip.Addr{}, errors.New("no address")
	}
	return ips[0], nil
}

// Run serves until ctx ends.
func (r *Relay) Run(ctx context.Context) error {
	<-ctx.Done()
	r.Close()
	return nil
}

// Close ends every relay at once.
func (r *Relay) Close() {
	if err := r.server.Close(); err != nil {
		r.log.Debug("turn_close", "error", err)
	}
}

// Allocations returns how many relays are open.
func (r *Relay) Allocations() int { return r.server.AllocationCount() }

// ICEServers returns the relay's addresses with a fresh credential for one viewer of one session.
func (r *Relay) ICEServers(s signaling.SessionID, p signaling.PeerID) []signaling.ICEServer {
	user := fmt.Sprintf("%d:%s:%s", time.Now().Add(r.cfg.CredTTL).Unix(), s, p)
	out := signaling.ICEServer{URLs: r.urls, Username: user, Credential: r.password(user)}
	return []signaling.ICEServer{out}
}

func (r *Relay) password(user string) string {
	m := hmac.New(sha256.New, r.cfg.Secret)
	m.Write([]byte(user))
	return base64.RawURLEncoding.EncodeToString(m.Sum(nil))
}

// auth returns the key of a user name that this fleet made and that has not expired.
func (r *Relay) auth(a *turn.RequestAttributes) (string, []byte, bool) {
	expiry, rest, ok := strings.Cut(a.Username, ":")
	at, err := strconv.ParseInt(expiry, 10, 64)
	if !ok || err != nil || len(a.Username) > 256 {
		return "", nil, false
	}
	until := time.Unix(at, 0)
	if a.Method != stun.MethodAllocate {
		until = until.Add(keep)
	}
	if time.Now().After(until) {
		return "", nil, false
	}
	return rest, turn.GenerateAuthKey(a.Username, realm, r.password(a.Username)), true
}

// quota counts both ends of a viewer's connection, which share its credential.
func (r *Relay) quota(user, _ string, from net.Addr) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.held[user] < 2*r.cfg.Quota {
		return true
	}
	r.log.Warn("turn_quota_reached", "user", user, "remote", from.String())
	return false
}

func (r *Relay) count(user string, by int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.held[user] += by; r.held[user] <= 0 {
		delete(r.held, user)
	}
}

// permit decides which addresses a relay may send to. The relay's own is one: both ends of a
// connection may need it. fence sees to the ports there.
func (r *Relay) permit(from net.Addr, peer net.IP) bool {
	ip, ok := netip.AddrFromSlice(peer)
	if ok && (r.own.is(ip) || r.mayRelayTo(ip)) {
		return true
	}
	r.log.Info("turn_peer_refused", "remote", from.String(), "peer", peer.String())
	return false
}

// special are ranges that lead into networks or back to this machine, beside those that
// netip.Addr has methods for.
var special = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"),     // RFC 1122: this network
	netip.MustParsePrefix("100.64.0.0/10"), // RFC 6598: carrier NAT
	netip.MustParsePrefix("192.0.0.0/24"),  // RFC 6890
	netip.MustParsePrefix("198.18.0.0/15"), // RFC 2544: benchmarks
	netip.MustParsePrefix("240.0.0.0/4"),   // RFC 1112, and broadcast
	netip.MustParsePrefix("64:ff9b::/96"),  // RFC 6052: NAT64 reaches any IPv4 address
	netip.MustParsePrefix("64:ff9b:1::/48"),
	netip.MustParsePrefix("2002::/16"), // RFC 3056: 6to4, as NAT64
	netip.MustParsePrefix("2001::/32"), // RFC 4380: Teredo, as NAT64
	netip.MustParsePrefix("fec0::/10"), // RFC 3879: once site-local
}

// isAllowed reports whether an address is one of the configured exceptions.
func (r *Relay) isAllowed(ip netip.Addr) bool {
	return slices.ContainsFunc(r.cfg.AllowPeers, func(p netip.Prefix) bool { return p.Contains(ip) })
}

func (r *Relay) mayRelayTo(ip netip.Addr) bool {
	ip = ip.Unmap().WithZone("")
	if r.isAllowed(ip) {
		return true
	}
	if !ip.IsGlobalUnicast() || ip.IsPrivate() {
		return false
	}
	for _, p := range special {
		if p.Contains(ip) {
			return false
		}
	}
	return true
}
