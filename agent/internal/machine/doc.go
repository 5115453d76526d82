// Package machine is the tool for what else there is to know of a device: who is signed in, what
// its hardware complains of, which programs crashed, what its last start took, and which updates
// wait. Each is a table, read when it is asked for.
package machine
