package signaling

import "fmt"

// Message types of the data channel "control", as text frames. Binary frames on the same
// channel are signaling/input's, so that a grant and the keys after it stay in order.
const (
	TypeControlAsk    Type = "control.ask"
	TypeControlGive   Type = "control.give"
	TypeControlDrop   Type = "control.drop"
	TypeControlAsked  Type = "control.asked"
	TypeMonitorSelect Type = "monitor.select"
	TypeMonitors      Type = "monitors"
	TypeStatus        Type = "status"
	TypePicture       Type = "picture"
	TypePictureTier   Type = "picture.tier"
	TypeSay           Type = "say"
	TypePing          Type = "ping"
	TypePong          Type = "pong"
)

// Labels of the data channels. The viewer opens them, in this order, all negotiated in band.
const (
	ChannelControl   = "control"   // reliable, ordered
	ChannelPointer   = "pointer"   // unordered, maxRetransmits 0
	ChannelClipboard = "clipboard" // reliable, ordered
)

// ChannelTool begins the label of a tool's channel, as "tool/terminal". They are reliable and
// ordered; a viewer opens and closes them as it likes, several of one tool too. What is said
// over them is the tool's.
const ChannelTool = "tool/"

// ControlAsk asks for control. It is given at once when nobody holds it, otherwise the
// holder is asked (control.asked) and Status tells the outcome.
type ControlAsk struct{}

// ControlGive hands control to another viewer. Only the holder may.
type ControlGive struct {
	Peer PeerID `json:"peer"`
}

func (g ControlGive) validate() error { return g.Peer.validate() }

// ControlDrop gives control up, or withdraws a request for it.
type ControlDrop struct{}

// ControlAsked tells the holder that somebody would like control.
type ControlAsked struct {
	Peer PeerID `json:"peer"`
	Name string `json:"name"`
}

// MonitorSelect chooses what this viewer sees; each viewer chooses for itself, and no
// capability but view is needed. 0 is the whole desktop.
type MonitorSelect struct {
	Monitor uint8 `json:"monitor"`
}

// Monitor is one output of the device. Positions are in the desktop's pixels and may be
// negative.
type Monitor struct {
	ID      uint8  `json:"id"` // 1 and up; stable while plugged in
	Name    string `json:"name"`
	X       int32  `json:"x"`
	Y       int32  `json:"y"`
	Width   uint16 `json:"width"`
	Height  uint16 `json:"height"`
	Primary bool   `json:"primary"`
}

// Monitors lists the outputs; sent when a channel opens and on every change.
type Monitors struct {
	Monitors []Monitor `json:"monitors"`
	Selected uint8     `json:"selected"` // what this viewer is being shown
}

func (m Monitors) validate() error {
	if len(m.Monitors) > 64 {
		return fmt.Errorf("%d monitors", len(m.Monitors))
	}
	for _, o := range m.Monitors {
		if err := checkText("name", o.Name, 256); err != nil {
			return err
		}
	}
	return nil
}

// Viewer is one viewer as the others see it.
type Viewer struct {
	Peer PeerID `json:"peer"`
	Name string `json:"name"`
}

// Status is everything a viewer needs to know of its rights; sent whenever it changes.
type Status struct {
	You     PeerID        `json:"you"`
	Granted CapabilitySet `json:"granted"` // what the session holds
	May     CapabilitySet `json:"may"`     // what this viewer may do now: granted, its own, not paused
	Paused  bool          `json:"paused"`  // by the person at the device
	Control PeerID        `json:"control"` // who holds control; "" is nobody
	Viewers []Viewer      `json:"viewers"`
}

func (s Status) validate() error {
	if len(s.Viewers) > 64 {
		return fmt.Errorf("%d viewers", len(s.Viewers))
	}
	return nil
}

// PictureState says whether there is a picture, and what to do when there is none.
type PictureState string

// The picture's states.
const (
	PictureOK        PictureState = "ok"
	PicturePaused    PictureState = "paused"     // by the person at the device
	PictureNoDisplay PictureState = "no_display" // no X server, or it went away; comes back by itself
	PictureFailed    PictureState = "failed"     // the encoder or the capture failed; Message says how
)

// Picture tells the viewer about its picture when that changes.
type Picture struct {
	State   PictureState `json:"state"`
	Codec   string       `json:"codec"`  // "vp8"
	Width   uint16       `json:"width"`  // of the picture sent, in pixels
	Height  uint16       `json:"height"` //
	Message string       `json:"message,omitempty"`
}

// PictureTier asks for a quality: "auto" (default), "sharp" (text first), "fast" (motion first),
// "saver" (few bytes).
type PictureTier struct {
	Tier string `json:"tier"`
}

func (t PictureTier) validate() error {
	switch t.Tier {
	case "auto", "sharp", "fast", "saver":
		return nil
	}
	return fmt.Errorf("tier %q", trim(t.Tier, 32))
}

// Say is a sentence for the operator: a refusal, a warning. Code says which.
type Say struct {
	Code    Code   `json:"code"`
	Message string `json:"message"`
	What    string `json:"what,omitempty"` // the message or frame type it is about
}

// Ping is answered at once by Pong with the same T; either end may send it.
type Ping struct {
	T float64 `json:"t"` // the sender's clock, milliseconds; meaningless to the other end
}

// Pong answers Ping.
type Pong struct {
	T float64 `json:"t"`
}
