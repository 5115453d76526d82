package vitals

import (
	"fmt"
	"strings"

	"handrail/signaling"
)

// fullFrom is the share of a file system, in per cent, from which a snapshot's line names it.
const fullFrom = 80

// words says figures in one line for the session's record: what people ask for first.
func words(p signaling.VitalsParts, v signaling.Vitals) string {
	var busy int
	for _, c := range v.Cores {
		busy += c
	}
	line := []string{fmt.Sprintf("processor %d %%", busy/max(1, len(v.Cores))/10)}
	if len(v.Load) == 3 {
		line = append(line, fmt.Sprintf("load %.2f %.2f %.2f", v.Load[0], v.Load[1], v.Load[2]))
	}
	line = append(line, fmt.Sprintf("memory %s of %s", gib(v.MemoryUsed), gib(p.MemoryBytes)))
	if p.SwapBytes > 0 {
		line = append(line, fmt.Sprintf("swap %s of %s", gib(v.SwapUsed), gib(p.SwapBytes)))
	}
	for i, volume := range p.Volumes {
		if i < len(v.Volumes) && volume.Bytes > 0 && v.Volumes[i] > volume.Bytes/100*fullFrom {
			line = append(line, fmt.Sprintf("%q %d %% full", volume.Mount, v.Volumes[i]/max(1, volume.Bytes/100)))
		}
	}
	return strings.Join(line, ", ")
}

func gib(bytes int64) string { return fmt.Sprintf("%.1f GiB", float64(bytes)/(1<<30)) }
