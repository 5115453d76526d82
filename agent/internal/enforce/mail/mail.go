// Package mail sets up e-mail accounts in Thunderbird, as preferences in its policies. All
// accounts of a device and what others have put there share one file, so that each account
// is a snippet of ours, and the file is made of the snippets and of what was there before.
package mail

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"handrail/agent/internal/enforce"
	"handrail/mdm/manifest"
)

// Key is the catalogue's key that is enforced here.
const Key = "mail.account"

// Account is the value of mail.account.
type Account struct {
	Name     string `json:"name"` // the sender's
	Address  string `json:"address"`
	Incoming Server `json:"incoming"`
	Outgoing Server `json:"outgoing"`
}

// Server is one that mail comes from or goes to. There is no password: people are asked.
type Server struct {
	Protocol       string `json:"protocol"` // imap, pop3; of incoming mail
	Host           string `json:"host"`
	Port           int    `json:"port"`           // 0 means the usual one
	Security       string `json:"security"`       // tls, starttls, none
	Username       string `json:"username"`       // "" means the address
	Authentication string `json:"authentication"` // password, encrypted, kerberos, oauth2
}

const (
	dir      = "/etc/thunderbird/policies"
	file     = dir + "/policies.json"
	snippets = "/etc/thunderbird/handrail-accounts"
	was      = snippets + "/before.json" // the file as it was before the first account came
	maxFile  = 4 << 20
)

var programs = []string{"/usr/bin/thunderbird", "/snap/bin/thunderbird", "/opt/thunderbird/thunderbird", "/usr/lib/thunderbird/thunderbird", "/usr/lib64/thunderbird/thunderbird"}

// preference is one of Thunderbird's, as its policies set it.
type preference struct {
	Value  any    `json:"Value"`
	Status string `json:"Status"` // default: people may change it; locked
}

// Enforcer enforces e-mail accounts.
type Enforcer struct{ now func() time.Time }

// New returns the enforcer.
func New() *Enforcer { return &Enforcer{now: time.Now} }

// Keys is mail.account.
func (*Enforcer) Keys() []string { return []string{Key} }

// Watch notices changes of Thunderbird's file.
func (*Enforcer) Watch(ctx context.Context, sys *enforce.System, changed func()) error {
	return enforce.WatchPaths(ctx, sys, changed, file)
}

// mark is in the name of every account of ours.
const mark = "handrail_"

func keyOf(id manifest.ID) string {
	h := sha256.Sum256([]byte(id.Instance()))
	return mark + hex.EncodeToString(h[:6])
}

func snippetPath(id manifest.ID) string { return path.Join(snippets, id.Instance()+".account.json") }

