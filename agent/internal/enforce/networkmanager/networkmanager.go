// Package networkmanager makes a device know Wi-Fi networks and WireGuard tunnels, as
// profiles of NetworkManager that only root can read. nmcli judges each profile before it
// is written, without a running NetworkManager: not only by what it refuses, but also by what
// it drops.
package networkmanager

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"path"
	"strings"

	"handrail/agent/internal/enforce"
	"handrail/mdm/manifest"
)

// Keys of the catalogue that are enforced here.
const (
	KeyWifi      = "wifi.network"
	KeyWireGuard = "vpn.wireguard"
)

const (
	profiles   = "/etc/NetworkManager/system-connections"
	certs      = "/etc/NetworkManager/handrail-certificates"
	maxProfile = 1 << 20 // bytes of a profile
	pkg        = "network-manager"
)

// Enforcer enforces Wi-Fi networks and WireGuard tunnels.
type Enforcer struct {
	// keys are private keys made here and not yet on disk, by setting.
	keys map[manifest.ID]string
}

// New returns the enforcer.
func New() *Enforcer { return &Enforcer{keys: map[manifest.ID]string{}} }

// Keys are wifi.network and vpn.wireguard.
func (e *Enforcer) Keys() []string { return []string{KeyWifi, KeyWireGuard} }

// Last says that these settings can cut the network and are applied after the others.
func (e *Enforcer) Last() {}

// Plan writes one profile, and a network's certificates beside it.
func (e *Enforcer) Plan(_ context.Context, sys *enforce.System, s manifest.Setting) (enforce.Plan, error) {
	if _, err := sys.Tool("NetworkManager", pkg); err != nil || !sys.Exists("/etc/NetworkManager") {
		return enforce.Plan{}, enforce.NotApplicable("NetworkManager is not on the device")
	}
	p, err := e.profile(sys, s)
	if err != nil {
		return enforce.Plan{}, err
	}
	content, err := p.file.encode(enforce.Marker(s.ID))
	if err != nil {
		return enforce.Plan{}, err
	}
	plan := enforce.Plan{Confirm: true, Files: append(p.beside, enforce.File{Path: profilePath(s.ID), Content: content, Mode: 0o600})}
	plan.Check = func(ctx context.Context, staged enforce.Staged) error {
		_, err := judge(ctx, sys, p.file, content)
		return err
	}
	return plan, nil
}

// Apply has a running NetworkManager read the profile; one that does not run reads it when
// it starts.
func (e *Enforcer) Apply(ctx context.Context, sys *enforce.System, s manifest.Setting) error {
	if !sys.Live() {
		return nil
	}
	nmcli, err := sys.Tool("nmcli", pkg)
	if err != nil {
		return err
	}
	if !running(ctx, sys, nmcli) {
		return nil // Observe says so
	}
	before, _ := sys.Run(ctx, enforce.Program{Path: nmcli, Args: []string{"-g", "GENERAL.STATE", "connection", "show", "uuid", uuidOf(s.ID)}})
	r, err := sys.Run(ctx, enforce.Program{Path: nmcli, Args: []string{"connection", "load", profilePath(s.ID)}})
	if err == nil && strings.Contains(r.Err, "Could not load") { // it says so with status 0
		err = errors.New("NetworkManager does not take the profile: " + r.Words())
	}
	if err == nil && s.ID.Key() == KeyWireGuard && strings.TrimSpace(before.Out) == "activated" {
		_, err = sys.Run(ctx, enforce.Program{Path: nmcli, Args: []string{"--wait", "20", "connection", "up", "uuid", uuidOf(s.ID)}})
	}
	return err
}

// Observe reads the profile back through nmcli: as the running NetworkManager has it, else
// as it would read it.
func (e *Enforcer) Observe(ctx context.Context, sys *enforce.System, s manifest.Setting) (any, error) {
	p, err := e.profile(sys, s)
	if err != nil {
		return nil, err
	}
	b, err := sys.ReadFile(profilePath(s.ID), maxProfile)
	if err != nil {
		return nil, fmt.Errorf("the profile cannot be read: %w", err)
	}
	read, err := judge(ctx, sys, p.file, b)
	if err != nil {
		return nil, err
	}
	seen := describe(s.ID.Key(), read)
	if !sys.Live() {
		return seen, nil
	}
	nmcli, err := sys.Tool("nmcli", pkg)
	if err != nil {
		return seen, err
	}
	if !running(ctx, sys, nmcli) {
		return seen, errors.New("NetworkManager does not run: the profile is in place and counts once it does (systemctl start NetworkManager)")
	}
	r, err := sys.Run(ctx, enforce.Program{Path: nmcli, Args: []string{"-g", "connection.uuid,GENERAL.STATE", "connection", "show", "uuid", uuidOf(s.ID)}})
	if err != nil {
		return seen, fmt.Errorf("NetworkManager has not loaded the profile: %w", err)
	}
	_, state, _ := strings.Cut(strings.TrimSpace(r.Out), "\n")
	seen.Active = strings.TrimSpace(state) == "activated"
	return seen, nil
}

