//go:build !linux

package account

import "errors"

// ByUID fails: programs are started as somebody else on Linux only.
func ByUID(int) (Account, error) {
	return Account{}, errors.New("this agent cannot start programs as a user on this operating system")
}