var (
	socketTypes = map[string]int{"none": 0, "starttls": 2, "tls": 3}
	authMethods = map[string]int{"password": 3, "encrypted": 4, "kerberos": 5, "oauth2": 10}
	usualPorts  = map[string]map[string]int{
		"imap": {"tls": 993, "starttls": 143, "none": 143},
		"pop3": {"tls": 995, "starttls": 110, "none": 110},
		"smtp": {"tls": 465, "starttls": 587, "none": 25},
	}
	hostName = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?$`)
)

// complete fills in what is usual and says what is wrong.
func (s *Server) complete(protocol, address string) error {
	if s.Security == "" {
		s.Security = "tls"
	}
	if s.Authentication == "" {
		s.Authentication = "password"
	}
	if s.Username == "" {
		s.Username = address
	}
	ports, known := usualPorts[protocol]
	if !known {
		return fmt.Errorf("protocol %q is not known", protocol)
	}
	if s.Port == 0 {
		s.Port = ports[s.Security]
	}
	_, security := socketTypes[s.Security]
	_, authentication := authMethods[s.Authentication]
	switch {
	case !hostName.MatchString(s.Host) && net.ParseIP(s.Host) == nil:
		return errors.New("host is not the name of a server")
	case !security:
		return fmt.Errorf("security %q is not known", s.Security)
	case s.Port < 1 || s.Port > 65535:
		return fmt.Errorf("port %d is not within 1 and 65535", s.Port)
	case !authentication:
		return fmt.Errorf("authentication %q is not known", s.Authentication)
	case !plain(s.Username):
		return errors.New("username is not one line of at most 256 bytes")
	}
	return nil
}

func plain(s string) bool {
	return s != "" && len(s) <= 256 && !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f })
}

// read reads a setting and completes it.
func read(s manifest.Setting) (Account, error) {
	a, err := enforce.Decode[Account](s)
	if err != nil {
		return a, err
	}
	if at := strings.LastIndexByte(a.Address, '@'); at < 1 || !plain(a.Address) || strings.ContainsAny(a.Address, " ,;<>\"") || !hostName.MatchString(a.Address[at+1:]) {
		return a, errors.New("address is not an e-mail address")
	}
	if !plain(a.Name) {
		return a, errors.New("name is not one line of at most 256 bytes")
	}
	if a.Incoming.Protocol == "" {
		a.Incoming.Protocol = "imap"
	}
	if a.Incoming.Protocol == "smtp" || a.Outgoing.Protocol != "" && a.Outgoing.Protocol != "smtp" {
		return a, errors.New("mail comes by imap or pop3, and goes by smtp")
	}
	if err := a.Incoming.complete(a.Incoming.Protocol, a.Address); err != nil {
		return a, fmt.Errorf("incoming.%w", err)
	}
	if err := a.Outgoing.complete("smtp", a.Address); err != nil {
		return a, fmt.Errorf("outgoing.%w", err)
	}
	return a, nil
}

// preferences are an account's in Thunderbird.
func (a Account) preferences(key string) map[string]preference {
	m := map[string]preference{}
	open := func(name string, v any) { m[name] = preference{v, "default"} }
	lock := func(name string, v any) { m[name] = preference{v, "locked"} }
	open("mail.account."+key+".identities", key)
	open("mail.account."+key+".server", key)
	identity := "mail.identity." + key + "."
	open(identity+"fullName", a.Name)
	lock(identity+"useremail", a.Address)
	open(identity+"smtpServer", key)
	open(identity+"valid", true)
	server := "mail.server." + key + "."
	open(server+"name", a.Address)
	open(server+"check_new_mail", true)
	open(server+"login_at_startup", true)
	lock(server+"type", a.Incoming.Protocol)
	lock(server+"hostname", a.Incoming.Host)
	lock(server+"port", a.Incoming.Port)
	lock(server+"userName", a.Incoming.Username)
	lock(server+"socketType", socketTypes[a.Incoming.Security])
	lock(server+"authMethod", authMethods[a.Incoming.Authentication])
	out := "mail.smtpserver." + key + "."
	lock(out+"hostname", a.Outgoing.Host)
	lock(out+"port", a.Outgoing.Port)
	lock(out+"username", a.Outgoing.Username)
	lock(out+"try_ssl", socketTypes[a.Outgoing.Security])
	lock(out+"authMethod", authMethods[a.Outgoing.Authentication])
	return m
}

// Plan writes the account's snippet.
func (*Enforcer) Plan(_ context.Context, sys *enforce.System, s manifest.Setting) (enforce.Plan, error) {
	a, err := read(s)
	if err != nil {
		return enforce.Plan{}, err
	}
	if !slices.ContainsFunc(programs, sys.Exists) {
		return enforce.Plan{}, enforce.NotApplicable("Thunderbird is not on the device")
	}
	content, err := json.MarshalIndent(a.preferences(keyOf(s.ID)), "", "  ")
	if err != nil {
		return enforce.Plan{}, err
	}
	if _, err := base(sys); err != nil { // what others have there must be readable, or it would be lost
		return enforce.Plan{}, enforce.Conflict("%s is there and is not JSON: %v", file, err)
	}
	return enforce.Plan{Files: []enforce.File{{Path: snippetPath(s.ID), Content: append(content, '\n')}}}, nil
}

// Apply puts Thunderbird's file together.
func (e *Enforcer) Apply(_ context.Context, sys *enforce.System, _ manifest.Setting) error {
	return e.assemble(sys)
}

// Remove puts it together without the account; without any it is as it was before.
func (e *Enforcer) Remove(_ context.Context, sys *enforce.System, _ enforce.Removal) error {
	return e.assemble(sys)
}

// policies is Thunderbird's file: of its policies, the preferences are ours to add to.
type policies struct {
	whole       map[string]json.RawMessage // beside "policies"
	all         map[string]json.RawMessage // the policies
	preferences map[string]json.RawMessage
}

func parse(b []byte) (policies, error) {
	var p policies
	if len(b) == 0 {
		b = []byte("{}")
	}
	if err := json.Unmarshal(b, &p.whole); err != nil {
		return p, err
	}
	if raw, there := p.whole["policies"]; there {
		if err := json.Unmarshal(raw, &p.all); err != nil {
			return p, err
		}
	}
	if raw, there := p.all["Preferences"]; there {
		if err := json.Unmarshal(raw, &p.preferences); err != nil {
			return p, err
		}
	}
	return p, nil
}

// isOurs reports whether a file has an account of ours in it.
func isOurs(b []byte) bool { return strings.Contains(string(b), `"mail.account.`+mark) }

// base is the file without us: what was there before, with what others have changed since.
func base(sys *enforce.System) (policies, error) {
	b, err := optional(sys, file)
	if err != nil {
		return policies{}, err
	}
	p, err := parse(b)
	if err != nil || !isOurs(b) {
		return p, err
	}
	old, err := optional(sys, was)
	if err != nil {
		return p, err
	}
	before, err := parse(old)
	if err != nil {
		return p, err
	}
	for name := range p.preferences {
		if strings.Contains(name, "."+mark) {
			delete(p.preferences, name)
		}
	}
	for _, name := range []string{appendAccounts, smtpServers, appendSMTP, appendVersion} {
		p.preferences[name] = before.preferences[name]
		if p.preferences[name] == nil {
			delete(p.preferences, name)
		}
	}
	return p, nil
}

// optional reads a file that may not be there.
func optional(sys *enforce.System, p string) ([]byte, error) {
	b, err := sys.ReadFile(p, maxFile)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	return b, err
}

// Lists of Thunderbird's that name accounts and servers, joined by commas, and the number that
// must grow for it to look at the first of them again.
const (
	appendAccounts = "mail.accountmanager.appendaccounts"
	appendVersion  = "mailnews.append_preconfig_accounts.version"
	smtpServers    = "mail.smtpservers"
	appendSMTP     = "mail.smtpservers.appendsmtpservers"
)

func (e *Enforcer) assemble(sys *enforce.System) error {
	now, err := optional(sys, file)
	if err != nil {
		return err
	}
	accounts, keys, err := collect(sys)
	if err != nil {
		return err
	}
	if !isOurs(now) && len(keys) > 0 { // it is others': what is put back one day
		if now != nil || sys.Exists(was) {
			if err := sys.Put(enforce.File{Path: was, Content: now, Absent: now == nil}); err != nil {
				return err
			}
		}
	}
	if len(keys) == 0 {
		return restore(sys, now)
	}
	p, err := base(sys)
	if err != nil {
		return err
	}
	before, err := parse(now)
	if err != nil {
		return err
	}
	if p.preferences == nil {
		p.preferences = map[string]json.RawMessage{}
	}
	for name, v := range accounts {
		p.preferences[name] = v
	}
	for _, name := range []string{appendAccounts, smtpServers, appendSMTP} {
		list := append(words(p.preferences[name]), keys...)
		p.preferences[name] = encode(preference{strings.Join(list, ","), "default"})
	}
	p.preferences[appendVersion] = before.preferences[appendVersion]
	if string(compact(before.preferences[appendAccounts])) != string(compact(p.preferences[appendAccounts])) || len(before.preferences[appendVersion]) == 0 {
		p.preferences[appendVersion] = encode(preference{e.version(before.preferences[appendVersion]), "default"})
	}
	content, err := p.encode()
	if err != nil || string(content) == string(now) {
		return err
	}
	return sys.Put(enforce.File{Path: file, Content: content})
}

// collect reads the snippets: all their preferences, and the accounts' keys in order.
func collect(sys *enforce.System) (map[string]json.RawMessage, []string, error) {
	entries, err := os.ReadDir(sys.Abs(snippets))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, nil, err
	}
	all := map[string]json.RawMessage{}
	var keys []string
	for _, e := range entries {
		instance, ok := strings.CutSuffix(e.Name(), ".account.json")
		if !ok || strings.HasPrefix(e.Name(), ".") {
			continue
		}
		b, err := sys.ReadFile(path.Join(snippets, e.Name()), maxFile)
		if err != nil {
			return nil, nil, err
		}
		var m map[string]json.RawMessage
		if err := json.Unmarshal(b, &m); err != nil {
			return nil, nil, fmt.Errorf("%s: %w", e.Name(), err)
		}
		for name, v := range m {
			all[name] = v
		}
		keys = append(keys, keyOf(manifest.MakeID(Key, instance)))
	}
	return all, keys, nil
}

