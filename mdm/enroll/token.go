package enroll

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"encoding/hex"
	"fmt"
	"strings"

	"handrail/mdm"
)

// A token's text is "het_" and 32 characters: 160 random bits in Crockford's base32, which
// has no letters that are mistaken for digits when read out.
const (
	tokenPrefix = "het_"
	tokenChars  = 32
)

const alphabet = "0123456789abcdefghjkmnpqrstvwxyz"

func newText() string {
	var b [tokenChars * 5 / 8]byte
	rand.Read(b[:]) // never fails; see crypto/rand
	return tokenPrefix + base32.NewEncoding(alphabet).EncodeToString(b[:])
}

// ParseToken returns the hash a token is kept under (SHA-256, hex). It forgives white space
// around it and upper case, which mail programs and people add; anything else that is not a
// token's form is mdm.ErrInvalid.
func ParseToken(text string) (hash string, err error) {
	if len(text) > 256 {
		return "", fmt.Errorf("token is %d bytes: %w", len(text), mdm.ErrInvalid)
	}
	text = strings.ToLower(strings.TrimSpace(text))
	chars, ok := strings.CutPrefix(text, tokenPrefix)
	if !ok || len(chars) != tokenChars {
		return "", fmt.Errorf("token does not have the form %s and %d characters: %w", tokenPrefix, tokenChars, mdm.ErrInvalid)
	}
	for i := range len(chars) {
		if strings.IndexByte(alphabet, chars[i]) < 0 {
			return "", fmt.Errorf("token holds a character tokens do not have: %w", mdm.ErrInvalid)
		}
	}
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:]), nil
}
