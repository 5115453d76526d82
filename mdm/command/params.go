package command

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"handrail/mdm"
)

// Params are the parameters of one kind, checked and with defaults filled in.
type Params interface {
	// check says what is wrong and fills in defaults.
	check() error
	// limit is how long a device may be at it.
	limit() time.Duration
}

// Limits of parameters.
const (
	MaxBody       = 128 << 10 // bytes of a script
	MaxParameters = 32
	MaxValue      = 4096      // bytes of a script's parameter
	MaxRun        = 24 * 3600 // seconds
	DefaultRun    = 300       // seconds
	maxDelay      = 24 * 3600 // seconds
	defaultKept   = 64 << 10  // bytes of output
)

// Power is the parameters of Restart and Shutdown.
type Power struct {
	DelaySeconds int `json:"delay_seconds,omitempty"` // for people to save their work
}

func (p *Power) check() error {
	if p.DelaySeconds < 0 || p.DelaySeconds > maxDelay {
		return mdm.BadField("delay_seconds", "must be 0 to %d", maxDelay)
	}
	return nil
}

// limit leaves a slow machine half an hour to come back.
func (p *Power) limit() time.Duration {
	return time.Duration(p.DelaySeconds)*time.Second + 30*time.Minute
}

// SignOutOf is the parameters of SignOut.
type SignOutOf struct {
	User string `json:"user,omitempty"` // account; "" is everybody at a screen
}

func (p *SignOutOf) check() error {
	if p.User != "" && !isAccount(p.User) {
		return mdm.BadField("user", "is not an account name")
	}
	return nil
}

func (*SignOutOf) limit() time.Duration { return 2 * time.Minute }

// Notice is the parameters of Message.
type Notice struct {
	Title string `json:"title,omitempty"`
	Text  string `json:"text"`
	From  string `json:"from,omitempty"` // filled in by the gateway
}

func (p *Notice) check() error {
	p.Title, p.From = mdm.Clean(p.Title, 120), mdm.Clean(p.From, 200)
	p.Text = cleanLines(p.Text, 2000)
	if p.Text == "" {
		return mdm.BadField("text", "is empty")
	}
	return nil
}

func (*Notice) limit() time.Duration { return 5 * time.Minute }

// cleanLines is mdm.Clean line by line: a message may have paragraphs.
func cleanLines(s string, limit int) string {
	lines := strings.Split(s, "\n")
	for i := range lines {
		lines[i] = mdm.Clean(lines[i], limit)
	}
	s = strings.Trim(strings.Join(lines, "\n"), "\n")
	if len(s) > limit {
		s = strings.ToValidUTF8(s[:limit], "")
	}
	return s
}

// Script is the parameters of RunScript as a device gets them: whole, so that it asks for
// nothing more. Parameters reach the script as environment variables PARAM_<NAME>, never
// as text of the script.
type Script struct {
	ScriptID       string            `json:"script_id,omitempty"` // "" for one typed for the occasion
	Name           string            `json:"name,omitempty"`
	Version        int64             `json:"version,omitempty"`
	Interpreter    string            `json:"interpreter"` // sh, bash, python3
	Body           string            `json:"body"`
	Parameters     map[string]string `json:"parameters,omitempty"`
	RunAs          string            `json:"run_as,omitempty"` // account; "" is the agent's own
	TimeoutSeconds int               `json:"timeout_seconds,omitempty"`
	OutputBytes    int               `json:"output_bytes,omitempty"` // that are kept
}

// Interpreters are the programs a script may be written for.
var Interpreters = []string{"sh", "bash", "python3"}

func (p *Script) check() error {
	if p.TimeoutSeconds == 0 {
		p.TimeoutSeconds = DefaultRun
	}
	if p.OutputBytes == 0 {
		p.OutputBytes = defaultKept
	}
	p.Name = mdm.Clean(p.Name, 120)
	switch {
	case p.ScriptID != "" && !mdm.IsID("scr", p.ScriptID):
		return mdm.BadField("script_id", "is not the id of a script")
	case !contains(Interpreters, p.Interpreter):
		return mdm.BadField("interpreter", "must be one of %s", strings.Join(Interpreters, ", "))
	case strings.TrimSpace(p.Body) == "":
		return mdm.BadField("body", "is empty")
	case len(p.Body) > MaxBody:
		return mdm.BadField("body", "is %d bytes, at most %d", len(p.Body), MaxBody)
	case strings.ContainsRune(p.Body, 0):
		return mdm.BadField("body", "has a zero byte in it")
	case p.RunAs != "" && !isAccount(p.RunAs):
		return mdm.BadField("run_as", "is not an account name")
	case p.TimeoutSeconds < 1 || p.TimeoutSeconds > MaxRun:
		return mdm.BadField("timeout_seconds", "must be 1 to %d", MaxRun)
	case p.OutputBytes < 1024 || p.OutputBytes > MaxOutput:
		return mdm.BadField("output_bytes", "must be 1024 to %d", MaxOutput)
	case len(p.Parameters) > MaxParameters:
		return mdm.BadField("parameters", "are %d, at most %d", len(p.Parameters), MaxParameters)
	}
	for name, v := range p.Parameters {
		if !IsParameter(name) {
			return mdm.BadField("parameters."+mdm.Clean(name, 40), "has a name that is not 1 to 32 of a-z, 0-9 and underscore, a letter first")
		}
		if len(v) > MaxValue || strings.ContainsRune(v, 0) {
			return mdm.BadField("parameters."+name, "is over %d bytes or has a zero byte in it", MaxValue)
		}
	}
	return nil
}

