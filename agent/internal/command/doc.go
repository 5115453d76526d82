// Package command carries out what operators tell a device to do, once each. Every step of a
// command is on disk before it is taken: known, begun, over. One that comes twice is
// recognised; one that was begun when the agent died is not begun again but reported as
// interrupted, unless what it was for can be seen to have happened (a restart) or can be
// taken up where it was left (a new device key). Results are kept until the gateway has
// said that it has them.
//
// It speaks to nobody itself: the daemon hands it functions.
package command
