package diag

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
)

// What a fingerprint is taken from, best first.
const (
	FromFirmware = "firmware" // the machine's UUID and serial numbers
	FromNetwork  = "network"  // addresses burnt into its network cards
	FromSystem   = "system"   // the operating system's machine id
)

// ErrNoFingerprint says that nothing tells this machine from another.
var ErrNoFingerprint = errors.New("nothing here tells this machine from another: no firmware UUID, no network card, no machine id")

// Fingerprint returns a hash over what makes this machine this machine, and what it was
// taken from. of is "" for the best there is; otherwise it names what an earlier
// fingerprint was taken from, and the same is taken or an error says why not.
func Fingerprint(of string) (sum, from string, err error) { return fingerprint(traits(), of) }

// trait is one source of a fingerprint: parts is empty where there is none.
type trait struct {
	from  string
	parts []string
	err   error // it is there, but may not be read
}

func fingerprint(ts []trait, of string) (sum, from string, err error) {
	for _, t := range ts {
		if of != "" && t.from != of {
			continue
		}
		if len(t.parts) == 0 {
			if of != "" {
				return "", of, fmt.Errorf("the %s identity of this machine, as enrolled, cannot be read: %w", of, orElse(t.err, ErrNoFingerprint))
			}
			continue
		}
		h := sha256.Sum256([]byte("handrail fingerprint v1\n" + t.from + "\n" + strings.Join(t.parts, "\n")))
		return hex.EncodeToString(h[:]), t.from, nil
	}
	return "", "", ErrNoFingerprint
}

func orElse(a, b error) error {
	if a != nil {
		return a
	}
	return b
}