func (p *Script) limit() time.Duration {
	return time.Duration(p.TimeoutSeconds)*time.Second + time.Minute
}

// IsParameter reports whether a script's parameter may have this name.
func IsParameter(name string) bool {
	if name == "" || len(name) > 32 || name[0] < 'a' || name[0] > 'z' {
		return false
	}
	return !strings.ContainsFunc(name, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '_'
	})
}

// Service is the parameters of RestartService.
type Service struct {
	Unit string `json:"unit"` // "cups" or "cups.service"
}

func (p *Service) check() error {
	if p.Unit == "" || len(p.Unit) > 200 || p.Unit[0] == '-' || strings.ContainsFunc(p.Unit, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune(":_.@-\\", r)
	}) {
		return mdm.BadField("unit", "is not the name of a service")
	}
	return nil
}

func (*Service) limit() time.Duration { return 5 * time.Minute }

// Logs is the parameters of CollectLogs.
type Logs struct {
	SinceHours int      `json:"since_hours,omitempty"` // of the system's journal; 0 means 24
	Unit       string   `json:"unit,omitempty"`        // "" is all of the journal
	Files      []string `json:"files,omitempty"`       // patterns below /var/log; left out: the usual ones
	MaxBytes   int64    `json:"max_bytes,omitempty"`   // of the bundle, compressed; 0 means 8 MiB
}

func (p *Logs) check() error {
	if p.SinceHours == 0 {
		p.SinceHours = 24
	}
	if p.MaxBytes == 0 {
		p.MaxBytes = 8 << 20
	}
	switch {
	case p.SinceHours < 1 || p.SinceHours > 31*24:
		return mdm.BadField("since_hours", "must be 1 to 744")
	case p.MaxBytes < 64<<10 || p.MaxBytes > MaxFile:
		return mdm.BadField("max_bytes", "must be %d to %d", 64<<10, MaxFile)
	case len(p.Files) > 20:
		return mdm.BadField("files", "are %d, at most 20", len(p.Files))
	case p.Unit != "":
		if err := (&Service{Unit: p.Unit}).check(); err != nil {
			return err
		}
	}
	for i, f := range p.Files {
		rest, ok := strings.CutPrefix(f, "/var/log/")
		if !ok || rest == "" || len(f) > 200 || strings.ContainsRune(f, 0) || contains(strings.Split(rest, "/"), "..") {
			return mdm.BadField(fmt.Sprintf("files[%d]", i), "is not below /var/log")
		}
	}
	return nil
}

func (*Logs) limit() time.Duration { return 15 * time.Minute }

// None is the parameters of kinds that have none.
type None struct{}

func (*None) check() error { return nil }

func (*None) limit() time.Duration { return 10 * time.Minute }

// DecodeParams reads the parameters of a kind: unknown names and wrong types are refused,
// defaults filled in. The error is mdm.ErrInvalid and says what is wrong.
func DecodeParams(kind Kind, raw []byte) (Params, error) {
	var p Params
	switch kind {
	case Restart, Shutdown:
		p = &Power{}
	case SignOut:
		p = &SignOutOf{}
	case Message:
		p = &Notice{}
	case RunScript:
		p = &Script{}
	case RestartService:
		p = &Service{}
	case CollectLogs:
		p = &Logs{}
	case RefreshInventory, RotateKey:
		p = &None{}
	default:
		return nil, fmt.Errorf("no kind of command %q: %w", mdm.Clean(string(kind), 40), mdm.ErrInvalid)
	}
	if len(raw) > MaxPayload {
		return nil, fmt.Errorf("parameters of %s are %d bytes, at most %d: %w", kind, len(raw), MaxPayload, mdm.ErrInvalid)
	}
	if len(bytes.TrimSpace(raw)) == 0 {
		raw = []byte("{}")
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	if err := d.Decode(p); err != nil {
		return nil, fmt.Errorf("parameters of %s: %w", kind, mdm.BadJSON(err, p))
	}
	if d.More() {
		return nil, fmt.Errorf("parameters of %s: more than one value: %w", kind, mdm.ErrInvalid)
	}
	if err := p.check(); err != nil {
		return nil, fmt.Errorf("parameters of %s: %w", kind, err)
	}
	return p, nil
}

// RunLimit is how long a device may be at it.
func RunLimit(p Params) time.Duration { return p.limit() }

func contains(list []string, s string) bool {
	for _, v := range list {
		if v == s {
			return true
		}
	}
	return false
}

// isAccount: what useradd takes, and what directories add to it.
func isAccount(s string) bool {
	if len(s) > 64 || s[0] == '-' || s[0] == '.' {
		return false
	}
	return !strings.ContainsFunc(s, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("_.@$\\-", r)
	})
}
