// Package daemon is the roof of the agent on a device: it makes the rooms (link, session,
// prompt, diag, picture, inject, desktop), gives each the functions it works with, and runs
// them together. It decides nothing that a room can decide.
//
// What belongs to the screen comes and goes with the display; the link, and with it
// presence and inventory, goes on without one. A gateway's final refusal ends the link but
// not the daemon, which waits to be enrolled anew and says meanwhile what is wrong.
package daemon
