// Package api is the gateway's REST interface: for the console and the command line under
// /api, for devices under /agent. It checks who may do what before anything else happens,
// calls the rooms that know the rules, records what was done in the audit log, and turns
// every error into a problem document (RFC 9457) with a code. The OpenAPI document is made
// from the same registrations that answer the requests.
//
// A request passes, in this order: security headers, cross-origin check, operation lookup,
// authorization (package-wide default: deny), reading and validation of the input, the
// operation.
package api
