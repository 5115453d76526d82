// Package config says once what can be configured, with one default each. A value comes
// from a flag, else from the environment (HANDRAIL_ and the flag's name in capitals), else
// from the YAML file given with --config (the flags' names as keys), else from the default
// here. It decides nothing: the rooms do, from what the roof hands them.
package config

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/alecthomas/kong"
	"gopkg.in/yaml.v3"
)

// Place is where the records are; every command takes it.
type Place struct {
	Data          string `help:"Data directory: SQLite database, keys, certificates." default:"./data" placeholder:"DIR"`
	Database      string `help:"postgres://user@host/name for PostgreSQL; nothing for SQLite in the data directory." placeholder:"URL"`
	SecretKeyFile string `help:"The key outside the database, the same on every node; made when missing. Default: secret.key in the data directory." placeholder:"FILE"`
}

// SecretFile is where the secret key is.
func (c Place) SecretFile() string {
	if c.SecretKeyFile != "" {
		return c.SecretKeyFile
	}
	return filepath.Join(c.Data, "secret.key")
}

// Gateway is everything the gateway itself takes.
type Gateway struct {
	Place

	Listen      string   `help:"Address of console, API and agents." default:"127.0.0.1:8080" placeholder:"HOST:PORT"`
	PublicURL   string   `help:"Address people and devices reach the gateway at, when it is not the one it listens on." placeholder:"URL"`
	BehindProxy bool     `help:"A TLS proxy is in front: allow plain HTTP outside loopback, and believe its X-Forwarded-For."`
	Origins     []string `help:"Further origins whose pages may use the API, beside the gateway's own." placeholder:"URL"`

	TLS           string   `name:"tls" help:"Where the certificate comes from: auto, off, own, acme, generated." default:"auto" enum:"auto,off,own,acme,generated"`
	TLSCert       string   `name:"tls-cert" help:"Own certificate, PEM, with its chain." placeholder:"FILE"`
	TLSKey        string   `name:"tls-key" help:"Key of the own certificate, PEM." placeholder:"FILE"`
	TLSNames      []string `name:"tls-names" help:"Further names and addresses in a generated certificate." placeholder:"NAME"`
	ACMEDomains   []string `name:"acme-domains" help:"Domains to get certificates for by ACME." placeholder:"NAME"`
	ACMEEmail     string   `name:"acme-email" help:"Where the ACME authority writes to." placeholder:"ADDRESS"`
	ACMEDirectory string   `name:"acme-directory" help:"Another ACME authority than Let's Encrypt." placeholder:"URL"`

	TurnListen     string   `help:"STUN and TURN over UDP and TCP; 'off' for none. Default: port 3478 of the address listened on." placeholder:"HOST:PORT"`
	TurnTLSListen  string   `help:"TURN over TLS; 'off' for none. Default: port 5349 of the address listened on, when there is a certificate." placeholder:"HOST:PORT"`
	TurnPublic     string   `help:"Host name or address clients reach the relay at. Default: the public URL's host." placeholder:"HOST"`
	TurnRelayIP    string   `name:"turn-relay-ip" help:"Address relayed packets come from. Default: the relay's public address." placeholder:"ADDRESS"`
	TurnPorts      string   `help:"UDP ports for relays. Default: any." placeholder:"FIRST-LAST"`
	TurnAllowPeers []string `help:"Private networks the relay may reach; none by default, loopback when the gateway listens on loopback only." placeholder:"CIDR"`

	BusURL        string   `name:"bus-url" help:"An external NATS instead of the embedded one." placeholder:"URL"`
	ClusterListen string   `help:"Where other gateway nodes connect to this one's bus." placeholder:"HOST:PORT"`
	ClusterPeers  []string `help:"Other gateway nodes." placeholder:"HOST:PORT"`

	Heartbeat     time.Duration `help:"Between pings of agents and browsers." default:"15s"`
	AnswerWithin  time.Duration `help:"For a person to answer a request for a session; silence is a refusal." default:"60s"`
	ConsentWindow time.Duration `help:"How long consent outlives the last connection." default:"15m"`
	DrainTime     time.Duration `help:"For requests under way to finish when the gateway is stopped." default:"10s"`

	MetricsToken string `help:"Bearer token that opens /metrics to other machines; without it only this machine may read it." placeholder:"TOKEN"`

	LogLevel  string `help:"debug, info, warn or error." default:"info" enum:"debug,info,warn,error"`
	LogFormat string `help:"text or json." default:"text" enum:"text,json"`
}

// Off is what turns a listener off.
const Off = "off"

// Validate is called by the parser; it says everything that is wrong at once.
func (g *Gateway) Validate() error {
	var errs []error
	if g.PublicURL != "" {
		u, err := url.Parse(g.PublicURL)
		if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" || strings.Trim(u.Path, "/") != "" {
			errs = append(errs, fmt.Errorf("--public-url %q: want https://host or https://host:port", g.PublicURL))
		}
	}
	for _, o := range g.Origins {
		if u, err := url.Parse(o); err != nil || u.Host == "" || u.Scheme == "" || u.Path != "" {
			errs = append(errs, fmt.Errorf("--origins %q: want https://host or https://host:port", o))
		}
	}
	if _, err := g.AllowPeers(); err != nil {
		errs = append(errs, err)
	}
	if _, _, err := g.RelayPorts(); err != nil {
		errs = append(errs, err)
	}
	if _, err := g.RelayIP(); err != nil {
		errs = append(errs, err)
	}
	if len(g.ClusterPeers) > 0 && g.ClusterListen == "" {
		errs = append(errs, errors.New("--cluster-peers: a node in a cluster also needs --cluster-listen"))
	}
	if g.BusURL != "" && g.ClusterListen != "" {
		errs = append(errs, errors.New("--bus-url and --cluster-listen: the bus is either external or embedded"))
	}
	for name, d := range map[string]time.Duration{"heartbeat": g.Heartbeat, "answer-within": g.AnswerWithin, "consent-window": g.ConsentWindow} {
		if d < 10*time.Millisecond {
			errs = append(errs, fmt.Errorf("--%s %v: too short", name, d))
		}
	}
	return errors.Join(errs...)
}

