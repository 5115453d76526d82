package daemon

import (
	"runtime"
	"slices"

	"handrail/agent/internal/enforce"
	"handrail/agent/internal/enforce/plist"
	"handrail/agent/internal/enforce/registry"
)

// nativeEnforcers are the enforcers of this operating system.
func nativeEnforcers() []enforce.Enforcer { return nativeTo(runtime.GOOS, enforcers()) }

// nativeTo puts, on Windows and macOS, what works there in the place of the enforcers that
// answer for the same settings on Linux; the others stay, to say that they are for Linux only.
func nativeTo(goos string, all []enforce.Enforcer) []enforce.Enforcer {
	var own enforce.Enforcer
	switch goos {
	case "windows":
		own = registry.New()
	case "darwin":
		own = plist.New()
	default:
		return all
	}
	all = slices.DeleteFunc(all, func(e enforce.Enforcer) bool {
		return slices.ContainsFunc(e.Keys(), func(k string) bool { return slices.Contains(own.Keys(), k) })
	})
	return append(all, own)
}
