// Package enforce makes a device what its manifest says it must be, and keeps it so: it
// plans, checks with the system's own tools, writes, reads back, watches for drift and
// mends, and puts back what was there before when a setting goes. Enforcers, one package
// each below this one, know one mechanism of the system; the engine knows none.
//
//	manifest -> Plan -> Check -> journal -> files -> Apply -> Observe -> (confirm) -> status
//
// Everything that is on disk before and after is in the journal first, so that an agent
// killed at any point takes back, at its next start, what it had not finished. All paths are
// below a root directory: tests run the real writers and validators on a scratch tree.
package enforce