// Remove has a running NetworkManager forget the profile, or read the one that was there
// before.
func (e *Enforcer) Remove(ctx context.Context, sys *enforce.System, r enforce.Removal) error {
	delete(e.keys, r.Setting.ID)
	if !sys.Live() {
		return nil
	}
	nmcli, err := sys.Tool("nmcli", pkg)
	if err != nil || !running(ctx, sys, nmcli) {
		return nil //nolint:nilerr // nothing has loaded it
	}
	_, err = sys.Run(ctx, enforce.Program{Path: nmcli, Args: []string{"connection", "reload"}})
	return err
}

// running reports whether NetworkManager runs.
func running(ctx context.Context, sys *enforce.System, nmcli string) bool {
	r, err := sys.Run(ctx, enforce.Program{Path: nmcli, Args: []string{"-g", "RUNNING", "general"}})
	return err == nil && strings.TrimSpace(r.Out) == "running"
}

// profile is a setting as files.
type profile struct {
	file   *keyfile
	beside []enforce.File
}

func (e *Enforcer) profile(sys *enforce.System, s manifest.Setting) (profile, error) {
	switch s.ID.Key() {
	case KeyWifi:
		v, err := enforce.Decode[Wifi](s)
		if err != nil {
			return profile{}, err
		}
		return v.profile(s.ID)
	case KeyWireGuard:
		v, err := enforce.Decode[WireGuard](s)
		if err != nil {
			return profile{}, err
		}
		if v.PrivateKey == "" {
			if v.PrivateKey, err = e.ownKey(sys, s.ID); err != nil {
				return profile{}, err
			}
		}
		return v.profile(s.ID)
	}
	return profile{}, fmt.Errorf("%s is not a setting of NetworkManager", s.ID)
}

// judge has nmcli read the profile and returns it as nmcli read it. It must be all that
// want says.
func judge(ctx context.Context, sys *enforce.System, want *keyfile, content []byte) (*keyfile, error) {
	nmcli, err := sys.Tool("nmcli", pkg)
	if err != nil {
		return nil, err
	}
	id, _ := want.get("connection", "id")
	r, err := sys.Run(ctx, enforce.Program{Path: nmcli, Args: []string{"--offline", "connection", "modify", "connection.id", id}, Stdin: content})
	if err != nil {
		if strings.Contains(r.Err, "'--offline'") {
			return nil, errors.New("this NetworkManager cannot check a profile: version 1.40 or later is needed")
		}
		return nil, fmt.Errorf("NetworkManager does not accept the profile: %s", want.hide(err.Error()))
	}
	read, err := parse(r.Out)
	if err != nil {
		return nil, fmt.Errorf("the profile as nmcli reads it: %w", err)
	}
	if lost := want.missing(read); len(lost) > 0 {
		return nil, fmt.Errorf("NetworkManager does not understand, or reads otherwise, %s", strings.Join(lost, ", "))
	}
	return read, nil
}

// secretKeys are the keys whose values are never shown.
var secretKeys = map[string]bool{"psk": true, "password": true, "private-key": true, "preshared-key": true}

// hide takes the profile's secrets out of a program's words.
func (k *keyfile) hide(words string) string {
	for _, g := range k.groups {
		for _, p := range g.keys {
			if secretKeys[p.key] && p.value != "" && !strings.HasPrefix(p.value, "/") {
				words = strings.ReplaceAll(words, p.value, "••••")
				words = strings.ReplaceAll(words, escape(p.value), "••••")
			}
		}
	}
	return words
}

// profilePath is where a setting's profile is.
func profilePath(id manifest.ID) string {
	kind := "wifi"
	if id.Key() == KeyWireGuard {
		kind = "wireguard"
	}
	return path.Join(profiles, "handrail-"+kind+"-"+id.Instance()+".nmconnection")
}

// uuidOf is the name of a setting's profile for NetworkManager: the same on each device and
// after each change.
func uuidOf(id manifest.ID) string {
	h := sha256.Sum256([]byte("handrail " + id))
	h[6] = h[6]&0x0f | 0x80 // version 8: of our own making
	h[8] = h[8]&0x3f | 0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", h[0:4], h[4:6], h[6:8], h[8:10], h[10:16])
}
