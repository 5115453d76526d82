// Package seat knows whose desktop is on the device's screen, and tells when that changes: from
// logind where there is one, else it is the display the agent was given.
package seat
