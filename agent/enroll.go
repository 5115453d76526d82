package main

import (
	"crypto/ed25519"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"handrail/agent/internal/diag"
	"handrail/agent/internal/link"
	"handrail/agent/internal/state"
	"handrail/signaling"
)

type enrollCmd struct {
	Gateway     string `required:"" help:"Address of the gateway: https://host[:port]." env:"HANDRAIL_GATEWAY"`
	Token       string `help:"Enrollment token from the console." env:"HANDRAIL_ENROLLMENT_TOKEN" xor:"token"`
	TokenFile   string `help:"File that holds the token, so that it shows in no process list." xor:"token" type:"existingfile"`
	CASHA256    string `name:"ca-sha256" help:"SHA-256 of the gateway's own certificate authority, as the console shows it."`
	State       string `help:"State directory." default:"${state}" env:"HANDRAIL_STATE"`
	Name        string `help:"Name of the device; the host's name by default."`
	Force       bool   `help:"Replace an enrollment that is there."`
	Fingerprint string `hidden:"" help:"Instead of the machine's own; for tests with several devices on one machine."`
}

// Run enrolls the device and keeps what it is given.
func (c *enrollCmd) Run(t *terminal) error {
	token, err := c.token()
	if err != nil {
		return err
	}
	dir, err := state.Open(c.State)
	if err != nil {
		return err
	}
	old, err := dir.Enrollment()
	replaces := !errors.Is(err, state.ErrNotEnrolled)
	if replaces && !c.Force {
		if err != nil {
			return err
		}
		return fmt.Errorf("this device is already enrolled, as %s (%s) at %s; replace that with --force", old.DeviceName, old.Device, old.Gateway)
	}
	if c.Name == "" {
		c.Name = old.DeviceName
	}
	key, err := c.key(dir, replaces)
	if err != nil {
		return err
	}
	e, err := c.enroll(t, key, token)
	if err != nil {
		return fmt.Errorf("not enrolled: %s", link.Explain(err))
	}
	if replaces {
		if err := dir.AdoptNextIdentity(); err != nil {
			return err
		}
	}
	if err := dir.SaveEnrollment(e); err != nil {
		return err
	}
	fmt.Fprintf(t.stdout, "Enrolled as %s (%s) with %s at %s.\nStart it with: handrail-agent run --state %s\n",
		e.DeviceName, e.Device, e.Organisation, e.Gateway, dir.Path())
	return nil
}

func (c *enrollCmd) token() (string, error) {
	if c.TokenFile != "" {
		b, err := os.ReadFile(c.TokenFile)
		return strings.TrimSpace(string(b)), err
	}
	if c.Token == "" {
		return "", errors.New("no enrollment token: make one in the console and give it with --token or --token-file")
	}
	return c.Token, nil
}

// key returns the identity to enroll: a new one in the place of one that is enrolled.
func (c *enrollCmd) key(dir *state.Dir, replaces bool) (ed25519.PrivateKey, error) {
	if replaces {
		return dir.NextIdentity()
	}
	return dir.Identity()
}

func (c *enrollCmd) enroll(t *terminal, key ed25519.PrivateKey, token string) (state.Enrollment, error) {
	var e state.Enrollment
	sum, from, err := diag.Fingerprint("")
	if c.Fingerprint != "" {
		sum, from, err = c.Fingerprint, "flag", nil
	}
	if err != nil {
		return e, err
	}
	host, err := os.Hostname()
	if err != nil {
		return e, err
	}
	gateway := strings.TrimSuffix(c.Gateway, "/")
	a, err := link.Enroll(t.ctx, link.Enrollment{
		Gateway: gateway, Token: token, CASHA256: c.CASHA256, Key: key, Fingerprint: sum, Hostname: host, DeviceName: c.Name, Version: versionText(),
	})
	if err != nil {
		return e, err
	}
	e = state.Enrollment{
		Gateway: gateway, Device: a.DeviceID, DeviceName: a.DeviceName, Organisation: a.Organisation, CAPEM: a.CAPEM,
		Pins: []signaling.Key{a.GatewayKey}, FingerprintOf: from, EnrolledUS: time.Now().UnixMicro(),
	}
	if len(a.NextKey) > 0 {
		e.Pins = append(e.Pins, a.NextKey)
	}
	return e, nil
}
