package signaling

import (
	"reflect"
	"slices"
	"strings"
)

// Type names a message. Names are words with dots, stable for ever.
type Type string

// The message types of the sockets; channel.go has those of the data channels.
const (
	TypeHello     Type = "hello"
	TypeChallenge Type = "challenge"
	TypeProof     Type = "proof"
	TypeWelcome   Type = "welcome"
	TypeRefused   Type = "refused"
	TypeNudge     Type = "nudge"
	TypeRevoked   Type = "revoked"
	TypeDrain     Type = "drain"
	TypeError     Type = "error"

	TypeInventoryAsk  Type = "inventory.ask"
	TypeInventoryTurn Type = "inventory.turn"

	TypeSessionRequest Type = "session.request"
	TypeSessionConsent Type = "session.consent"
	TypeSessionViewer  Type = "session.viewer"
	TypeSessionEvent   Type = "session.event"
	TypeSessionEnd     Type = "session.end"
	TypeSessionAsk     Type = "session.ask"

	TypePeerOffer     Type = "peer.offer"
	TypePeerAnswer    Type = "peer.answer"
	TypePeerCandidate Type = "peer.candidate"
	TypePeerClose     Type = "peer.close"

	TypeTicket        Type = "ticket"
	TypeReady         Type = "ready"
	TypeSubscribe     Type = "subscribe"
	TypeChanged       Type = "changed"
	TypeSessionJoin   Type = "session.join"
	TypeSessionJoined Type = "session.joined"
	TypeSessionState  Type = "session.state"
)

// Rule says, for each message a browser may send, which permission its operator needs.
// The gateway refuses a browser message without one; a test walks the table.
type Rule string

// The rules. RuleTicket is for the first message only, RuleSignedIn for what every
// operator may do, RuleSession for what belongs to a session the operator joined (the
// join itself is checked against role and group).
const (
	RuleNone     Rule = ""          // not a browser's message
	RuleTicket   Rule = "ticket"    // proves who is there
	RuleSignedIn Rule = "signed_in" // any operator; what it shows is filtered by role
	RuleJoin     Rule = "join"      // session.view on the device's group
	RuleSession  Rule = "session"   // a peer this very socket was given
)

type spec struct {
	from Side
	body reflect.Type
	rule Rule
	need Capability // of a viewer's message: what that viewer must hold
}

func channel[T any](from Side, need Capability) spec {
	return spec{from: from, body: reflect.TypeFor[T](), need: need}
}

func of[T any](from Side, rule Rule) spec {
	return spec{from: from, body: reflect.TypeFor[T](), rule: rule}
}

