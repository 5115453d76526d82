package state

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"handrail/signaling"
)

// Names of the files in the directory.
const (
	IdentityFile   = "identity.key"
	EnrollmentFile = "enrollment.json"
	StatusFile     = "status.json"
	SessionsFile   = "sessions.json"
	nextIdentity   = "identity.next.key"
	rotation       = "identity.rotation.key"
	lockFile       = "lock"
)

// maxFile bounds what is read back, in bytes: more was not written by us.
const maxFile = 4 << 20

// Errors of the directory.
var (
	// ErrNotEnrolled says that the directory holds no enrollment record.
	ErrNotEnrolled = errors.New("this device is not enrolled")
	// ErrInUse says that another agent runs on the directory.
	ErrInUse = errors.New("another agent already runs on this state directory")
)

// Dir is an opened state directory.
type Dir struct{ path string }

// Open opens the directory, making it (mode 0700) where it is missing. It refuses one that
// others may enter: a key in it would not be a secret.
func Open(path string) (*Dir, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(path, 0o700); err != nil {
		if errors.Is(err, fs.ErrPermission) {
			return nil, fmt.Errorf("state directory %s cannot be made: permission denied; run as root, or choose another with --state", path)
		}
		return nil, fmt.Errorf("state directory: %w", err)
	}
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("state directory: %w", err)
	}
	if runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("state directory %s is open to other users (mode %04o); run: chmod 700 %s", path, info.Mode().Perm(), path)
	}
	return &Dir{path: path}, nil
}

// Path returns the directory's absolute path, or that of a file in it.
func (d *Dir) Path(name ...string) string {
	return filepath.Join(append([]string{d.path}, name...)...)
}

// Lock takes the directory for this process until release is called or the process ends.
// It fails with ErrInUse while another process has it.
func (d *Dir) Lock() (release func(), err error) {
	f, err := lock(d.Path(lockFile))
	if err != nil {
		return nil, err
	}
	return func() { f.Close() }, nil
}

// Enrollment is what the device learnt when it enrolled, and what moved since.
type Enrollment struct {
	Gateway      string             `json:"gateway"` // https://host[:port]
	Device       signaling.DeviceID `json:"device_id"`
	DeviceName   string             `json:"device_name"`
	Organisation string             `json:"organisation"`
	Pins         []signaling.Key    `json:"pins"` // gateway keys: current, then next where known
	CAPEM        string             `json:"ca_pem,omitempty"`
	// FingerprintOf names what the fingerprint was taken from, so that later starts take it
	// from the same even when more can be read then.
	FingerprintOf string `json:"fingerprint_of"`
	EnrolledUS    int64  `json:"enrolled_us"`     // Unix microseconds, this device's clock
	GatewayTimeUS int64  `json:"gateway_time_us"` // the newest gateway clock seen: time is never before it
}

// Enrollment reads the record; ErrNotEnrolled where there is none.
func (d *Dir) Enrollment() (Enrollment, error) {
	var e Enrollment
	err := d.ReadJSON(EnrollmentFile, &e)
	if errors.Is(err, fs.ErrNotExist) {
		return e, ErrNotEnrolled
	}
	if err == nil && (e.Gateway == "" || e.Device == "" || len(e.Pins) == 0) {
		err = fmt.Errorf("%s is incomplete; enroll again with --force", d.Path(EnrollmentFile))
	}
	return e, err
}

// SaveEnrollment replaces the record.
func (d *Dir) SaveEnrollment(e Enrollment) error { return d.WriteJSON(EnrollmentFile, e) }

// Identity returns the device's key, made on first use. It never leaves the directory.
func (d *Dir) Identity() (ed25519.PrivateKey, error) { return d.identity(IdentityFile) }

// NextIdentity returns another key, made on first use, for an enrollment that is to replace
// the present one. It counts once AdoptNextIdentity is called.
func (d *Dir) NextIdentity() (ed25519.PrivateKey, error) { return d.identity(nextIdentity) }

// AdoptNextIdentity puts the key of NextIdentity in the place of Identity's.
func (d *Dir) AdoptNextIdentity() error { return os.Rename(d.Path(nextIdentity), d.Path(IdentityFile)) }

// RotationKey returns a key that is to replace Identity's within the same enrollment, made
// on first use and on disk when it is returned. It counts once AdoptRotationKey is called.
func (d *Dir) RotationKey() (ed25519.PrivateKey, error) {
	key, err := d.identity(rotation)
	if err != nil {
		return nil, err
	}
	return key, d.sync()
}

