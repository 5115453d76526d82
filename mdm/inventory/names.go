package inventory

import (
	"maps"
	"slices"
)

// Names returns the sections this version knows, sorted; software as one. A section that is not
// among them is kept by its hash alone, so nothing can be asked of it.
func Names() []string {
	out := slices.AppendSeq([]string{SectionSoftware}, maps.Keys(decoders))
	slices.Sort(out)
	return slices.Compact(out)
}
