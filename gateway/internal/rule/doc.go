// Package rule compiles and evaluates the expressions by which the gateway decides about
// devices: smart labels and compliance rules. The language is CEL (cel.dev) over a device's
// record, inventory, labels and setting states. It knows nothing of where facts come from or
// what an outcome is for; packages label and comply do.
//
// An expression is bounded before it runs (size, nesting) and while it runs (cost, deadline),
// so that none is slow, whoever wrote it. An expression that reads a fact that is not known
// is Unknown, never true or false by accident.
package rule
