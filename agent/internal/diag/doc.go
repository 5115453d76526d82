// Package diag looks at the device: its inventory in the sections of mdm/inventory, and the
// fingerprint of its hardware. It reads and never runs programs or changes anything. Reading
// a file and parsing its text are apart, so that parsing is tested anywhere; every reader
// stands alone, and what cannot be read is left empty.
//
// Figures that move all the time are held until they have moved enough, so that an idle
// device has nothing to send.
package diag