// HasRotationKey reports whether a change of keys was begun and not ended: the gateway may
// know the old key or the new one.
func (d *Dir) HasRotationKey() bool {
	_, err := os.Stat(d.Path(rotation))
	return err == nil
}

// AdoptRotationKey puts the key of RotationKey in the place of Identity's.
func (d *Dir) AdoptRotationKey() error {
	if err := os.Rename(d.Path(rotation), d.Path(IdentityFile)); err != nil {
		return err
	}
	return d.sync()
}

// DropRotationKey gives the change of keys up.
func (d *Dir) DropRotationKey() error { return d.Remove(rotation) }

// sync makes what was renamed survive the power going.
func (d *Dir) sync() error {
	if runtime.GOOS == "windows" {
		return nil // a directory cannot be synced there, and need not be
	}
	f, err := os.Open(d.path)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

func (d *Dir) identity(name string) (ed25519.PrivateKey, error) {
	b, err := d.read(name)
	if errors.Is(err, fs.ErrNotExist) {
		return d.newIdentity(name)
	}
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(b)
	if block == nil {
		return nil, fmt.Errorf("%s is not a PEM key; remove it and enroll again with --force", d.Path(name))
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", d.Path(name), err)
	}
	ed, ok := key.(ed25519.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("%s holds a %T, want an Ed25519 key", d.Path(name), key)
	}
	return ed, nil
}

func (d *Dir) newIdentity(name string) (ed25519.PrivateKey, error) {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	return key, d.write(name, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

// Status is the last known state of the link, for a look while no agent runs.
type Status struct {
	Link      string         `json:"link"`     // a phase of signaling/client, or "off" once the agent ended
	SinceUS   int64          `json:"since_us"` // of that phase
	OnlineUS  int64          `json:"online_us,omitempty"`
	Problem   string         `json:"problem,omitempty"` // why it is not online, in words
	Code      signaling.Code `json:"code,omitempty"`    // of a refusal
	SkewMS    int64          `json:"skew_ms,omitempty"` // gateway's clock minus the device's
	Display   string         `json:"display,omitempty"` // why there is no picture, in words; "" when there may be one
	Companion string         `json:"companion,omitempty"`
	Sessions  int            `json:"sessions"` // that live
	PID       int            `json:"pid"`
	Version   string         `json:"version"`
	WrittenUS int64          `json:"written_us"`
}

// SaveStatus replaces the last known state.
func (d *Dir) SaveStatus(s Status) error {
	s.WrittenUS = time.Now().UnixMicro()
	return d.WriteJSON(StatusFile, s)
}

// Status reads the last known state; fs.ErrNotExist where no agent ever ran.
func (d *Dir) Status() (Status, error) {
	var s Status
	return s, d.ReadJSON(StatusFile, &s)
}

// ReadJSON decodes a file of the directory into v.
func (d *Dir) ReadJSON(name string, v any) error {
	b, err := d.read(name)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(b, v); err != nil {
		return fmt.Errorf("%s: %w", d.Path(name), err)
	}
	return nil
}

// WriteJSON replaces a file of the directory.
func (d *Dir) WriteJSON(name string, v any) error {
	b, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	return d.write(name, append(b, '\n'))
}

// Remove deletes a file of the directory; a missing one is no error.
func (d *Dir) Remove(name string) error {
	if err := os.Remove(d.Path(name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

func (d *Dir) read(name string) ([]byte, error) {
	f, err := os.Open(d.Path(name))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err == nil && len(b) > maxFile {
		err = fmt.Errorf("%s is over %d bytes", f.Name(), maxFile)
	}
	return b, err
}

// write puts b in a new file, on disk, and only then in the place of the old one.
func (d *Dir) write(name string, b []byte) (err error) {
	f, err := os.CreateTemp(d.path, "."+name+".*") // mode 0600
	if err != nil {
		return fmt.Errorf("write %s: %w", d.Path(name), err)
	}
	defer func() {
		if err != nil {
			os.Remove(f.Name())
			err = fmt.Errorf("write %s: %w", d.Path(name), err)
		}
	}()
	if _, err = f.Write(b); err == nil {
		err = f.Sync()
	}
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return err
	}
	return os.Rename(f.Name(), d.Path(name))
}
