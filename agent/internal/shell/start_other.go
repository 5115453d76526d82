//go:build !linux

package shell

import (
	"errors"

	"handrail/agent/internal/account"
)

func start(account.Account, []string, size) (program, error) {
	return nil, errors.New("this agent opens terminals on Linux only")
}
