package x11

import (
	"encoding/binary"
	"os"
	"path/filepath"
)

// cookieName is the only authorization protocol in use since 1990s servers.
const cookieName = "MIT-MAGIC-COOKIE-1"

// Families of addresses in an .Xauthority file (Xauth.h).
const (
	familyLocal = 256
	familyWild  = 65535
)

// cookieFor returns the cookie for display number in the user's .Xauthority, or nil: a
// server without access control needs none, and one with it says so itself.
func cookieFor(number string) []byte {
	name := os.Getenv("XAUTHORITY")
	if name == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			return nil
		}
		name = filepath.Join(home, ".Xauthority")
	}
	b, err := os.ReadFile(name) //nolint:gosec // the user names the file
	if err != nil {
		return nil
	}
	host, _ := os.Hostname() // an unknown host matches no entry
	return findCookie(b, host, number)
}

// findCookie searches the entries of an .Xauthority file: 2B family, then address, display
// number, protocol and data, each with a 2B length, big endian. An entry of this host
// is better than another's, as a copied file holds both.
func findCookie(b []byte, host, number string) []byte {
	var second []byte
	for len(b) >= 2 {
		family := binary.BigEndian.Uint16(b)
		b = b[2:]
		var parts [4][]byte
		for i := range parts {
			if len(b) < 2 || len(b)-2 < int(binary.BigEndian.Uint16(b)) {
				return second
			}
			n := int(binary.BigEndian.Uint16(b))
			parts[i], b = b[2:2+n], b[2+n:]
		}
		if string(parts[2]) != cookieName || len(parts[1]) != 0 && string(parts[1]) != number {
			continue
		}
		if family == familyWild || family == familyLocal && string(parts[0]) == host {
			return parts[3]
		}
		if second == nil {
			second = parts[3]
		}
	}
	return second
}
