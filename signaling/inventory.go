package signaling

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"
)

// Limits of an InventoryUpload in bytes. It is sent with Content-Encoding gzip, or plain.
const (
	MaxInventory         = 8 << 20   // as it is sent
	MaxInventoryUnpacked = 128 << 20 // of JSON; more is refused whole
	maxInventoryHeld     = 16 << 20  // of sections that are kept; what comes after is refused
)

// MaxSections is how many sections an InventoryUpload may name.
const MaxSections = 112

// Section is one part of a device's inventory. Hash is the lower-case hex SHA-256 of Data
// as sent, so that both ends can tell what the other has. Data is left out of what the gateway
// holds already, and of an offer: software that the gateway knows from another device need not be
// sent.
type Section struct {
	Hash string          `json:"hash"`
	Data json.RawMessage `json:"data,omitempty"`
}

// InventoryUpload carries the sections that changed; with Full set, all there are, and
// sections not named are gone.
type InventoryUpload struct {
	Full     bool               `json:"full"`
	Sections map[string]Section `json:"sections"`
}

// InventoryAnswer names what the gateway now holds, so that the agent resends what is missing.
type InventoryAnswer struct {
	Have    map[string]string `json:"have"`              // section name to hash
	Refused map[string]string `json:"refused,omitempty"` // section name to why it was not taken; sending it again unchanged is of no use
}

// InventoryAsk asks when this device may begin to upload. A whole fleet may have something to
// upload at once, and a message over the link that is there costs the gateway a small part of a new
// connection. An upload that was not asked for is taken or refused as the gateway can bear.
type InventoryAsk struct{}

// InventoryTurn answers InventoryAsk.
type InventoryTurn struct {
	AfterMS int64 `json:"after_ms"` // from now; 0 or less: now
}

// InventoryTurnHolds is for how long after its moment a turn may be used, for as many uploads as
// the news takes; later the device asks again.
const InventoryTurnHolds = 30 * time.Second

// ErrInventoryTooLarge says that an upload was longer than MaxInventoryUnpacked.
var ErrInventoryTooLarge = errors.New("inventory is too large")

// ReadInventory reads an upload as it comes in, section by section. A section of more than
// maxSection bytes, or one for which there is no room left, is passed over and named
// in refused with the reason; the others are kept. What it holds in memory at any time is at most
// some 16 MiB, however long the upload is.
func ReadInventory(r io.Reader, maxSection int) (u InventoryUpload, refused map[string]string, err error) {
	return readInventory(r, maxSection, MaxInventoryUnpacked)
}

func readInventory(r io.Reader, maxSection, maxUnpacked int) (u InventoryUpload, refused map[string]string, err error) {
	s := &skimmer{in: bufio.NewReaderSize(r, 32<<10), left: maxUnpacked}
	u.Sections, refused = map[string]Section{}, map[string]string{}
	room := maxInventoryHeld
	err = s.object(func(key string) error {
		switch key {
		case "full":
			b, _, err := s.value(16)
			if err == nil {
				err = json.Unmarshal(b, &u.Full)
			}
			return err
		case "sections":
			return s.object(func(name string) error {
				if _, twice := u.Sections[name]; twice || refused[name] != "" {
					return fmt.Errorf("section %q comes twice", trim(name, 64))
				}
				if err := checkText("section name", name, 64); err != nil {
					return err
				}
				if len(u.Sections)+len(refused) == MaxSections {
					return fmt.Errorf("more than %d sections", MaxSections)
				}
				section, why, err := s.section(min(maxSection, room))
				if err != nil {
					return err
				}
				if why != "" {
					refused[name] = why
					return nil
				}
				room -= len(section.Data)
				u.Sections[name] = section
				return nil
			})
		}
		_, _, err := s.value(0)
		return err
	})
	if err == nil {
		err = s.end()
	}
	return u, refused, err
}

// section reads {"hash": …, "data": …}; why says that its data is longer than limit.
func (s *skimmer) section(limit int) (out Section, why string, err error) {
	err = s.object(func(key string) error {
		switch key {
		case "hash":
			b, _, err := s.value(256)
			if err == nil {
				out.Hash, err = unquoted(b)
			}
			if err != nil {
				return err
			}
			return checkText("hash", out.Hash, 64)
		case "data":
			b, size, err := s.value(limit)
			if size > limit {
				why = fmt.Sprintf("section is %d bytes, at most %d are taken", size, limit)
				b = nil
			}
			out.Data = b
			return err
		}
		_, _, err := s.value(0)
		return err
	})
	return out, why, err
}

// skimmer walks over JSON without holding it: it knows where values begin and end, and
// leaves whether they are well formed to whoever decodes them.
type skimmer struct {
	in   *bufio.Reader
	left int // bytes that may still be read
}

var errNotInventory = errors.New("not an inventory upload")

func (s *skimmer) byte() (byte, error) {
	c, err := s.in.ReadByte()
	if errors.Is(err, io.EOF) {
		return 0, fmt.Errorf("%w: it breaks off", errNotInventory)
	}
	if s.left--; err == nil && s.left < 0 {
		return 0, ErrInventoryTooLarge
	}
	return c, err
}

