// Package report writes what the gateway knows for people who are not in front of it: as PDF
// to be read and filed, as CSV to be worked with. It knows nothing of where the facts come
// from; who calls it has checked what may be shown.
package report
