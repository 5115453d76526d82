package api

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"handrail/gateway/internal/audit"
	"handrail/gateway/internal/auth"
	"handrail/gateway/internal/desire"
	"handrail/gateway/internal/dispatch"
	"handrail/gateway/internal/fleet"
	"handrail/gateway/internal/identity"
	"handrail/gateway/internal/session"
	"handrail/mdm"
	"handrail/mdm/command"
	"handrail/mdm/compliance"
	"handrail/mdm/device"
	"handrail/mdm/enroll"
	"handrail/mdm/group"
	"handrail/mdm/inventory"
	"handrail/mdm/label"
	"handrail/mdm/policy"
	"handrail/mdm/script"
	"handrail/signaling"
)

// Sessions is what the API needs of support sessions. Permission on the device's group has
// been checked before each call.
type Sessions interface {
	// Request asks the device for a session. session.ErrOffline, session.ErrTooMany,
	// session.ErrNotAllowed.
	Request(ctx context.Context, by auth.Caller, d device.Device, reason string, caps signaling.CapabilitySet) (session.Session, error)
	// Session returns one; mdm.ErrNotFound.
	Session(ctx context.Context, id signaling.SessionID) (session.Session, error)
	// Sessions returns a page, newest first, and the cursor of the next.
	Sessions(ctx context.Context, f session.Filter) (page []session.Session, next string, err error)
	// Timeline returns what happened, oldest first.
	Timeline(ctx context.Context, id signaling.SessionID) ([]session.Entry, error)
	// End ends a session; session.ErrEnded when it has.
	End(ctx context.Context, by auth.Caller, id signaling.SessionID, reason string) error
	// Ask asks the person at the device for capabilities, those wanted in all.
	Ask(ctx context.Context, by auth.Caller, id signaling.SessionID, caps signaling.CapabilitySet) error
	// Counts counts open sessions of the groups, or all.
	Counts(ctx context.Context, groups []mdm.GroupID, all bool) (session.Counts, error)
}

// Links is what the API needs of the devices' connections, on whatever node they are.
type Links interface {
	// Online returns a fresh set of every device that is connected.
	Online() map[mdm.DeviceID]bool
	// IsOnline reports whether one is.
	IsOnline(id mdm.DeviceID) bool
	// Cut tells a device why and closes its link; not connected is no error.
	Cut(ctx context.Context, id mdm.DeviceID, code signaling.Code, message string) error
}

// Config holds the rooms the API speaks for. Every pointer and interface must be set.
type Config struct {
	Auth      *auth.Auth
	Audit     *audit.Log
	Identity  *identity.Identity
	Devices   *device.Registry
	Groups    *group.Registry
	Enroll    *enroll.Registry
	Inventory *inventory.Registry
	Labels    *label.Registry
	Fleet     *fleet.Fleet
	Policies  *policy.Registry
	Desire    *desire.Engine
	Sessions  Sessions
	Links     Links
	Commands  *command.Registry
	Scripts   *script.Registry
	Dispatch  *dispatch.Dispatch

	Compliance *compliance.Registry
	Comply     Comply
	// LabelName returns a label's name; mdm.ErrNotFound.
	LabelName func(ctx context.Context, id mdm.LabelID) (string, error)
	// LabelDevices returns devices that carry a label, by id, from behind after.
	LabelDevices func(ctx context.Context, id mdm.LabelID, after mdm.DeviceID, limit int) ([]mdm.DeviceID, error)

	// Changed tells every console that things are worth fetching again; nil means nobody.
	Changed func(topic signaling.Topic, ids ...string)
	// Version of the program; "" means "dev".
	Version string
	// URL is how devices reach the gateway; "" means as the request did.
	URL string
	// CAPEM is the certificate authority the gateway made itself, and CASHA256 the lower-case
	// hex SHA-256 of it in DER; "" where the certificate is one the world knows.
	CAPEM, CASHA256 string
	// TrustedOrigins may send unsafe requests with a cookie, beside the gateway's own origin.
	TrustedOrigins []string
	// Address returns the network address of a client; nil means the connection's. Behind a
	// proxy it reads the header that proxy sets.
	Address func(*http.Request) string
	// Secure reports whether the client speaks TLS; nil means whether the connection does.
	Secure func(*http.Request) bool
	// Now is the clock; nil means time.Now.
	Now func() time.Time
}

