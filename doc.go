// Package handrail is the root of the Handrail module: a remote support and
// troubleshooting gateway on top of a device management core. It holds no code,
// only the rules every other package keeps (see arch_test.go).
package handrail