// restore puts back the file as it was before the first account came.
func restore(sys *enforce.System, now []byte) error {
	if isOurs(now) {
		old, err := optional(sys, was)
		if err != nil {
			return err
		}
		p, err := base(sys)
		if err != nil {
			return err
		}
		content, err := p.encode()
		if err != nil {
			return err
		}
		if before, err := parse(old); err == nil {
			if same, err := before.encode(); err == nil && string(same) == string(content) {
				content = old // to the byte
			}
		}
		if err := sys.Put(enforce.File{Path: file, Content: content, Absent: content == nil}); err != nil {
			return err
		}
		if content == nil {
			os.Remove(sys.Abs(dir)) // stays where others are in it
		}
	}
	if sys.Exists(was) {
		if err := sys.Put(enforce.File{Path: was, Absent: true}); err != nil {
			return err
		}
	}
	os.Remove(sys.Abs(snippets))
	return nil
}

// version is a number over the one before, that also grows where the file was gone
// meanwhile: Thunderbird remembers it for each person.
func (e *Enforcer) version(before json.RawMessage) int64 {
	epoch := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	return max(int64(e.now().Sub(epoch)/time.Second), number(before)+2, 2)
}

func number(raw json.RawMessage) int64 {
	var p struct {
		Value json.Number `json:"Value"`
	}
	if json.Unmarshal(raw, &p) != nil {
		return 0
	}
	n, _ := strconv.ParseInt(p.Value.String(), 10, 64) // 0 where it is none
	return n
}

