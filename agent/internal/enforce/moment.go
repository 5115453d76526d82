package enforce

import (
	"os"
	"strconv"
	"strings"
	"time"
)

// moment is a point of time that a jump of the clock does not move: seconds since a named
// start of the machine.
type moment struct {
	Boot string  `json:"boot"`
	At   float64 `json:"at"`
}

// sinceBoot returns the present moment. Where the system does not tell, it is one no other
// process can compare with.
func sinceBoot() (moment, bool) {
	id, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return moment{}, false
	}
	up, err := os.ReadFile("/proc/uptime")
	if err != nil {
		return moment{}, false
	}
	first, _, _ := strings.Cut(string(up), " ")
	s, err := strconv.ParseFloat(first, 64)
	if err != nil {
		return moment{}, false
	}
	return moment{Boot: strings.TrimSpace(string(id)), At: s}, true
}

// left is how long it is to m; nothing where the machine was started anew since.
func (m *moment) left() time.Duration {
	now, ok := sinceBoot()
	if m == nil || !ok || now.Boot != m.Boot || now.At >= m.At {
		return 0
	}
	return time.Duration((m.At - now.At) * float64(time.Second))
}

// after is the moment d from now.
func after(d time.Duration) *moment {
	now, ok := sinceBoot()
	if !ok {
		return nil
	}
	now.At += d.Seconds()
	return &now
}
