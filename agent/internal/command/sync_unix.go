//go:build unix

package command

import (
	"errors"
	"os"
)

// syncDir makes a rename survive the power going.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
