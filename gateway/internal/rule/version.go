package rule

import "strings"

// VersionLess reports whether package version a comes before b in the order of Debian policy
// 5.6.12: epoch, upstream version, revision; "~" before everything, even the end.
func VersionLess(a, b string) bool { return CompareVersions(a, b) < 0 }

// CompareVersions is negative when a comes before b, 0 when they are equal, else positive.
func CompareVersions(a, b string) int {
	ea, a := epoch(a)
	eb, b := epoch(b)
	if c := comparePart(ea, eb); c != 0 {
		return c
	}
	ua, ra := revision(a)
	ub, rb := revision(b)
	if c := comparePart(ua, ub); c != 0 {
		return c
	}
	return comparePart(ra, rb)
}

func epoch(v string) (string, string) {
	v = strings.TrimSpace(v)
	if i := strings.IndexByte(v, ':'); i >= 0 {
		return v[:i], v[i+1:]
	}
	return "", v
}

func revision(v string) (string, string) {
	if i := strings.LastIndexByte(v, '-'); i >= 0 {
		return v[:i], v[i+1:]
	}
	return v, ""
}

func comparePart(a, b string) int {
	for a != "" || b != "" {
		// First what is not digits, letter by letter; the end of either is weight 0.
		for a != "" && !isDigit(a[0]) || b != "" && !isDigit(b[0]) {
			wa, wb := weight(a), weight(b)
			if wa != wb {
				return wa - wb
			}
			a, b = a[1:], b[1:] // equal weights that are not 0: both have a letter
		}
		var na, nb string
		na, a = digits(a)
		nb, b = digits(b)
		if len(na) != len(nb) {
			return len(na) - len(nb)
		}
		if c := strings.Compare(na, nb); c != 0 {
			return c
		}
	}
	return 0
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

// weight orders letters before other characters and "~" before the end.
func weight(s string) int {
	switch {
	case s == "" || isDigit(s[0]):
		return 0
	case s[0] == '~':
		return -1
	case s[0] >= 'a' && s[0] <= 'z' || s[0] >= 'A' && s[0] <= 'Z':
		return int(s[0])
	}
	return int(s[0]) + 256
}

// digits cuts the number off the front, without leading zeros.
func digits(s string) (number, rest string) {
	i := 0
	for i < len(s) && isDigit(s[i]) {
		i++
	}
	return strings.TrimLeft(s[:i], "0"), s[i:]
}