// next returns the next byte that is no white space.
func (s *skimmer) next() (byte, error) {
	for {
		c, err := s.byte()
		if err != nil || c != ' ' && c != '\n' && c != '\t' && c != '\r' {
			return c, err
		}
	}
}

func (s *skimmer) back() {
	s.in.UnreadByte() //nolint:errcheck,gosec // after a read it always succeeds
	s.left++
}

// object calls each with every key; each must consume the value.
func (s *skimmer) object(each func(key string) error) error {
	c, err := s.next()
	if err != nil {
		return err
	}
	if c != '{' {
		return fmt.Errorf("%w: want an object", errNotInventory)
	}
	for first := true; ; first = false {
		c, err := s.next()
		if err == nil && c == '}' && first {
			return nil
		}
		if err == nil && !first {
			if c == '}' {
				return nil
			}
			if c != ',' {
				return fmt.Errorf("%w: want a comma", errNotInventory)
			}
			c, err = s.next()
		}
		if err != nil {
			return err
		}
		if c != '"' {
			return fmt.Errorf("%w: want a key", errNotInventory)
		}
		s.back()
		raw, size, err := s.value(256)
		if err != nil {
			return err
		}
		key, err := unquoted(raw)
		if size > 256 || err != nil {
			return fmt.Errorf("%w: a key is no text", errNotInventory)
		}
		if c, err = s.next(); err != nil {
			return err
		}
		if c != ':' {
			return fmt.Errorf("%w: want a colon", errNotInventory)
		}
		if err := each(key); err != nil {
			return err
		}
	}
}

// value walks over one value and returns its size, and the first keep bytes of it.
func (s *skimmer) value(keep int) (kept []byte, size int, err error) {
	if _, err := s.next(); err != nil {
		return nil, 0, err
	}
	s.back()
	var w walk
	for !w.done {
		if _, err := s.in.Peek(1); errors.Is(err, io.EOF) {
			return nil, 0, fmt.Errorf("%w: it breaks off", errNotInventory)
		} else if err != nil {
			return nil, 0, err
		}
		chunk, _ := s.in.Peek(s.in.Buffered()) // what is there is always given
		n := w.over(chunk)
		if n < 0 {
			return nil, 0, fmt.Errorf("%w: want a value", errNotInventory)
		}
		if room := keep - len(kept); room > 0 {
			kept = append(kept, chunk[:min(n, room)]...)
		}
		size += n
		if s.left -= n; s.left < 0 {
			return nil, 0, ErrInventoryTooLarge
		}
		s.in.Discard(n) //nolint:errcheck,gosec // it is there
	}
	return kept, size, nil
}

// unquoted reads a JSON string. Names and hashes are plain, and there are a hundred in each upload.
func unquoted(b []byte) (text string, err error) {
	n := len(b) - 1
	plain := n > 0 && b[0] == '"' && b[n] == '"'
	for i := 1; plain && i < n; i++ {
		plain = b[i] >= ' ' && b[i] <= '~' && b[i] != '"' && b[i] != '\\'
	}
	if plain {
		return string(b[1:n]), nil
	}
	err = json.Unmarshal(b, &text)
	return text, err
}

// walk is how far into a value one is.
type walk struct {
	depth                 int
	text, escaped, scalar bool
	done                  bool
}

// over walks on and returns how many bytes of b belong to the value; less than 0 where no value
// is.
func (w *walk) over(b []byte) int {
	for i := 0; i < len(b); i++ {
		for w.text && !w.escaped && i < len(b)-1 && b[i] != '"' && b[i] != '\\' {
			i++ // most of it is text
		}
		c := b[i]
		switch {
		case w.escaped:
			w.escaped = false
		case w.text && c == '\\':
			w.escaped = true
		case w.text && c == '"':
			w.text = false
			w.done = w.depth == 0
		case w.text:
		case w.scalar && (c == ',' || c == '}' || c == ']' || c == ' ' || c == '\n' || c == '\t' || c == '\r'):
			w.done = true
			return i
		case w.scalar:
		case c == '"':
			w.text = true
		case c == '{' || c == '[':
			w.depth++
		case c == '}' || c == ']':
			w.depth--
			w.done = w.depth == 0
		case w.depth == 0 && (c == ',' || c == ':'):
			return -1
		case w.depth == 0:
			w.scalar = true
		}
		if w.depth < 0 {
			return -1
		}
		if w.done {
			return i + 1
		}
	}
	return len(b)
}

// end checks that nothing follows, and reads it to the end.
func (s *skimmer) end() error {
	for {
		c, err := s.in.ReadByte()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if s.left--; s.left < 0 {
			return ErrInventoryTooLarge
		}
		if c != ' ' && c != '\n' && c != '\t' && c != '\r' {
			return fmt.Errorf("%w: more follows", errNotInventory)
		}
	}
}
