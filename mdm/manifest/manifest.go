// Package manifest is what a device is told it must be, and what it says of it: the form in
// which resolved settings travel to a device and their states travel back. The gateway
// makes manifests of policies; the agent only ever sees manifests.
package manifest

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"handrail/mdm"
)

// Limits of a manifest and a report.
const (
	MaxSettings = 4096    // of one device
	MaxValue    = 1 << 20 // bytes of JSON of one value
	MaxBytes    = 8 << 20 // of a whole manifest in JSON
	MaxText     = 4096    // bytes of a message
	MaxObserved = 64 << 10
)

// ID names a setting of a device: a key of the catalogue ("screen.lock"), and for those that
// may be there several times an instance after a slash ("wifi.network/office").
type ID string

// MakeID returns the id of key and instance; instance is "" for settings there is one of.
func MakeID(key, instance string) ID {
	if instance == "" {
		return ID(key)
	}
	return ID(key + "/" + instance)
}

// Key returns the catalogue's key.
func (id ID) Key() string {
	key, _, _ := strings.Cut(string(id), "/")
	return key
}

// Instance returns what follows the slash; "" for settings there is one of.
func (id ID) Instance() string {
	_, instance, _ := strings.Cut(string(id), "/")
	return instance
}

// Check says what is wrong with an id: keys are lower-case words of a-z, 0-9 and underscore
// joined by dots, instances 1 to 64 of letters, digits, dot, underscore and hyphen that do
// not begin with a dot, so that both are safe in file names.
func (id ID) Check() error {
	key, instance, several := strings.Cut(string(id), "/")
	if key == "" || len(key) > 64 || strings.ContainsFunc(key, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '_' && r != '.'
	}) {
		return fmt.Errorf("setting %q has no proper key: %w", mdm.Clean(string(id), 80), mdm.ErrInvalid)
	}
	if several && (instance == "" || len(instance) > 64 || instance[0] == '.' || strings.ContainsFunc(instance, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("._-", r)
	})) {
		return fmt.Errorf("setting %q has no proper instance: %w", mdm.Clean(string(id), 80), mdm.ErrInvalid)
	}
	return nil
}

// Source is where a value came from.
type Source struct {
	Policy  string `json:"policy"`  // policy id; "" for a value made of several
	Version int64  `json:"version"` // of that policy
}

// Setting is one thing a device must be.
type Setting struct {
	ID     ID              `json:"id"`
	Value  json.RawMessage `json:"value"` // as the catalogue's schema of the key says; secrets in the clear
	Source Source          `json:"source"`
}

// Manifest is all a device must be. Settings are in the order of their ids.
type Manifest struct {
	Generation int64     `json:"generation"` // grows with every change of this device's result
	Hash       string    `json:"hash"`       // as Sum makes it
	Settings   []Setting `json:"settings"`
}

// Sum returns the hash of settings, whatever their order and the white space of their
// values: lower-case hex SHA-256. Sources are not part of it, so that a new version of a
// policy that changes nothing for a device is no news to it.
func Sum(settings []Setting) (string, error) {
	sorted := slices.Clone(settings)
	slices.SortFunc(sorted, func(a, b Setting) int { return strings.Compare(string(a.ID), string(b.ID)) })
	h := sha256.New()
	var value bytes.Buffer
	for _, s := range sorted {
		value.Reset()
		if err := json.Compact(&value, s.Value); err != nil {
			return "", fmt.Errorf("value of %s: %w", s.ID, err)
		}
		fmt.Fprintf(h, "%d:%s%d:", len(s.ID), s.ID, value.Len())
		h.Write(value.Bytes())
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// Decode reads a manifest and checks its form, its limits and its hash.
func Decode(b []byte) (Manifest, error) {
	var m Manifest
	if len(b) > MaxBytes {
		return m, fmt.Errorf("manifest of %d bytes, at most %d: %w", len(b), MaxBytes, mdm.ErrInvalid)
	}
	if err := json.Unmarshal(b, &m); err != nil {
		return m, fmt.Errorf("manifest: %w", errors.Join(mdm.ErrInvalid, err))
	}
	if len(m.Settings) > MaxSettings {
		return m, fmt.Errorf("%d settings, at most %d: %w", len(m.Settings), MaxSettings, mdm.ErrInvalid)
	}
	for i, s := range m.Settings {
		if err := s.ID.Check(); err != nil {
			return m, err
		}
		if len(s.Value) > MaxValue {
			return m, fmt.Errorf("value of %s is %d bytes, at most %d: %w", s.ID, len(s.Value), MaxValue, mdm.ErrInvalid)
		}
		if i > 0 && m.Settings[i-1].ID >= s.ID {
			return m, fmt.Errorf("setting %s is out of order or there twice: %w", s.ID, mdm.ErrInvalid)
		}
	}
	sum, err := Sum(m.Settings)
	if err != nil {
		return m, errors.Join(mdm.ErrInvalid, err)
	}
	if sum != m.Hash {
		return m, fmt.Errorf("the manifest's hash does not match its settings: %w", mdm.ErrInvalid)
	}
	return m, nil
}
