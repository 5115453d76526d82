// Package link is the device's line to its gateway: enrollment, the socket of
// signaling/client with the identity and the pins of agent/internal/state, and the HTTPS
// routes for bulk. It knows what a device is and nothing of sessions or inventories: the
// daemon gives it functions for those.
package link
