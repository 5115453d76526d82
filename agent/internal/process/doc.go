// Package process is the tool that shows what runs on the device and acts on it: ends, holds and
// continues processes and gives them another priority. Nothing is read while nobody looks.
//
// A process is known by its number and by when it began, as the kernel gives the numbers of
// ended ones to others; a signal goes to a handle of the process that was looked at, and not to a
// number. The viewer's right to diagnostics suffices for what the person signed in runs; for everything else
// the right to act as administrator is needed too. The agent's own processes are left alone.
package process
