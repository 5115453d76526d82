package signaling

import (
	"fmt"
	"slices"
)

// Messages of the tool "service": what the device's service manager keeps running. After
// ServiceWatch the list comes in pieces of ServiceRows and then, while the channel is open, the rows
// that change. ServiceLook and ServiceAct are sent with an id, which the answer names as re.
const (
	TypeServiceWatch   Type = "service.watch"
	TypeServiceRows    Type = "service.rows"
	TypeServiceLook    Type = "service.look"
	TypeServiceDetails Type = "service.details"
	TypeServiceAct     Type = "service.act"
	TypeServiceDone    Type = "service.done"
)

// ToolService names the tool.
const ToolService = "service"

// ServiceWatch asks for the list; without it none comes.
type ServiceWatch struct {
	EveryMS int64 `json:"every_ms"` // between looks for changes; 1000 to 60000
}

func (w ServiceWatch) validate() error { return checkRange("every_ms", w.EveryMS, 1000, 60_000) }

// ServiceManager says what keeps services on a device.
type ServiceManager string

// The managers.
const (
	ManagerSystemd ServiceManager = "systemd"
	ManagerSysV    ServiceManager = "sysv" // scripts in /etc/init.d
	ManagerNone    ServiceManager = "none" // as in most containers
)

// ServiceRow is one service.
type ServiceRow struct {
	Name        string `json:"name"`
	Description string `json:"description"`
	State       string `json:"state"`   // active, inactive, failed, activating, deactivating, reloading; unknown where it cannot be asked
	Sub         string `json:"sub"`     // systemd's finer word, as running, exited, dead, auto-restart
	Enabled     string `json:"enabled"` // at start: enabled, disabled, static, masked …; "" where it is not known
}

// ServiceRows is a piece of the list, or what changed of it.
type ServiceRows struct {
	First   bool           `json:"first"` // what was there before is to be forgotten
	Last    bool           `json:"last"`
	Manager ServiceManager `json:"manager"`
	Message string         `json:"message"` // why there is nothing, or not everything
	Rows    []ServiceRow   `json:"rows"`
	Gone    []string       `json:"gone"`
}

// ServiceLook asks for the details of one service.
type ServiceLook struct {
	Name string `json:"name"`
}

func (l ServiceLook) validate() error { return checkName("name", l.Name) }

// ServiceDetails is what is known of one service.
type ServiceDetails struct {
	Row     ServiceRow `json:"row"`
	PID     int64      `json:"pid"`      // of its main process; 0 is none
	Memory  int64      `json:"memory"`   // bytes; -1 where it is not known
	Tasks   int64      `json:"tasks"`    // -1 where it is not known
	Result  string     `json:"result"`   // how its last run ended, as exit-code
	Exit    int64      `json:"exit"`     // status of its last run
	Starts  int64      `json:"starts"`   // by itself, after failures
	SinceMS int64      `json:"since_ms"` // in this state; 0 where it is not known
	File    string     `json:"file"`     // that defines it
	Needs   []string   `json:"needs"`    // other services
	Log     []string   `json:"log"`      // its last lines
	Message string     `json:"message"`  // what could not be read, and why
}

// ServiceVerb is what is done with a service.
type ServiceVerb string

// The verbs.
const (
	ServiceStart   ServiceVerb = "start"
	ServiceStop    ServiceVerb = "stop"
	ServiceRestart ServiceVerb = "restart"
	ServiceReload  ServiceVerb = "reload"
	ServiceEnable  ServiceVerb = "enable" // at start of the device
	ServiceDisable ServiceVerb = "disable"
)

// ServiceAct acts on one service. All of it needs root beside diagnostics.
type ServiceAct struct {
	Name string      `json:"name"`
	What ServiceVerb `json:"what"`
}

func (a ServiceAct) validate() error {
	if !slices.Contains([]ServiceVerb{ServiceStart, ServiceStop, ServiceRestart, ServiceReload, ServiceEnable, ServiceDisable}, a.What) {
		return fmt.Errorf("what is %q", trim(string(a.What), 32))
	}
	return checkName("name", a.Name)
}

// ServiceDone answers ServiceAct.
type ServiceDone struct {
	Name    string      `json:"name"`
	What    ServiceVerb `json:"what"`
	OK      bool        `json:"ok"`
	Before  string      `json:"before"` // state, or whether it is enabled
	After   string      `json:"after"`
	Message string      `json:"message"`
	Log     []string    `json:"log"` // its last lines
}

// checkName refuses what cannot name a service or a log's source: it ends on a command line.
func checkName(field, s string) error {
	if s == "" || len(s) > 256 || s[0] == '-' || s[0] == '.' {
		return fmt.Errorf("%s is %q", field, trim(s, 64))
	}
	for _, r := range s {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9':
		case r == '.', r == '-', r == '_', r == '@', r == ':', r == '\\', r == '+':
		default:
			return fmt.Errorf("%s holds %q", field, r)
		}
	}
	return nil
}
