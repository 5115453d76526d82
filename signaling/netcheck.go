package signaling

import (
	"fmt"
	"slices"
)

// Messages of the tool "netcheck": the device's network, and checks of it that run on the device.
// NetAsk is answered by NetState, and NetSocketsAsk by pieces of NetSockets. NetRun runs one check, whose
// lines come as NetLine and whose end as NetDone; NetStop ends it sooner. NetRun is sent with an id, which
// all of these name as re. At most 4 checks run at a time.
const (
	TypeNetAsk        Type = "net.ask"
	TypeNetState      Type = "net.state"
	TypeNetSocketsAsk Type = "net.sockets.ask"
	TypeNetSockets    Type = "net.sockets"
	TypeNetRun        Type = "net.run"
	TypeNetLine       Type = "net.line"
	TypeNetDone       Type = "net.done"
	TypeNetStop       Type = "net.stop"
)

// ToolNetcheck names the tool.
const ToolNetcheck = "netcheck"

// NetAsk asks how the device is connected.
type NetAsk struct{}

// NetInterface is a network interface.
type NetInterface struct {
	Name      string   `json:"name"`
	Hardware  string   `json:"hardware"` // address
	Addresses []string `json:"addresses"`
	Up        bool     `json:"up"`
	Link      bool     `json:"link"`  // a cable is in, or a wireless network joined
	Speed     int64    `json:"speed"` // Mbit/s; 0 where it is not known
	MTU       int64    `json:"mtu"`
	In        int64    `json:"in"`  // bytes since it came up
	Out       int64    `json:"out"` //
	Errors    int64    `json:"errors"`
	Dropped   int64    `json:"dropped"`
}

// NetRoute is where packets go.
type NetRoute struct {
	To     string `json:"to"`  // a prefix; "default"
	Via    string `json:"via"` // "" is directly
	Device string `json:"device"`
	Metric int64  `json:"metric"`
}

// NetState answers NetAsk.
type NetState struct {
	Interfaces []NetInterface `json:"interfaces"`
	Routes     []NetRoute     `json:"routes"`
	DNS        []string       `json:"dns"` // servers
	Search     []string       `json:"search"`
	Gateway    string         `json:"gateway"` // the default route's; "" where there is none
	Service    string         `json:"service"` // this installation's own server, as https://help.example.org
	Message    string         `json:"message"`
}

// NetSocketsAsk asks for the sockets.
type NetSocketsAsk struct{}

// NetSocket is a socket and who has it.
type NetSocket struct {
	Proto   string `json:"proto"` // tcp, tcp6, udp, udp6
	Local   string `json:"local"`
	Remote  string `json:"remote"`
	State   string `json:"state"` // of TCP, as LISTEN, ESTABLISHED
	User    string `json:"user"`
	PID     int64  `json:"pid"` // 0 where it is not known
	Process string `json:"process"`
}

// NetSockets is a piece of the list.
type NetSockets struct {
	First   bool        `json:"first"`
	Last    bool        `json:"last"`
	Total   int64       `json:"total"` // may be more than are told
	Sockets []NetSocket `json:"sockets"`
}

// NetCheck is a kind of check.
type NetCheck string

// The checks.
const (
	NetPing    NetCheck = "ping"
	NetTrace   NetCheck = "trace"   // the routers on the way
	NetResolve NetCheck = "dns"     // asks Server, or the device's own servers, for Target
	NetConnect NetCheck = "tcp"     // a connection to Target at Port
	NetTLS     NetCheck = "tls"     // and its certificates
	NetHTTP    NetCheck = "http"    // Target is an address as https://example.org/
	NetRate    NetCheck = "rate"    // how fast the way to this installation's server is
	NetProblem NetCheck = "problem" // goes through everything, from the cable to this installation's server, to where it fails
)

// NetRun runs a check.
type NetRun struct {
	What   NetCheck `json:"what"`
	Target string   `json:"target"` // host name, address, or web address; "" for rate and problem
	Port   int64    `json:"port"`   // for tcp and tls; 0 is 443
	Server string   `json:"server"` // for dns: address of a server; "" is the device's own
	Record string   `json:"record"` // for dns: A, AAAA, CNAME, MX, NS, PTR, SRV, TXT; "" is A and AAAA
	Count  int64    `json:"count"`  // for ping: 1 to 100; 0 is 5
}

func (r NetRun) validate() error {
	if !slices.Contains([]NetCheck{NetPing, NetTrace, NetResolve, NetConnect, NetTLS, NetHTTP, NetRate, NetProblem}, r.What) {
		return fmt.Errorf("what is %q", trim(string(r.What), 32))
	}
	if !slices.Contains([]string{"", "A", "AAAA", "CNAME", "MX", "NS", "PTR", "SRV", "TXT"}, r.Record) {
		return fmt.Errorf("record is %q", trim(r.Record, 32))
	}
	return firstError(
		checkText("target", r.Target, 2048), checkText("server", r.Server, 256),
		checkRange("port", r.Port, 0, 65535), checkRange("count", r.Count, 0, 100),
	)
}

// NetTone says how a line is meant.
type NetTone string

// The tones.
const (
	TonePlain NetTone = "plain"
	ToneGood  NetTone = "good"
	ToneBad   NetTone = "bad"
)

// NetLine is a line of a check's output.
type NetLine struct {
	Text string  `json:"text"`
	Tone NetTone `json:"tone"`
	MS   float64 `json:"ms"` // what was measured; -1 where nothing was
}

// NetDone ends a check.
type NetDone struct {
	OK      bool   `json:"ok"`
	Message string `json:"message"` // the result in one sentence, and what to do where it is bad
}

// NetStop ends the check that was sent with the id.
type NetStop struct {
	Check string `json:"check"`
}

func (s NetStop) validate() error { return checkText("check", s.Check, 64) }
