package session

import (
	"context"
	"time"

	"github.com/pion/transport/v5"

	"handrail/signaling"
	"handrail/signaling/input"
	"handrail/signaling/tool"
)

// Limits. Past them a gateway or a viewer is broken or hostile.
const (
	maxSessions   = 16  // open at once; the gateway asks for fewer
	maxKept       = 256 // those that are over and still remembered included
	maxViewers    = 16  // of one session; more are told busy
	maxPending    = 64  // candidates kept before their offer; later ones are dropped
	maxCandidates = 256 // of one connection
	maxJobs       = 256 // waiting for one connection's worker
	maxTools      = 32  // channels of tools that one viewer has open
)

// Config is what a Host works with. Functions are called from several goroutines, must not
// block unless said otherwise, and must not call back into the Host and wait.
type Config struct {
	// Send hands a message to the link. Required. An error means it will not be sent.
	Send func(signaling.Envelope) error
	// Ask asks the person at the device and blocks until there is an answer or ctx ends.
	// nil: nobody can be asked, which is a refusal.
	Ask func(ctx context.Context, r Request) Answer
	// Show keeps the person at the device informed of a session; called on every change.
	// Hide ends that. nil: nobody to show it to.
	Show func(Banner)
	Hide func(signaling.SessionID)
	// Watch starts a picture for one viewer. It may block for as long as opening the display
	// takes. nil: there is no picture.
	Watch func(Watch) (Watcher, error)
	// Input is the device's pointer and keyboard; nil: input is refused.
	Input Input
	// SetClipboard puts text on the device's clipboard; nil: refused. It may block.
	SetClipboard func(text string) error
	// Tools are what a viewer may open a channel to, by name.
	Tools map[string]Tool
	// Watching says whether any viewer may see the desktop now: cursor, pointer and clipboard
	// are of no use otherwise. It may block. May be nil.
	Watching func(bool)
	// Save keeps what a restarted agent needs to go on with the sessions that live: called
	// after that changed, with all of it, one call at a time. It may block. nil: a restart ends
	// consent.
	Save func([]Saved)
	// Restore is what Save was last given.
	Restore []Saved

	// Allowed is what this device grants at all, whatever anybody asks for. 0 means all.
	Allowed signaling.CapabilitySet
	// NeedBanner holds sessions a person consented to as paused while nobody is told of them
	// (see Host.Presence).
	NeedBanner bool
	// Loopback offers addresses of 127.0.0.0/8 and ::1 too: for a gateway on this machine.
	Loopback bool

	ConsentWindow time.Duration // where the request names none; 0 means 15 min
	AnswerWithin  time.Duration // where the request names none; 0 means 60 s
	ControlGrace  time.Duration // a lost viewer keeps control for this long; 0 means 3 s
	OfferWithin   time.Duration // a viewer that never connects is forgotten after it; 0 means 60 s

	// Net is a virtual network for tests; nil is the machine's.
	Net transport.Net
}

// Request is what a person at the device is asked.
type Request struct {
	Session      signaling.SessionID
	Operator     signaling.Operator
	Organisation string
	Reason       string
	Capabilities signaling.CapabilitySet // asked for
	Already      signaling.CapabilitySet // granted before; not empty when more is asked for
	Within       time.Duration           // until silence is a refusal
}

// Answer is what that person said.
type Answer struct {
	Decision signaling.Decision
	Granted  signaling.CapabilitySet
	By       string // account name at the device
	Message  string
}

// Banner is what the person at the device sees while a session lives.
type Banner struct {
	Session      signaling.SessionID
	Operator     signaling.Operator // who asked for the session
	Organisation string
	Since        time.Time // of the consent
	Granted      signaling.CapabilitySet
	Paused       bool
	Controlled   bool     // somebody holds control
	Viewers      []string // names of those connected now
}

