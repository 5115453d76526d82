// Package client keeps one device connected to its gateway: it dials, proves the device
// and checks the gateway (signaling/agent.go), hands messages up in order, sends what it is
// given, notices a dead link by its silence, and comes back with full jitter. It knows the
// vocabulary of signaling and nothing of sessions, inventories or files; the agent's link
// room and the simulated devices are its callers.
//
// A link's life:
//
//	connecting -> online -> waiting -> connecting ...
//	                     -> stopped   the gateway said not to come back (revoked, …)
//
// Memory matters here, since thousands of simulated devices share a process: two goroutines
// a link, write buffers from a pool, no timer while nothing is going on.
package client
