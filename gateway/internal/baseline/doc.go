// Package baseline is the compliance rules that come with the program, for workstations with
// Debian or Ubuntu: what an organisation that has none of its own would want checked first.
// The words are ours; the mappings name requirements of frameworks by their ids only. A rule
// here never takes what was not reported for good: it says unknown.
package baseline
