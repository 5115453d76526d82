package mdm

import (
	"crypto/rand"
	"encoding/base32"
	"strings"
)

// DeviceID names an enrolled device: "dev_" and 26 characters.
type DeviceID string

// GroupID names a node in the tree of device groups: "grp_" and 26 characters.
type GroupID string

// LabelID names a label that devices carry: "lbl_" and 26 characters.
type LabelID string

// RootGroup is the group every other group descends from; it always exists and cannot be deleted.
const RootGroup GroupID = "grp_root"

var idEncoding = base32.NewEncoding("0123456789abcdefghjkmnpqrstvwxyz").WithPadding(base32.NoPadding)

// NewID returns prefix + "_" + 26 characters of fresh randomness (128 bits, Crockford base32).
func NewID(prefix string) string {
	var b [16]byte
	rand.Read(b[:]) // never fails; see crypto/rand
	return prefix + "_" + idEncoding.EncodeToString(b[:])
}

// NewDeviceID returns a fresh device id.
func NewDeviceID() DeviceID { return DeviceID(NewID("dev")) }

// NewGroupID returns a fresh group id.
func NewGroupID() GroupID { return GroupID(NewID("grp")) }

// IsID reports whether s has the form prefix + "_" + 1 to 40 characters of a-z and 0-9.
func IsID(prefix, s string) bool {
	rest, ok := strings.CutPrefix(s, prefix+"_")
	if !ok || rest == "" || len(rest) > 40 {
		return false
	}
	for i := range len(rest) {
		c := rest[i]
		if (c < '0' || c > '9') && (c < 'a' || c > 'z') {
			return false
		}
	}
	return true
}