// API is the room. It is safe for concurrent use.
type API struct {
	cfg     Config
	log     *slog.Logger
	huma    huma.API
	handler http.Handler

	turnstile *turnstile   // of inventories
	pacer     *devicePacer // of everything devices ask
}

// New checks the configuration and returns the room; it starts nothing.
func New(cfg Config, log *slog.Logger) (*API, error) {
	if cfg.Auth == nil || cfg.Audit == nil || cfg.Identity == nil || cfg.Devices == nil || cfg.Groups == nil ||
		cfg.Enroll == nil || cfg.Inventory == nil || cfg.Sessions == nil || cfg.Links == nil ||
		cfg.Commands == nil || cfg.Scripts == nil || cfg.Dispatch == nil ||
		cfg.Compliance == nil || cfg.Comply == nil {
		return nil, errors.New("api: a room is missing from the configuration")
	}
	return build(cfg, log)
}

// build registers every operation; it calls none, so that Document needs no rooms.
func build(cfg Config, log *slog.Logger) (*API, error) {
	if cfg.Changed == nil {
		cfg.Changed = func(signaling.Topic, ...string) {}
	}
	if cfg.Version == "" {
		cfg.Version = "dev"
	}
	if cfg.Address == nil {
		cfg.Address = remoteAddress
	}
	if cfg.Secure == nil {
		cfg.Secure = func(r *http.Request) bool { return r.TLS != nil }
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	now := cfg.Now
	cfg.Now = func() time.Time { return now().UTC().Truncate(time.Microsecond) } // as exact as it is stored
	a := &API{cfg: cfg, log: log, turnstile: newTurnstile(), pacer: newDevicePacer()}
	mux := http.NewServeMux()
	hc := huma.DefaultConfig("Handrail", "1")
	hc.Info.Description = "Remote support gateway and device management. Browsers and command lines sign in for the cookie " + auth.CookieName +
		"; devices carry the bearer token of their socket's welcome. x-permission says what each operation needs."
	hc.OpenAPIPath, hc.DocsPath, hc.SchemasPath = "", "", "" // served by documents.go
	hc.CreateHooks = nil                                     // no $schema links in bodies
	hc.Formats = map[string]huma.Format{"application/json": huma.DefaultJSONFormat, "json": huma.DefaultJSONFormat}
	hc.Transformers = []huma.Transformer{a.problemOfHuma}
	hc.Components.SecuritySchemes = map[string]*huma.SecurityScheme{
		"operator": {Type: "apiKey", In: "cookie", Name: auth.CookieName},
		"device":   {Type: "http", Scheme: "bearer"},
	}
	a.huma = humago.New(mux, hc)
	a.huma.UseMiddleware(a.authorize)
	a.registerPeople()
	a.registerAPITokens()
	a.registerOperators()
	a.registerGroups()
	a.registerTokens()
	a.registerDevices()
	a.registerDeviceList()
	a.registerManyDevices()
	a.registerDuplicates()
	a.registerViews()
	a.registerAssets()
	a.registerExport()
	a.registerHistory()
	a.registerSoftware()
	a.registerFleetSoftware()
	a.registerLabels()
	a.registerSessions()
	a.registerRecords()
	a.registerCompliance()
	a.registerAgent()
	a.registerPolicies()
	a.registerCommands()
	a.registerBulks()
	a.registerScripts()
	a.registerAgentCommands()
	schemas := a.huma.OpenAPI().Components.Schemas.Map()
	delete(schemas, "ErrorModel") // huma's own errors leave as Problem
	delete(schemas, "ErrorDetail")
	for _, s := range schemas {
		neverNull(s)
	}
	a.serveDocuments(mux)
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		a.writeProblem(w, problem(http.StatusNotFound, signaling.CodeNotFound, "there is nothing at this address"))
	})
	guard := http.NewCrossOriginProtection()
	for _, o := range cfg.TrustedOrigins {
		if err := guard.AddTrustedOrigin(o); err != nil {
			return nil, err
		}
	}
	guard.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a.writeProblem(w, problem(http.StatusForbidden, signaling.CodeForbidden, "requests from other sites are not accepted"))
	}))
	a.handler = SecureHeaders(cfg.Secure, noStore(guard.Handler(a.recover(a.plainAddresses(mux)))))
	return a, nil
}