// words are those of a list that others may have set, without ours.
func words(raw json.RawMessage) []string {
	var p struct {
		Value string `json:"Value"`
	}
	if json.Unmarshal(raw, &p) != nil {
		return nil
	}
	return slices.DeleteFunc(strings.Split(p.Value, ","), func(w string) bool { return w == "" || strings.HasPrefix(w, mark) })
}

func encode(p preference) json.RawMessage {
	b, _ := json.Marshal(p) // texts and numbers
	return b
}

func compact(raw json.RawMessage) json.RawMessage {
	var v any
	if json.Unmarshal(raw, &v) != nil {
		return nil
	}
	b, _ := json.Marshal(v) // it has just been read
	return b
}

func (p policies) encode() ([]byte, error) {
	if p.all == nil {
		p.all = map[string]json.RawMessage{}
	}
	delete(p.all, "Preferences")
	if len(p.preferences) > 0 {
		preferences, err := json.Marshal(p.preferences)
		if err != nil {
			return nil, err
		}
		p.all["Preferences"] = preferences
	}
	all, err := json.Marshal(p.all)
	if err != nil {
		return nil, err
	}
	p.whole["policies"] = all
	b, err := json.MarshalIndent(p.whole, "", "  ")
	return append(b, '\n'), err
}

// Observed is what a Thunderbird that starts now is told.
type Observed struct {
	Address  string `json:"address"`
	Incoming string `json:"incoming"`
	Outgoing string `json:"outgoing"`
}

// Observe reads the file as Thunderbird does.
func (*Enforcer) Observe(_ context.Context, sys *enforce.System, s manifest.Setting) (any, error) {
	a, err := read(s)
	if err != nil {
		return nil, err
	}
	b, err := sys.ReadFile(file, maxFile)
	if err != nil {
		return nil, err
	}
	p, err := parse(b)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	key := keyOf(s.ID)
	for name, must := range a.preferences(key) {
		if is := compact(p.preferences[name]); string(is) != string(compact(encode(must))) {
			return nil, fmt.Errorf("%s in %s is not as it must be", name, file)
		}
	}
	var list struct {
		Value string `json:"Value"`
	}
	if json.Unmarshal(p.preferences[appendAccounts], &list) != nil || !slices.Contains(strings.Split(list.Value, ","), key) {
		return nil, fmt.Errorf("%s in %s does not name the account", appendAccounts, file)
	}
	url := func(protocol string, s Server) string {
		return fmt.Sprintf("%s://%s (%s, %s)", protocol, net.JoinHostPort(s.Host, strconv.Itoa(s.Port)), s.Security, s.Authentication)
	}
	return Observed{a.Address, url(a.Incoming.Protocol, a.Incoming), url("smtp", a.Outgoing)}, nil
}
