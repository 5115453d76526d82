// Package mdm holds the few nouns all device management shares: the ids of devices and
// groups, and the errors every store speaks. It imports only the standard library, and
// never signaling: a session is between peers; that a peer is a device is the
// gateway's knowledge.
package mdm