// Tool is something a viewer works with over channels of its own (signaling.ChannelTool).
type Tool struct {
	Need  signaling.Capability // without it nothing of the tool is heard or said
	Serve tool.Serve           // called for each channel, with a context that ends with the channel
	// Over is told of every session that is over, whether the tool was used in it or not: what
	// the tool kept for it ends. It must not block. May be nil.
	Over func(signaling.SessionID)
}

// Input is the device's pointer and keyboard. Apply is only ever called for a viewer that
// holds control; the frame is the callee's until it returns. ReleaseAll lets go of what a
// viewer holds; Leave forgets it: its frames are counted anew when it returns.
type Input interface {
	Apply(viewer signaling.PeerID, f input.Frame) error
	ReleaseAll(viewer signaling.PeerID)
	Leave(viewer signaling.PeerID)
}

// Watch says what a viewer wants to see.
type Watch struct {
	Monitor uint8         // 0 is the whole desktop
	Tier    string        // as in signaling.PictureTier
	Sink    func(Encoded) // gets every picture; copies what it keeps and returns at once
	Ready   func() bool   // false while the viewer cannot take another picture
}

// Watcher is one viewer's picture. None of its methods but Close blocks; after Close has
// returned the sink is not called again.
type Watcher interface {
	SelectMonitor(monitor uint8)
	SetTier(tier string)
	SetNetwork(n Network)
	RequestKeyframe()
	Wake() // Ready may be true again
	Close()
}

// Network is what is known of the way to one viewer. It is reported a few times a second
// while pictures flow.
type Network struct {
	EstimateBps int           // what congestion control (GCC) thinks fits, bit/s
	SentBps     int           // what went out in the last second, bit/s; far below the estimate means that the estimate is not tested
	RTT         time.Duration // 0: not known yet
	Loss        float64       // 0..1, of the last receiver report
	Queued      int           // bytes of pictures waiting
}

// Encoded is one encoded picture.
type Encoded struct {
	Data          []byte // VP8; valid until the sink returns
	Key           bool
	Sharpen       bool      // a late pass over a picture at rest
	Captured      time.Time // when the screen looked like this
	Width, Height int       // pixels
	Capture       time.Duration
	Convert       time.Duration
	Encode        time.Duration
}

// Saved is what outlives the process: consent, and the timeline not yet known to be sent.
type Saved struct {
	Request   signaling.SessionRequest `json:"request"`
	Granted   signaling.CapabilitySet  `json:"granted"`
	By        string                   `json:"by"`
	SinceUS   int64                    `json:"since_us"`   // Unix microseconds, of the consent
	SeenUS    int64                    `json:"seen_us"`    // Unix microseconds: a viewer was connected
	Paused    bool                     `json:"paused"`     // by the person
	Live      bool                     `json:"live"`       // EventLive was reported
	Seq       int64                    `json:"seq"`        // of the newest event
	Unsent    []SavedEvent             `json:"unsent"`     // events that may not have arrived
	ViewerIDs []SavedViewer            `json:"viewer_ids"` // who may come back without being announced again
}

// SavedEvent is one entry of the timeline with its own time.
type SavedEvent struct {
	Event signaling.SessionEvent `json:"event"`
	AtUS  int64                  `json:"at_us"` // Unix microseconds
}

// SavedViewer is a viewer as the gateway announced it.
type SavedViewer struct {
	Viewer signaling.SessionViewer `json:"viewer"`
}

// withDefaults fills what is zero.
func (c Config) withDefaults() Config {
	orElse := func(d *time.Duration, v time.Duration) {
		if *d <= 0 {
			*d = v
		}
	}
	orElse(&c.ConsentWindow, 15*time.Minute)
	orElse(&c.AnswerWithin, time.Minute)
	orElse(&c.ControlGrace, 3*time.Second)
	orElse(&c.OfferWithin, time.Minute)
	if c.Allowed == 0 {
		c.Allowed = signaling.SetOf(signaling.Capabilities()...)
	}
	return c
}
