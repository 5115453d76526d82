// Package finding is the tool that says what is wrong with a device, worst first, each with what
// it was seen by and what to do next. It looks with the means of the other tools, which it is given,
// and at all things at once: what is known quickly is told quickly, and what hangs holds nothing up.
package finding
