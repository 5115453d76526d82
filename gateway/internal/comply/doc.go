// Package comply is the engine of compliance: it evaluates the rules in force on the devices
// that are due and hands the verdicts to package compliance, which makes states and intervals
// of them. What is due is in the database, marked in the same transaction as the change that
// made it so; any node takes its share of it, and the share of a node that dies comes back.
package comply
