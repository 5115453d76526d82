// Package desktop watches the desktop of a device for the session room: where its
// monitors are, what its cursor looks like and where it is, what is on its clipboard,
// and whether the person in front of it is using it. It puts text on the clipboard and
// wakes a blank screen. It neither captures nor injects.
//
// On X11 it lives on one connection (agent/internal/x11) and on events: RandR for
// monitors, XFixes for cursors and the clipboard's owner, XInput 2 raw events for pointer
// and local input. Nothing is polled, and while nobody watches only RandR is heard. It
// comes back by itself when the X server does. Elsewhere New refuses. Of the selections only
// CLIPBOARD counts; PRIMARY, for the middle button, changes with every drag of the mouse.
package desktop