// specs is the table of every message; it is never written to.
var specs = map[Type]spec{
	TypeHello:     of[Hello](FromAgent, RuleNone),
	TypeChallenge: of[Challenge](FromGateway, RuleNone),
	TypeProof:     of[Proof](FromAgent, RuleNone),
	TypeWelcome:   of[Welcome](FromGateway, RuleNone),
	TypeRefused:   of[Refused](FromGateway, RuleNone),
	TypeNudge:     of[Nudge](FromGateway, RuleNone),
	TypeRevoked:   of[Revoked](FromGateway, RuleNone),
	TypeDrain:     of[Drain](FromGateway, RuleNone),
	TypeError:     of[Error](FromGateway|FromAgent, RuleNone),

	TypeInventoryAsk:  of[InventoryAsk](FromAgent, RuleNone),
	TypeInventoryTurn: of[InventoryTurn](FromGateway, RuleNone),

	TypeSessionRequest: of[SessionRequest](FromGateway, RuleNone),
	TypeSessionConsent: of[SessionConsent](FromAgent, RuleNone),
	TypeSessionViewer:  of[SessionViewer](FromGateway, RuleNone),
	TypeSessionEvent:   of[SessionEvent](FromAgent, RuleNone),
	TypeSessionEnd:     of[SessionEnd](FromGateway, RuleNone),
	TypeSessionAsk:     of[SessionAsk](FromGateway, RuleNone),

	TypePeerOffer:     of[PeerOffer](FromBrowser|FromGateway, RuleSession),
	TypePeerAnswer:    of[PeerAnswer](FromAgent|FromGateway, RuleNone),
	TypePeerCandidate: of[PeerCandidate](FromBrowser|FromAgent|FromGateway, RuleSession),
	TypePeerClose:     of[PeerClose](FromBrowser|FromAgent|FromGateway, RuleSession),

	TypeTicket:        of[Ticket](FromBrowser, RuleTicket),
	TypeReady:         of[Ready](FromGateway, RuleNone),
	TypeSubscribe:     of[Subscribe](FromBrowser, RuleSignedIn),
	TypeChanged:       of[Changed](FromGateway, RuleNone),
	TypeSessionJoin:   of[SessionJoin](FromBrowser, RuleJoin),
	TypeSessionJoined: of[SessionJoined](FromGateway, RuleNone),
	TypeSessionState:  of[SessionState](FromGateway, RuleNone),

	TypeControlAsk:    channel[ControlAsk](FromViewer, Control),
	TypeControlGive:   channel[ControlGive](FromViewer, Control),
	TypeControlDrop:   channel[ControlDrop](FromViewer, View),
	TypeControlAsked:  channel[ControlAsked](FromHelper, ""),
	TypeMonitorSelect: channel[MonitorSelect](FromViewer, View),
	TypeMonitors:      channel[Monitors](FromHelper, ""),
	TypeStatus:        channel[Status](FromHelper, ""),
	TypePicture:       channel[Picture](FromHelper, ""),
	TypePictureTier:   channel[PictureTier](FromViewer, View),
	TypeSay:           channel[Say](FromHelper, ""),
	TypePing:          channel[Ping](FromViewer|FromHelper, View),
	TypePong:          channel[Pong](FromViewer|FromHelper, View),

	TypeVitalsWatch: channel[VitalsWatch](FromViewer, Diagnostics),
	TypeVitalsParts: channel[VitalsParts](FromHelper, ""),
	TypeVitals:      channel[Vitals](FromHelper, ""),
	TypeVitalsKeep:  channel[VitalsKeep](FromViewer, Diagnostics),

	TypeTerminalList:   channel[TerminalList](FromViewer, Terminal),
	TypeTerminalListed: channel[TerminalListed](FromHelper, ""),
	TypeTerminalOpen:   channel[TerminalOpen](FromViewer, Terminal),
	TypeTerminalAttach: channel[TerminalAttach](FromViewer, Terminal),
	TypeTerminalOpened: channel[TerminalOpened](FromHelper, ""),
	TypeTerminalReplay: channel[TerminalReplay](FromHelper, ""),
	TypeTerminalReady:  channel[TerminalReady](FromHelper, ""),
	TypeTerminalResize: channel[TerminalResize](FromViewer, Terminal),
	TypeTerminalSize:   channel[TerminalSize](FromHelper, ""),
	TypeTerminalClose:  channel[TerminalClose](FromViewer, Terminal),
	TypeTerminalExited: channel[TerminalExited](FromHelper, ""),

	TypeProcessWatch:   channel[ProcessWatch](FromViewer, Diagnostics),
	TypeProcessRows:    channel[ProcessRows](FromHelper, ""),
	TypeProcessChange:  channel[ProcessChange](FromHelper, ""),
	TypeProcessLook:    channel[ProcessLook](FromViewer, Diagnostics),
	TypeProcessDetails: channel[ProcessDetails](FromHelper, ""),
	TypeProcessAct:     channel[ProcessAct](FromViewer, Diagnostics),
	TypeProcessDone:    channel[ProcessDone](FromHelper, ""),

	TypeServiceWatch:   channel[ServiceWatch](FromViewer, Diagnostics),
	TypeServiceRows:    channel[ServiceRows](FromHelper, ""),
	TypeServiceLook:    channel[ServiceLook](FromViewer, Diagnostics),
	TypeServiceDetails: channel[ServiceDetails](FromHelper, ""),
	TypeServiceAct:     channel[ServiceAct](FromViewer, Diagnostics),
	TypeServiceDone:    channel[ServiceDone](FromHelper, ""),

	TypeJournalOpen:   channel[JournalOpen](FromViewer, Diagnostics),
	TypeJournalSource: channel[JournalSource](FromHelper, ""),
	TypeJournalLines:  channel[JournalLines](FromHelper, ""),
	TypeJournalMore:   channel[JournalMore](FromViewer, Diagnostics),
	TypeJournalAck:    channel[JournalAck](FromViewer, Diagnostics),

	TypeSpaceAsk:     channel[SpaceAsk](FromViewer, Diagnostics),
	TypeSpaceVolumes: channel[SpaceVolumes](FromHelper, ""),
	TypeSpaceWalk:    channel[SpaceWalk](FromViewer, Diagnostics),
	TypeSpaceTree:    channel[SpaceTree](FromHelper, ""),
	TypeSpaceStop:    channel[SpaceStop](FromViewer, Diagnostics),

	TypeNetAsk:        channel[NetAsk](FromViewer, Diagnostics),
	TypeNetState:      channel[NetState](FromHelper, ""),
	TypeNetSocketsAsk: channel[NetSocketsAsk](FromViewer, Diagnostics),
	TypeNetSockets:    channel[NetSockets](FromHelper, ""),
	TypeNetRun:        channel[NetRun](FromViewer, Diagnostics),
	TypeNetLine:       channel[NetLine](FromHelper, ""),
	TypeNetDone:       channel[NetDone](FromHelper, ""),
	TypeNetStop:       channel[NetStop](FromViewer, Diagnostics),

	TypeMachineAsk:   channel[MachineAsk](FromViewer, Diagnostics),
	TypeMachineTable: channel[MachineTable](FromHelper, ""),

	TypeFindingsAsk: channel[FindingsAsk](FromViewer, Diagnostics),
	TypeFindings:    channel[Findings](FromHelper, ""),

	TypeFilesOpen:     channel[FilesOpen](FromViewer, Files),
	TypeFilesList:     channel[FilesList](FromViewer, Files),
	TypeFilesMore:     channel[FilesMore](FromViewer, Files),
	TypeFilesMake:     channel[FilesMake](FromViewer, Files),
	TypeFilesMove:     channel[FilesMove](FromViewer, Files),
	TypeFilesDelete:   channel[FilesDelete](FromViewer, Files),
	TypeFilesSet:      channel[FilesSet](FromViewer, Files),
	TypeFilesGet:      channel[FilesGet](FromViewer, Files),
	TypeFilesPut:      channel[FilesPut](FromViewer, Files),
	TypeFilesEnd:      channel[FilesEnd](FromViewer, Files),
	TypeFilesCancel:   channel[FilesCancel](FromViewer, Files),
	TypeFilesHello:    channel[FilesHello](FromHelper, ""),
	TypeFilesPage:     channel[FilesPage](FromHelper, ""),
	TypeFilesMeta:     channel[FilesMeta](FromHelper, ""),
	TypeFilesReady:    channel[FilesReady](FromHelper, ""),
	TypeFilesProgress: channel[FilesProgress](FromHelper, ""),
	TypeFilesDone:     channel[FilesDone](FromHelper, ""),
	TypeFilesFailed:   channel[FilesFailed](FromHelper, ""),
	TypeFilesAck:      channel[FilesAck](FromViewer|FromHelper, Files),
}

// Spec describes one message type, for generators and for tests that walk them all.
type Spec struct {
	Type Type
	From Side
	Rule Rule         // RuleNone where no browser may send it
	Need Capability   // "" where no viewer may send it
	Body reflect.Type // always a struct
}

// Types returns every message type, sorted by name.
func Types() []Spec {
	out := make([]Spec, 0, len(specs))
	for t, s := range specs {
		out = append(out, Spec{Type: t, From: s.from, Rule: s.rule, Need: s.need, Body: s.body})
	}
	slices.SortFunc(out, func(a, b Spec) int { return strings.Compare(string(a.Type), string(b.Type)) })
	return out
}

// RuleOf returns the rule of a message a browser sends; RuleNone refuses it.
func RuleOf(t Type) Rule { return specs[t].rule }

// NeedOf returns the capability a viewer must hold to send a message of this type over a
// data channel; "" refuses it.
func NeedOf(t Type) Capability { return specs[t].need }
