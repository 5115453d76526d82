// Package netcheck is the tool that shows how the device is connected and checks its network from
// where it stands: whether others answer, by which way, what names resolve to, whether connections
// and certificates are good. What it fetches is counted, and never shown.
package netcheck
