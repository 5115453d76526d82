package daemon

import "os"

// person returns the account of whoever is signed in at the device, as whom terminals and files are
// opened; ok is false where nobody is known. An agent that is not root has only its own.
func (d *Daemon) person() (uid int, ok bool) {
	if d.cfg.DesktopUID >= 0 {
		return d.cfg.DesktopUID, true
	}
	own := os.Geteuid()
	return own, own > 0
}
