// Package tlsconf decides how connections are encrypted: the gateway's own certificate, one
// from an ACME authority, or one under an authority it made itself, whose certificate
// enrollment carries; and the TLS that nodes speak among themselves. It fails closed: where
// plain HTTP would leave the machine it returns an error that says what to configure.
package tlsconf
