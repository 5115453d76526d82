// Package identity is who the gateway is to its devices: an Ed25519 key they pin when they
// enroll, and the next one, announced ahead so that the pin can move on. All nodes share
// both; they are kept sealed in the database.
package identity

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"

	"handrail/gateway/internal/secret"
	"handrail/mdm"
	"handrail/signaling"
)

// setting is the name under which the sealed keys are kept, and label what they are sealed for.
const (
	setting = "identity"
	label   = "gateway identity"
)

// Store keeps settings by name.
type Store interface {
	// Setting returns a value; mdm.ErrNotFound.
	Setting(ctx context.Context, name string) (string, error)
	// SettingOr returns the value, storing the given one first when there is none. Of two
	// that do so at once both get the same.
	SettingOr(ctx context.Context, name, value string) (string, error)
	// PutSetting stores a value.
	PutSetting(ctx context.Context, name, value string) error
}

// Identity holds the keys. It is immutable and safe for concurrent use.
type Identity struct {
	current, next ed25519.PrivateKey
	nextSignature []byte
}

// seeds is what is sealed.
type seeds struct {
	Current []byte `json:"current"`
	Next    []byte `json:"next"`
}

// Load returns the gateway's identity, making it on the first start of the first node. It
// fails when the secret key is not the one the identity was sealed with: then the key file
// was lost, and every device would refuse this gateway.
func Load(ctx context.Context, store Store, key secret.Key) (*Identity, error) {
	sealed, err := store.Setting(ctx, setting)
	if errors.Is(err, mdm.ErrNotFound) {
		fresh, serr := seal(key, seeds{newSeed(), newSeed()})
		if serr != nil {
			return nil, serr
		}
		sealed, err = store.SettingOr(ctx, setting, fresh)
	}
	if err != nil {
		return nil, fmt.Errorf("gateway identity: %w", err)
	}
	s, err := open(key, sealed)
	if err != nil {
		return nil, err
	}
	return fromSeeds(s), nil
}

// Rotate makes the next key the current one and a fresh key the next. Devices that have
// been connected since the last rotation follow; one that missed two must enroll again.
// Running nodes keep the old identity until they start anew.
func Rotate(ctx context.Context, store Store, key secret.Key) (*Identity, error) {
	sealed, err := store.Setting(ctx, setting)
	if err != nil {
		return nil, fmt.Errorf("gateway identity: %w", err)
	}
	s, err := open(key, sealed)
	if err != nil {
		return nil, err
	}
	s = seeds{Current: s.Next, Next: newSeed()}
	if sealed, err = seal(key, s); err != nil {
		return nil, err
	}
	if err := store.PutSetting(ctx, setting, sealed); err != nil {
		return nil, fmt.Errorf("gateway identity: %w", err)
	}
	return fromSeeds(s), nil
}

func newSeed() []byte {
	b := make([]byte, ed25519.SeedSize)
	rand.Read(b) // never fails; see crypto/rand
	return b
}

func seal(key secret.Key, s seeds) (string, error) {
	b, err := json.Marshal(s)
	if err != nil {
		return "", err
	}
	return key.Seal(label, b), nil
}

func open(key secret.Key, sealed string) (seeds, error) {
	var s seeds
	b, err := key.Open(label, sealed)
	if err == nil {
		err = json.Unmarshal(b, &s)
	}
	if err == nil && (len(s.Current) != ed25519.SeedSize || len(s.Next) != ed25519.SeedSize) {
		err = errors.New("keys of a wrong size")
	}
	if err != nil {
		return s, fmt.Errorf("gateway identity: %w", err)
	}
	return s, nil
}

func fromSeeds(s seeds) *Identity {
	i := &Identity{current: ed25519.NewKeyFromSeed(s.Current), next: ed25519.NewKeyFromSeed(s.Next)}
	i.nextSignature = i.Sign(signaling.NextKeyTranscript(i.Key(), i.NextKey()))
	return i
}

// Key returns the current public key. The caller must not change it.
func (i *Identity) Key() signaling.Key { return publicOf(i.current) }

// NextKey returns the public key that will replace Key. The caller must not change it.
func (i *Identity) NextKey() signaling.Key { return publicOf(i.next) }

// NextSignature is Key's signature over signaling.NextKeyTranscript.
func (i *Identity) NextSignature() signaling.Signature { return i.nextSignature }

// Sign signs with the current key.
func (i *Identity) Sign(message []byte) signaling.Signature { return ed25519.Sign(i.current, message) }

func publicOf(k ed25519.PrivateKey) signaling.Key { return signaling.Key(k[ed25519.SeedSize:]) }
