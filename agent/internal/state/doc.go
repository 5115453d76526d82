// Package state keeps what a device must remember on disk, in one directory only its owner
// may enter: the identity key, the enrollment record, the last known state of the link and
// what other rooms ask it to keep. Everything is written whole to a new file and renamed,
// so a crash or a full disk leaves the old content. It knows files, not networks.
package state
