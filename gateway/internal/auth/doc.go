// Package auth knows who is there and what they may do: operators and their passwords,
// sign-ins, roles granted on groups of devices, tickets for browser sockets, the setup link
// of a fresh gateway, and the access tokens of devices. Everything is denied that is not
// granted. It keeps only hashes of what it hands out. It speaks neither HTTP nor SQL: package
// api translates the one, package store the other.
package auth
