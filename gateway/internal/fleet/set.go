package fleet

import "math/bits"

// Set is a set of devices by their number in the software index, a bit each. nil is the
// empty set.
type Set []uint64

// Has reports whether n is in the set; a negative n is in none.
func (s Set) Has(n int64) bool {
	return n >= 0 && n>>6 < int64(len(s)) && s[n>>6]&(1<<(n&63)) != 0
}

// With returns the set with n; it may reuse s. A negative n changes nothing.
func (s Set) With(n int64) Set {
	if n < 0 {
		return s
	}
	for int64(len(s)) <= n>>6 {
		s = append(s, 0)
	}
	s[n>>6] |= 1 << (n & 63)
	return s
}

// Or returns the union; it may reuse s.
func (s Set) Or(t Set) Set {
	for len(s) < len(t) {
		s = append(s, 0)
	}
	for i, w := range t {
		s[i] |= w
	}
	return s
}

// CountIn counts what is in both.
func (s Set) CountIn(t Set) int {
	n := 0
	for i := range min(len(s), len(t)) {
		n += bits.OnesCount64(s[i] & t[i])
	}
	return n
}

// Len counts the set.
func (s Set) Len() int {
	n := 0
	for _, w := range s {
		n += bits.OnesCount64(w)
	}
	return n
}