// plainAddresses refuses addresses and parameters that are no text: no id and no word to search
// for has a zero byte or is anything but UTF-8, and databases differ in what they make of it.
func (a *API) plainAddresses(next http.Handler) http.Handler {
	plain := func(s string) bool { return utf8.ValidString(s) && !strings.ContainsRune(s, 0) }
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !plain(r.URL.Path) {
			a.writeProblem(w, problem(http.StatusNotFound, signaling.CodeNotFound, "there is nothing at this address"))
			return
		}
		if query, err := url.QueryUnescape(r.URL.RawQuery); err != nil || !plain(query) {
			a.writeProblem(w, problem(http.StatusUnprocessableEntity, signaling.CodeMalformed, "a parameter of the address is not text"))
			return
		}
		next.ServeHTTP(w, r)
	})
}

// Handler serves everything under /api but the socket, and the HTTPS routes of devices.
func (a *API) Handler() http.Handler { return a.handler }

// remoteAddress is the connection's other end. IPv6 counts by /64: one customer holds as many.
func remoteAddress(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return host
}

// limitKey is the address as rate limits count it: IPv6 by /64, which one customer holds whole.
func limitKey(address string) string {
	ip, err := netip.ParseAddr(address)
	if err != nil || ip.Is4() || ip.Is4In6() {
		return address
	}
	p, err := ip.WithZone("").Prefix(64)
	if err != nil {
		return address
	}
	return p.String()
}

// operation registers one operation under a permission: one of package auth's, "public",
// "signed_in", or "device".
func operation[I, O any](a *API, permission auth.Permission, op huma.Operation, handle func(context.Context, *I) (*O, error)) {
	op.Extensions = map[string]any{"x-permission": string(permission)}
	op.Metadata = map[string]any{permissionKey: permission}
	if op.MaxBodyBytes == 0 {
		op.MaxBodyBytes = 64 << 10
	}
	switch permission {
	case public:
	case byDevice:
		op.Security = []map[string][]string{{"device": {}}}
	default:
		op.Security = []map[string][]string{{"operator": {}}}
	}
	op.Responses = map[string]*huma.Response{"default": {
		Description: "What went wrong",
		Content: map[string]*huma.MediaType{problemType: {
			Schema: a.huma.OpenAPI().Components.Schemas.Schema(problemReflect, true, "Problem"),
		}},
	}}
	huma.Register(a.huma, op, func(ctx context.Context, in *I) (*O, error) {
		out, err := handle(ctx, in)
		if err != nil {
			return nil, a.refused(ctx, a.problemOf(ctx, err))
		}
		return out, nil
	})
}

// neverNull says of every list in a body that it is a list, never null: ours never are, and
// null is no list to us.
func neverNull(s *huma.Schema) {
	for _, p := range s.Properties {
		if p.Type == huma.TypeArray {
			p.Nullable = false
		}
		neverNull(p)
	}
	if s.Items != nil {
		neverNull(s.Items)
	}
}

// empty is the input or output of operations that have none.
type empty struct{}
