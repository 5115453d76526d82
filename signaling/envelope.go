package signaling

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"unicode/utf8"
)

// Version is the protocol version this code speaks. An envelope with a higher
// version is refused with CodeVersion; fields added within a version are optional.
//
//	1  2026-11  first version
const Version = 1

// Size limits of one encoded message, in bytes.
const (
	MaxMessage = 256 << 10 // agent and browser sockets; an SDP with many candidates is under 20 KiB
	MaxChannel = 60 << 10  // one data channel message; SCTP peers advertise 64 KiB or more
	MaxSDP     = 64 << 10  // inside peer.offer and peer.answer
	MaxText    = 4 << 10   // any human-written field: reasons, names, explanations
)

// Envelope carries one message: {"v":1,"type":"peer.offer","id":"7","re":"3","body":{…}}.
type Envelope struct {
	V    int    `json:"v"`
	Type Type   `json:"type"`
	ID   string `json:"id,omitempty"` // set by a sender that wants an answer; at most 64 bytes
	Re   string `json:"re,omitempty"` // the ID of the message this one answers
	Body any    `json:"body,omitempty"`
}

// wireEnvelope is Envelope with the body still encoded.
type wireEnvelope struct {
	V    int             `json:"v"`
	Type Type            `json:"type"`
	ID   string          `json:"id"`
	Re   string          `json:"re"`
	Body json.RawMessage `json:"body"`
}

// Side says who sends a message, so that a browser cannot speak an agent's part.
type Side uint8

// The sides. A message type may be allowed from several.
const (
	FromAgent   Side = 1 << iota // device to gateway
	FromGateway                  // gateway to device or browser
	FromBrowser                  // browser to gateway
	FromViewer                   // browser to agent, over a data channel
	FromHelper                   // agent to browser, over a data channel
)

// Errors of Decode. Callers answer with the Code that CodeOf gives.
var (
	ErrTooLarge    = errors.New("message over the size limit")
	ErrMalformed   = errors.New("message is not a valid envelope")
	ErrVersion     = errors.New("message speaks a newer protocol version")
	ErrUnknownType = errors.New("message type is unknown")
	ErrWrongSide   = errors.New("message type is not allowed from this side")
)

// Encode returns the envelope's JSON. It fails when the body does not match the type
// or the result is over MaxMessage, so that a peer never has to refuse what we sent.
func Encode(e Envelope) ([]byte, error) {
	spec, ok := specs[e.Type]
	if !ok {
		return nil, fmt.Errorf("encode %q: %w", e.Type, ErrUnknownType)
	}
	if e.Body != nil && reflect.Indirect(reflect.ValueOf(e.Body)).Type() != spec.body {
		return nil, fmt.Errorf("encode %s: body is %T, want %s", e.Type, e.Body, spec.body)
	}
	e.V = Version
	b, err := json.Marshal(e)
	if err != nil {
		return nil, fmt.Errorf("encode %s: %w", e.Type, err)
	}
	if len(b) > MaxMessage {
		return nil, fmt.Errorf("encode %s: %d bytes: %w", e.Type, len(b), ErrTooLarge)
	}
	return b, nil
}

// MustEncode is Encode for messages built from constants and checked values; it
// panics where Encode fails, which only a programming error can cause.
func MustEncode(e Envelope) []byte {
	b, err := Encode(e)
	if err != nil {
		panic(err)
	}
	return b
}

// Decode reads one message sent by the given side. Body holds the message by value, as the
// type registered for it (see Types), already checked by its validate method: every
// string in it is valid UTF-8 within its limit. On error the returned envelope has
// ID filled where it could be read, so that the refusal can name it.
func Decode(frame []byte, from Side) (Envelope, error) {
	if len(frame) > MaxMessage {
		return Envelope{}, ErrTooLarge
	}
	if !utf8.Valid(frame) {
		return Envelope{}, fmt.Errorf("not UTF-8: %w", ErrMalformed)
	}
	var w wireEnvelope
	if err := json.Unmarshal(frame, &w); err != nil {
		return Envelope{}, fmt.Errorf("%w: %s", ErrMalformed, trim(err.Error(), 200))
	}
	e := Envelope{V: w.V, Type: w.Type}
	if len(w.ID) > 64 || len(w.Re) > 64 {
		return e, fmt.Errorf("id over 64 bytes: %w", ErrMalformed)
	}
	e.ID, e.Re = w.ID, w.Re
	if w.V > Version {
		return e, fmt.Errorf("version %d: %w", w.V, ErrVersion)
	}
	if w.V < 1 {
		return e, fmt.Errorf("version %d: %w", w.V, ErrMalformed)
	}
	spec, ok := specs[w.Type]
	if !ok {
		return e, fmt.Errorf("%q: %w", trim(string(w.Type), 64), ErrUnknownType)
	}
	if spec.from&from == 0 {
		return e, fmt.Errorf("%s: %w", w.Type, ErrWrongSide)
	}
	p := reflect.New(spec.body)
	if len(w.Body) > 0 && !bytes.Equal(w.Body, []byte("null")) {
		if err := json.Unmarshal(w.Body, p.Interface()); err != nil {
			return e, fmt.Errorf("%s: %w: %s", w.Type, ErrMalformed, trim(err.Error(), 200))
		}
	}
	e.Body = p.Elem().Interface()
	if v, ok := e.Body.(interface{ validate() error }); ok {
		if err := v.validate(); err != nil {
			return e, fmt.Errorf("%s: %w: %w", w.Type, ErrMalformed, err)
		}
	}
	return e, nil
}

func trim(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}
