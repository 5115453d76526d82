package signaling

import (
	"fmt"
	"unicode"
	"unicode/utf8"
)

// checkText refuses text over limit bytes, not UTF-8, or with control characters other
// than line feed and tab, which would let a sender forge log lines or terminal escapes.
func checkText(field, s string, limit int) error {
	if len(s) > limit {
		return fmt.Errorf("%s is %d bytes, at most %d", field, len(s), limit)
	}
	if !utf8.ValidString(s) {
		return fmt.Errorf("%s is not UTF-8", field)
	}
	for _, r := range s {
		if unicode.IsControl(r) && r != '\n' && r != '\t' {
			return fmt.Errorf("%s holds control character %U", field, r)
		}
	}
	return nil
}

func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// checkRange refuses a number outside least to most.
func checkRange(field string, n, least, most int64) error {
	if n < least || n > most {
		return fmt.Errorf("%s is %d, want %d to %d", field, n, least, most)
	}
	return nil
}
