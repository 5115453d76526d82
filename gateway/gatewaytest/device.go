package gatewaytest

import (
	"crypto/ed25519"
	"crypto/rand"
	"time"

	"handrail/mdm"
	"handrail/mdm/enroll"
	"handrail/signaling"
)

// Device is an enrolled device without an agent: what one needs to be it.
type Device struct {
	ID          mdm.DeviceID
	Key         ed25519.PrivateKey
	Fingerprint string
	Pins        []signaling.Key // the gateway's identity: current, next
}

// Enroll enrolls a device straight in the registry, without HTTP.
func (g *Gateway) Enroll(name string, in mdm.GroupID) Device {
	g.t.Helper()
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		g.t.Fatal(err)
	}
	d := Device{Key: private, Fingerprint: mdm.NewID("hw")}
	enrolled, _, err := g.Rooms.Enroll.Redeem(g.t.Context(), g.Token(in, 1, time.Hour), enroll.Machine{
		Name: name, Hostname: name, Fingerprint: d.Fingerprint, PublicKey: public, OS: "linux", Arch: "amd64", AgentVersion: "test",
	}, time.Now())
	if err != nil {
		g.t.Fatal(err)
	}
	d.ID = enrolled.Device
	id := g.srv.Identity()
	d.Pins = []signaling.Key{id.Key(), id.NextKey()}
	return d
}
