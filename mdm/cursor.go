package mdm

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
)

// EncodeCursor makes the opaque text that says where the next page of a list begins: the
// sort keys and the id of the last entry of this one.
func EncodeCursor(keys ...string) string {
	b, err := json.Marshal(keys)
	if err != nil {
		panic(err) // strings always encode
	}
	return base64.RawURLEncoding.EncodeToString(b)
}

// DecodeCursor reads what EncodeCursor made of n keys; anything else is ErrInvalid.
func DecodeCursor(cursor string, n int) ([]string, error) {
	if len(cursor) > 4096 {
		return nil, fmt.Errorf("cursor is %d bytes: %w", len(cursor), ErrInvalid)
	}
	b, err := base64.RawURLEncoding.DecodeString(cursor)
	if err != nil {
		return nil, fmt.Errorf("cursor: %w", ErrInvalid)
	}
	var keys []string
	if err := json.Unmarshal(b, &keys); err != nil || len(keys) != n {
		return nil, fmt.Errorf("cursor: %w", ErrInvalid)
	}
	for _, k := range keys {
		for i := range len(k) {
			if k[i] == 0 { // PostgreSQL takes no NUL in text
				return nil, fmt.Errorf("cursor: %w", ErrInvalid)
			}
		}
	}
	return keys, nil
}
