// Package inject turns a viewer's input frames into input of the device. The session
// room has checked grants before it calls Apply; this room keeps what each viewer holds
// (so that nothing stays pressed when a viewer goes silent, away or loses control),
// places positions on monitors, and drives one back end: XTEST and XKB over a connection
// of its own on X11 (agent/internal/x11), robotgo on Windows and macOS, and on Linux
// only when built with -tags robotgo and asked for.
//
// A key that produced text is typed by its text: on the same physical key where the
// device's layout has the text there, on another key with the modifiers that layout
// needs, or on a spare keycode that is given the character for a while. Every other
// key goes by its physical place. See docs/decisions/0003-input-injection.md.
//
// Lock order: Injector.mu, then x11.Conn's.
package inject