// AllowPeers is TurnAllowPeers, parsed, so that a typo never opens the relay.
func (g *Gateway) AllowPeers() ([]netip.Prefix, error) {
	var out []netip.Prefix
	for _, s := range g.TurnAllowPeers {
		p, err := netip.ParsePrefix(s)
		if err != nil {
			return nil, fmt.Errorf("--turn-allow-peers %q: want a network as 10.0.0.0/8", s)
		}
		out = append(out, p)
	}
	return out, nil
}

// RelayPorts is TurnPorts, parsed; 0, 0 means any.
func (g *Gateway) RelayPorts() (first, last uint16, err error) {
	if g.TurnPorts == "" {
		return 0, 0, nil
	}
	a, b, _ := strings.Cut(g.TurnPorts, "-")
	m, err1 := strconv.ParseUint(a, 10, 16)
	n, err2 := strconv.ParseUint(b, 10, 16)
	if err1 != nil || err2 != nil || m < 1024 || m > n {
		return 0, 0, fmt.Errorf("--turn-ports %q: want FIRST-LAST, 1024 or above", g.TurnPorts)
	}
	return uint16(m), uint16(n), nil
}

// RelayIP is TurnRelayIP, parsed; the zero value means none given.
func (g *Gateway) RelayIP() (netip.Addr, error) {
	if g.TurnRelayIP == "" {
		return netip.Addr{}, nil
	}
	ip, err := netip.ParseAddr(g.TurnRelayIP)
	if err != nil {
		return ip, fmt.Errorf("--turn-relay-ip %q: want an address", g.TurnRelayIP)
	}
	return ip, nil
}

// Options make kong read the environment and the file of --config, which the command line
// must have as a flag of type kong.ConfigFlag or Config's path given here.
func Options(env func(string) (string, bool), file string) ([]kong.Option, error) {
	values, err := readFile(file)
	if err != nil {
		return nil, err
	}
	return []kong.Option{kong.Resolvers(&resolver{env: env, file: file, values: values})}, nil
}

// FileFlag finds --config in args before they are parsed; HANDRAIL_CONFIG stands in for it.
func FileFlag(args []string, env func(string) (string, bool)) string {
	for i, a := range args {
		if v, ok := strings.CutPrefix(a, "--config="); ok {
			return v
		}
		if a == "--config" && i+1 < len(args) {
			return args[i+1]
		}
	}
	v, _ := env("HANDRAIL_CONFIG")
	return v
}

func readFile(file string) (map[string]any, error) {
	if file == "" {
		return nil, nil
	}
	f, err := os.Open(file)
	if err != nil {
		return nil, fmt.Errorf("configuration: %w", err)
	}
	defer f.Close()
	values := map[string]any{}
	if err := yaml.NewDecoder(io.LimitReader(f, 1<<20)).Decode(&values); err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("configuration %s: %w", file, err)
	}
	return values, nil
}

type resolver struct {
	env    func(string) (string, bool)
	file   string
	values map[string]any
}

// Validate refuses keys that no flag of any command has: a misspelled key must not be
// ignored.
func (r *resolver) Validate(app *kong.Application) error {
	known := map[string]bool{}
	var walk func(n *kong.Node)
	walk = func(n *kong.Node) {
		for _, f := range n.Flags {
			known[f.Name] = true
		}
		for _, c := range n.Children {
			walk(c)
		}
	}
	walk(app.Node)
	for _, k := range slices.Sorted(maps.Keys(r.values)) {
		if !known[k] {
			return fmt.Errorf("configuration %s: unknown key %q", r.file, k)
		}
	}
	return nil
}

// EnvName is the environment variable of a flag.
func EnvName(flag string) string {
	return "HANDRAIL_" + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}

// Resolve implements kong.Resolver.
func (r *resolver) Resolve(_ *kong.Context, _ *kong.Path, flag *kong.Flag) (any, error) {
	if flag.Name == "help" || flag.Name == "config" || flag.Name == "version" {
		return nil, nil
	}
	if v, ok := r.env(EnvName(flag.Name)); ok && v != "" {
		return v, nil
	}
	v, ok := r.values[flag.Name]
	if !ok || v == nil {
		return nil, nil
	}
	if list, ok := v.([]any); ok {
		words := make([]string, len(list))
		for i, w := range list {
			words[i] = strings.ReplaceAll(fmt.Sprint(w), ",", `\,`)
		}
		return strings.Join(words, ","), nil
	}
	if _, ok := v.(map[string]any); ok {
		return nil, fmt.Errorf("configuration %s: %s is not a single value or a list", r.file, flag.Name)
	}
	return fmt.Sprint(v), nil
}
