//go:build linux

package main

import (
	"bufio"
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
)

// desktop is an X display nobody sits at: Xvfb, a session bus, a window manager and the
// programs a person would have open.
type desktop struct {
	run     *runner
	home    string
	display string // ":7"
	auth    string // Xauthority file
	x, bus  *process
}

// programs are what is on the screen, with where each stands. Geometry is the program's own option where it has one.
var programs = [][]string{
	{"xterm", "-geometry", "100x26+60+60", "-fa", "DejaVu Sans Mono", "-fs", "11", "-title", "Terminal"},
	{"mousepad", "welcome.txt"},
	{"pcmanfm", "--no-desktop", "."},
	{"galculator"},
}

// open starts the X server and waits until it takes connections.
func (d *desktop) open(ctx context.Context) error {
	if err := d.prepareHome(); err != nil {
		return err
	}
	d.auth = filepath.Join(d.home, ".Xauthority")
	if err := os.WriteFile(d.auth, xauthority(), 0o600); err != nil {
		return err
	}
	number, err := d.startX(ctx)
	if err != nil {
		return err
	}
	d.display = ":" + number
	// For whoever wants to put another program on the demo's screen.
	if err := os.WriteFile(filepath.Join(filepath.Dir(d.home), "display"), []byte(d.display+"\n"), 0o600); err != nil {
		return err
	}
	d.run.env = append(d.run.env, "DISPLAY="+d.display, "XAUTHORITY="+d.auth, "HOME="+d.home,
		"XDG_CONFIG_HOME="+filepath.Join(d.home, ".config"), "XDG_CACHE_HOME="+filepath.Join(d.home, ".cache"),
		"XDG_DATA_HOME="+filepath.Join(d.home, ".local/share"), "XDG_SESSION_TYPE=x11", "NO_AT_BRIDGE=1")
	d.run.dir = d.home
	return d.startBus(ctx)
}

// startX runs Xvfb and returns its display number. -displayfd makes the server choose a
// free one and tell us when it is ready.
func (d *desktop) startX(ctx context.Context) (string, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return "", err
	}
	defer r.Close()
	d.x, err = d.run.start("xvfb", []string{
		"Xvfb", "-displayfd", "3", "-screen", "0", "1920x1080x24", "-nolisten", "tcp",
		"-auth", d.auth, "-noreset",
	}, func(c *exec.Cmd) { c.ExtraFiles = []*os.File{w} })
	w.Close()
	if err != nil {
		return "", err
	}
	return firstLine(ctx, r, d.x)
}

// startBus runs a D-Bus session bus; the desktop's programs are slow or mute without one.
func (d *desktop) startBus(ctx context.Context) error {
	r, w, err := os.Pipe()
	if err != nil {
		return err
	}
	defer r.Close()
	d.bus, err = d.run.start("dbus", []string{"dbus-daemon", "--session", "--nofork", "--nopidfile", "--print-address=3"},
		func(c *exec.Cmd) { c.ExtraFiles = []*os.File{w} })
	w.Close()
	if err != nil {
		return err
	}
	address, err := firstLine(ctx, r, d.bus)
	if err != nil {
		return err
	}
	d.run.env = append(d.run.env, "DBUS_SESSION_BUS_ADDRESS="+address)
	return nil
}

// firstLine reads what a starting process reports, or says that it ended instead.
func firstLine(ctx context.Context, r *os.File, p *process) (string, error) {
	lines := make(chan string, 1)
	go func() {
		s := bufio.NewScanner(r)
		if s.Scan() {
			lines <- strings.TrimSpace(s.Text())
		}
	}()
	select {
	case l := <-lines:
		return l, nil
	case <-p.done:
		return "", fmt.Errorf("%s ended at once: see its log", p.name)
	case <-time.After(20 * time.Second):
		return "", fmt.Errorf("%s did not come up within 20 s: see its log", p.name)
	case <-ctx.Done():
		return "", ctx.Err()
	}
}

// keep runs the window manager and the programs until ctx ends. A program the visitor
// closes comes back a second later: the desktop never runs empty.
func (d *desktop) keep(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return d.run.supervise(ctx, "openbox", []string{"openbox", "--sm-disable"}) })
	if err := d.awaitManager(ctx); err != nil {
		return errors.Join(err, g.Wait())
	}
	paint := exec.CommandContext(ctx, "xsetroot", "-solid", "#2b3a4a")
	paint.Env = append(os.Environ(), d.run.env...)
	if err := paint.Run(); err != nil && ctx.Err() == nil {
		return fmt.Errorf("paint the background: %w", err)
	}
	for _, argv := range programs {
		g.Go(func() error { return d.run.supervise(ctx, argv[0], argv) })
	}
	g.Go(func() error {
		select {
		case <-ctx.Done():
			return nil
		case <-d.x.done:
			return errors.New("the demo's X server ended")
		}
	})
	return g.Wait()
}

