package daemon

import "os"

// person returns the account of whoever is signed in at the device, as whom terminals and files are
// opened; ok is false where nobody is known. An agent that is not root has only its own; root is
// nobody's account.
func (d *Daemon) person() (uid int, ok bool) {
	uid = os.Geteuid()
	if desktop, _ := d.seat.Now(); desktop != nil {
		uid = desktop.UID
	} else if d.cfg.DesktopUID >= 0 {
		uid = d.cfg.DesktopUID
	}
	return uid, uid > 0
}
