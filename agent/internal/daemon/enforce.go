package daemon

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"handrail/agent/internal/enforce"
	"handrail/agent/internal/enforce/browser"
	"handrail/agent/internal/enforce/catrust"
	"handrail/agent/internal/enforce/desktop"
	"handrail/agent/internal/enforce/file"
	"handrail/agent/internal/enforce/firewall"
	"handrail/agent/internal/enforce/hardware"
	"handrail/agent/internal/enforce/mail"
	"handrail/agent/internal/enforce/motd"
	"handrail/agent/internal/enforce/networkmanager"
	"handrail/agent/internal/enforce/openvpn"
	"handrail/agent/internal/enforce/osupdate"
	"handrail/agent/internal/enforce/passcode"
	"handrail/agent/internal/enforce/script"
	"handrail/agent/internal/enforce/service"
	"handrail/agent/internal/enforce/ssh"
	"handrail/agent/internal/enforce/sudo"
	"handrail/agent/internal/enforce/sysctl"
	"handrail/agent/internal/link"
	"handrail/mdm/manifest"
	"handrail/signaling"
)

// Names in the state directory of what enforces settings.
const (
	enforceDir  = "enforce" // the engine's manifest, journal and what was before
	scratchRoot = "root"    // the tree settings go to where Config.Root names none
)

// enforcers is every mechanism this agent knows.
func enforcers() []enforce.Enforcer {
	return []enforce.Enforcer{
		file.New(),
		firewall.New(),
		service.New(),
		script.New(),
		ssh.New(),
		sudo.New(),
		catrust.New(),
		osupdate.New(),
		motd.New(),
		sysctl.New(),
		networkmanager.New(),
		openvpn.New(),
		passcode.New(),
		desktop.New(),
		hardware.New(),
		browser.New(),
		mail.New(),
	}
}

// newEngine makes the engine that keeps this device as its manifest says.
func (d *Daemon) newEngine() (*enforce.Engine, error) {
	root := d.cfg.Root
	if root == "" {
		root = d.cfg.State.Path(scratchRoot)
	}
	if root != "/" {
		if err := os.MkdirAll(filepath.Join(root, "etc"), 0o755); err != nil { //nolint:gosec // as on a system
			return nil, fmt.Errorf("tree for settings: %w", err)
		}
	}
	return enforce.New(enforce.Config{
		Dir: d.cfg.State.Path(enforceDir), System: enforce.System{Root: root, Kernel: d.cfg.Kernel}, Enforcers: nativeEnforcers(),
		Fetch: d.fetchManifest, Report: d.postStatus, Reach: d.reachGateway, ConfirmWithin: d.cfg.ConfirmWithin,
	}, d.log.With("room", "enforce"))
}

// onLine calls f with the link, or fails with enforce.ErrNotNow where there is none.
func (d *Daemon) onLine(f func(*link.Link) error) error {
	d.mu.Lock()
	l := d.link
	d.mu.Unlock()
	if l == nil {
		return enforce.ErrNotNow
	}
	err := f(l)
	if errors.Is(err, link.ErrOffline) {
		err = fmt.Errorf("%w: %w", enforce.ErrNotNow, err)
	}
	return err
}

func (d *Daemon) fetchManifest(ctx context.Context, hash string) (m manifest.Manifest, same bool, err error) {
	err = d.onLine(func(l *link.Link) error {
		m, same, err = l.GetManifest(ctx, hash)
		return err
	})
	return m, same, err
}

func (d *Daemon) postStatus(ctx context.Context, r manifest.Report) error {
	d.work()
	err := d.onLine(func(l *link.Link) error { return l.PostStatus(ctx, r) })
	d.reporter.Nudge() // what was applied shows in the inventory; not all of it is a file that is watched
	return err
}

func (d *Daemon) reachGateway(ctx context.Context) error {
	return d.onLine(func(l *link.Link) error { return l.Reach(ctx) })
}

// onManifest follows a nudge of the gateway.
func (d *Daemon) onManifest(n signaling.Nudge) {
	if n.What == signaling.NudgeManifest {
		d.engine.Nudge(n.Generation, n.Hash)
	}
}
