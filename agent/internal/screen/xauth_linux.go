package screen

import (
	"encoding/binary"
	"os"
	"path/filepath"
)

// xauthority finds the cookie for a display in the user's authority file: the entry of
// this host and display, or one for any. Without one it returns nothing: servers that trust
// local users let us in all the same.
func xauthority(number string) (name, cookie string) {
	path := os.Getenv("XAUTHORITY")
	if path == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			return "", ""
		}
		path = filepath.Join(home, ".Xauthority")
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return "", ""
	}
	host, _ := os.Hostname()
	return findCookie(b, host, number)
}

// findCookie reads an authority file: entries of a 16 bit family and four counted
// strings (address, display number, protocol, data), all big endian.
func findCookie(b []byte, host, number string) (name, cookie string) {
	const familyLocal, familyWild = 256, 65535
	for len(b) >= 2 {
		family := binary.BigEndian.Uint16(b)
		b = b[2:]
		var field [4]string
		for i := range field {
			if len(b) < 2 || len(b)-2 < int(binary.BigEndian.Uint16(b)) {
				return "", ""
			}
			n := int(binary.BigEndian.Uint16(b))
			field[i], b = string(b[2:2+n]), b[2+n:]
		}
		ours := family == familyWild || family == familyLocal && field[0] == host
		if ours && (field[1] == "" || field[1] == number) && field[2] == "MIT-MAGIC-COOKIE-1" {
			return field[2], field[3]
		}
	}
	return "", ""
}
