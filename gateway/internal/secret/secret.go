// Package secret holds the gateway's one secret key, kept in a file outside the database.
// It seals what the database must not hold readable, and keys the MACs of tokens. Several
// gateway nodes share the same file's content. It encrypts; it decides nothing about who
// may read what.
package secret

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
)

// keySize is the length of the key file in bytes.
const keySize = 32

// ErrSealBroken says that a sealed text was made with another key, for another label, or altered.
var ErrSealBroken = errors.New("sealed value cannot be opened: wrong secret key, or altered")

// Key is the secret. The zero value is not usable; see Load and New.
type Key struct{ bytes [keySize]byte }

// New returns a fresh random key that is kept nowhere; for tests.
func New() Key {
	var k Key
	rand.Read(k.bytes[:]) // never fails; see crypto/rand
	return k
}

// Load reads the key file, making it (mode 0600, 32 random bytes) when it is not there. It
// refuses a file of another size, or one that others may read.
func Load(path string) (Key, error) {
	k, err := read(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return k, err
	}
	if err := create(path); err != nil {
		return Key{}, fmt.Errorf("make secret key: %w", err)
	}
	return read(path)
}

// create writes a fresh key under a temporary name and links it into place, so that a
// crash leaves no half a key and of two starting gateways one wins.
func create(path string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".secret-*") // mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	k := New()
	_, err = f.Write(k.bytes[:])
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Link(f.Name(), path); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return nil
}

func read(path string) (Key, error) {
	var k Key
	info, err := os.Stat(path)
	if err != nil {
		return k, fmt.Errorf("secret key: %w", err)
	}
	// Windows has no such modes: there the data directory's access list is what counts.
	if runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0 {
		return k, fmt.Errorf("secret key %s may be read by others (mode %04o): chmod 600 it", path, info.Mode().Perm())
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return k, fmt.Errorf("secret key: %w", err)
	}
	if len(b) != keySize {
		return k, fmt.Errorf("secret key %s is %d bytes, want %d", path, len(b), keySize)
	}
	copy(k.bytes[:], b)
	return k, nil
}

// Derive returns 32 bytes for one purpose; different labels give unrelated keys.
func (k Key) Derive(label string) []byte {
	b, err := hkdf.Key(sha256.New, k.bytes[:], nil, "handrail "+label, keySize)
	if err != nil {
		panic(err) // only for a length over 255 hashes
	}
	return b
}

// Seal encrypts plain with AES-256-GCM for one label ("identity"); Open needs the same.
func (k Key) Seal(label string, plain []byte) string {
	gcm := k.gcm(label)
	nonce := make([]byte, gcm.NonceSize())
	rand.Read(nonce) // never fails
	return "v1." + base64.RawURLEncoding.EncodeToString(gcm.Seal(nonce, nonce, plain, []byte(label)))
}

// Open decrypts what Seal made. It returns ErrSealBroken for anything else.
func (k Key) Open(label, sealed string) ([]byte, error) {
	gcm := k.gcm(label)
	if len(sealed) < 3 || sealed[:3] != "v1." {
		return nil, ErrSealBroken
	}
	b, err := base64.RawURLEncoding.DecodeString(sealed[3:])
	if err != nil || len(b) < gcm.NonceSize() {
		return nil, ErrSealBroken
	}
	plain, err := gcm.Open(nil, b[:gcm.NonceSize()], b[gcm.NonceSize():], []byte(label))
	if err != nil {
		return nil, ErrSealBroken
	}
	return plain, nil
}

func (k Key) gcm(label string) cipher.AEAD {
	block, err := aes.NewCipher(k.Derive("seal " + label))
	if err != nil {
		panic(err) // the key length is right by construction
	}
	gcm, err := cipher.NewGCM(block)
	if err != nil {
		panic(err)
	}
	return gcm
}