// awaitManager waits until the window manager has announced itself (EWMH's
// _NET_SUPPORTING_WM_CHECK): windows that appear earlier are not placed.
func (d *desktop) awaitManager(ctx context.Context) error {
	for range 100 {
		look := exec.CommandContext(ctx, "xprop", "-root", "_NET_SUPPORTING_WM_CHECK")
		look.Env = append(os.Environ(), d.run.env...)
		if b, err := look.Output(); err == nil && strings.Contains(string(b), "window id") {
			return nil
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(50 * time.Millisecond):
		}
	}
	return errors.New("the window manager did not come up within 5 s: see openbox.log")
}

func (d *desktop) close() {
	d.bus.stop()
	d.x.stop()
}

// prepareHome lays out a small home directory the first time.
func (d *desktop) prepareHome() error {
	files := map[string]string{
		"welcome.txt":            "This is the demo device.\n\nType here, click around: you are looking at a live desktop\nthrough a browser.\n",
		"Documents/shopping.txt": "tea\nbread\na longer network cable\n",
		"Documents/notes.txt":    "The printer on the second floor is called Gutenberg.\n",
		// Place the windows so that none hides another at 1920x1080.
		".config/openbox/rc.xml":   openboxSettings,
		".bashrc":                  "PS1='demo:\\w\\$ '\n",
		".config/libfm/libfm.conf": "[config]\nsingle_click=0\n",
	}
	for name, text := range files {
		p := filepath.Join(d.home, name)
		if err := os.MkdirAll(filepath.Dir(p), 0o700); err != nil {
			return err
		}
		if _, err := os.Stat(p); err == nil {
			continue
		}
		if err := os.WriteFile(p, []byte(text), 0o600); err != nil {
			return err
		}
	}
	return nil
}

// xauthority returns an Xauthority file with one fresh cookie good for any display of
// this host: family 65535 ("wild"), then four strings with 16-bit lengths (Xau(3)).
func xauthority() []byte {
	cookie := make([]byte, 16)
	rand.Read(cookie)
	b := binary.BigEndian.AppendUint16(nil, 65535)
	for _, s := range []string{"", "", "MIT-MAGIC-COOKIE-1", string(cookie)} {
		b = binary.BigEndian.AppendUint16(b, uint16(len(s)))
		b = append(b, s...)
	}
	return b
}

// openboxSettings decorates windows plainly and places each program's window.
const openboxSettings = `<?xml version="1.0" encoding="UTF-8"?>
<openbox_config xmlns="http://openbox.org/3.4/rc">
  <theme><name>Clearlooks</name><titleLayout>NLIMC</titleLayout></theme>
  <desktops><number>1</number></desktops>
  <keyboard>
    <keybind key="A-Tab"><action name="NextWindow"/></keybind>
    <keybind key="A-F4"><action name="Close"/></keybind>
  </keyboard>
  <mouse>
    <context name="Titlebar">
      <mousebind button="Left" action="Drag"><action name="Move"/></mousebind>
      <mousebind button="Left" action="Press"><action name="Focus"/><action name="Raise"/></mousebind>
      <mousebind button="Left" action="DoubleClick"><action name="ToggleMaximize"/></mousebind>
    </context>
    <context name="Client">
      <mousebind button="Left" action="Press"><action name="Focus"/><action name="Raise"/></mousebind>
    </context>
    <context name="BRCorner"><mousebind button="Left" action="Drag"><action name="Resize"><edge>bottomright</edge></action></mousebind></context>
    <context name="Close"><mousebind button="Left" action="Click"><action name="Close"/></mousebind></context>
    <context name="Maximize"><mousebind button="Left" action="Click"><action name="ToggleMaximize"/></mousebind></context>
    <context name="Iconify"><mousebind button="Left" action="Click"><action name="Iconify"/></mousebind></context>
    <context name="Root"><mousebind button="Right" action="Press"><action name="ShowMenu"><menu>client-list-combined-menu</menu></action></mousebind></context>
  </mouse>
  <applications>
    <application class="XTerm"><position force="yes"><x>60</x><y>60</y></position></application>
    <application class="Mousepad"><position force="yes"><x>1040</x><y>60</y></position><size><width>800</width><height>460</height></size></application>
    <application class="Pcmanfm"><position force="yes"><x>60</x><y>600</y></position><size><width>902</width><height>400</height></size></application>
    <application class="Galculator"><position force="yes"><x>1040</x><y>600</y></position></application>
  </applications>
</openbox_config>
`
