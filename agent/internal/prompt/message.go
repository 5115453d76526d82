package prompt

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"unicode/utf8"

	"handrail/agent/internal/state"
	"handrail/signaling"
)

// Version of this conversation; both ends come from one package, so it only grows.
const Version = 1

// MaxLine is the most one message may take, in bytes with its line feed.
const MaxLine = 64 << 10

// maxBanners bounds the sessions in one message.
const maxBanners = 64

// ErrMalformed says that a line is not a message of this conversation.
var ErrMalformed = errors.New("malformed message")

// Type names a message.
type Type string

// The messages, as doc.go draws them.
const (
	TypeHello    Type = "hello"
	TypeStatus   Type = "status"
	TypeAsk      Type = "ask"
	TypeShown    Type = "shown"
	TypeAnswer   Type = "answer"
	TypeWithdraw Type = "withdraw"
	TypeBanners  Type = "banners"
	TypeCommand  Type = "command"
	TypeNotice   Type = "notice"
)

// Message is one line. The field named like the type is set.
type Message struct {
	Type    Type          `json:"type"`
	Hello   *Hello        `json:"hello,omitempty"`
	Status  *state.Status `json:"status,omitempty"`
	Ask     *Ask          `json:"ask,omitempty"`
	ID      string        `json:"id,omitempty"` // of the question, for shown and withdraw
	Answer  *Reply        `json:"answer,omitempty"`
	Banners []Banner      `json:"banners,omitempty"` // for banners: all there are
	Command *Command      `json:"command,omitempty"`
	Notice  *Notice       `json:"notice,omitempty"`
}

// Role is what a client is there for.
type Role string

// The roles.
const (
	RoleCompanion Role = "companion"
	RoleStatus    Role = "status"
)

// Hello opens a client's part.
type Hello struct {
	Version int  `json:"version"`
	Role    Role `json:"role"`
}

// Ask is a question on its way to a window.
type Ask struct {
	ID           string                  `json:"id"`
	Session      signaling.SessionID     `json:"session"`
	Operator     signaling.Operator      `json:"operator"`
	Organisation string                  `json:"organisation"`
	Reason       string                  `json:"reason"`
	Capabilities signaling.CapabilitySet `json:"capabilities"` // asked for
	Already      signaling.CapabilitySet `json:"already"`      // granted before; not empty when more is asked for
	WithinMS     int64                   `json:"within_ms"`    // left until silence is a refusal
	OfMS         int64                   `json:"of_ms"`        // from when it was first asked
}

// Notice is words for the person at the device; nothing is asked.
type Notice struct {
	ID           string `json:"id"`
	Title        string `json:"title"`
	Text         string `json:"text"` // may have several lines
	From         string `json:"from"` // name of the operator
	Organisation string `json:"organisation"`
}

// Reply is the person's answer to a question.
type Reply struct {
	ID       string                  `json:"id"`
	Accepted bool                    `json:"accepted"`
	Granted  signaling.CapabilitySet `json:"granted"`
}

// Banner is one session as the person sees it.
type Banner struct {
	Session      signaling.SessionID     `json:"session"`
	Operator     signaling.Operator      `json:"operator"`
	Organisation string                  `json:"organisation"`
	SinceUS      int64                   `json:"since_us"` // Unix microseconds, of the consent
	Granted      signaling.CapabilitySet `json:"granted"`
	Paused       bool                    `json:"paused"`
	Controlled   bool                    `json:"controlled"` // somebody holds control
	Viewers      []string                `json:"viewers"`    // names of those connected now
}

// Kind is what a person wants of a session.
type Kind string

// The kinds of Command.
const (
	Pause  Kind = "pause"
	Resume Kind = "resume"
	Stop   Kind = "stop"
	Drop   Kind = "drop" // take one capability back
)

// Command is a person's word on a session.
type Command struct {
	Session    signaling.SessionID  `json:"session"`
	Kind       Kind                 `json:"kind"`
	Capability signaling.Capability `json:"capability,omitempty"` // of Drop
	By         string               `json:"-"`                    // account name, filled in by the daemon
}

// Encode returns the message as a line.
func Encode(m Message) ([]byte, error) {
	b, err := json.Marshal(m)
	if err != nil {
		return nil, err
	}
	if len(b)+1 > MaxLine {
		return nil, fmt.Errorf("%s is %d bytes, at most %d", m.Type, len(b), MaxLine)
	}
	return append(b, '\n'), nil
}

// Decode reads one line; every field of the result has been checked. It fails with ErrMalformed.
func Decode(line []byte) (Message, error) {
	var m Message
	line = bytes.TrimRight(line, "\n")
	if len(line) >= MaxLine || !utf8.Valid(line) {
		return m, fmt.Errorf("%w: %d bytes", ErrMalformed, len(line))
	}
	if err := json.Unmarshal(line, &m); err != nil {
		return Message{}, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	if err := m.check(); err != nil {
		return Message{}, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	return m, nil
}

func (m Message) check() error {
	switch m.Type {
	case TypeHello:
		if m.Hello == nil || m.Hello.Role != RoleCompanion && m.Hello.Role != RoleStatus {
			return errors.New("hello without a role")
		}
	case TypeStatus:
		if m.Status == nil {
			return errors.New("empty status")
		}
	case TypeAsk:
		if m.Ask == nil || m.Ask.WithinMS < 0 || m.Ask.OfMS < 0 {
			return errors.New("ask without a question or with a negative time")
		}
		return errors.Join(checkID(m.Ask.ID), checkSession(m.Ask.Session))
	case TypeShown:
		if checkID(m.ID) != nil {
			return checkNotice(m.ID)
		}
	case TypeWithdraw:
		return checkID(m.ID)
	case TypeNotice:
		if m.Notice == nil {
			return errors.New("empty notice")
		}
		return checkNotice(m.Notice.ID)
	case TypeAnswer:
		if m.Answer == nil {
			return errors.New("empty answer")
		}
		return checkID(m.Answer.ID)
	case TypeBanners:
		if len(m.Banners) > maxBanners {
			return fmt.Errorf("%d banners, at most %d", len(m.Banners), maxBanners)
		}
		for _, b := range m.Banners {
			if err := checkSession(b.Session); err != nil {
				return err
			}
		}
	case TypeCommand:
		return m.Command.check()
	default:
		return errors.New("unknown type")
	}
	return nil
}

func (c *Command) check() error {
	if c == nil {
		return errors.New("empty command")
	}
	switch c.Kind {
	case Pause, Resume, Stop:
	case Drop:
		if signaling.SetOf(c.Capability) == 0 {
			return errors.New("drop of an unknown capability")
		}
	default:
		return errors.New("unknown command")
	}
	return checkSession(c.Session)
}

func checkID(id string) error { return signaling.CheckID("ask", id) }

func checkNotice(id string) error { return signaling.CheckID("ntc", id) }

func checkSession(id signaling.SessionID) error { return signaling.CheckID("ses", string(id)) }
