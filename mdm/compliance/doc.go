// Package compliance keeps whether devices are as the organisation's rules want them, as a
// time series: for each device and rule the intervals of its state, with the evidence of each
// change, so that "was it compliant on that day" is answered from the same records as "is it
// now". It owns rules, states, grace, and waivers. It does not evaluate expressions: the
// gateway's engine does, and hands the verdicts to Advance.
package compliance
