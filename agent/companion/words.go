package main

import (
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"handrail/agent/internal/prompt"
	"handrail/signaling"
)

// wording of a capability for the person at the device.
type wording struct{ title, detail string }

func wordsFor(c signaling.Capability) wording {
	switch c {
	case signaling.View:
		return wording{"See your screen", "Everything that is visible, as it happens"}
	case signaling.Control:
		return wording{"Use your mouse and keyboard", "You can always take over by moving your own"}
	case signaling.Clipboard:
		return wording{"Share the clipboard", "Read what you copy, and copy text for you"}
	case signaling.Files:
		return wording{"Work with your files", "Browse, copy and change them"}
	case signaling.Terminal:
		return wording{"Run commands", "In a terminal on this computer"}
	case signaling.Root:
		return wording{"Act as administrator", "Commands, files and programs of the whole computer"}
	case signaling.Diagnostics:
		return wording{"Look under the hood", "Running programs, services and logs"}
	case signaling.Power:
		return wording{"Lock, sign out or restart", "This computer"}
	case signaling.Record:
		return wording{"Keep a recording", "Of what is shown during the session"}
	}
	return wording{string(c), ""}
}

// shorten makes words from elsewhere fit a line: at most n characters, one line.
func shorten(s string, n int) string {
	s = strings.Join(strings.Fields(s), " ")
	if utf8.RuneCountInString(s) <= n {
		return s
	}
	return strings.TrimSpace(string([]rune(s)[:n-1])) + "…"
}

func name(o signaling.Operator) string {
	switch {
	case strings.TrimSpace(o.Name) != "":
		return shorten(o.Name, 40)
	case o.Email != "":
		return shorten(o.Email, 40)
	}
	return "Somebody"
}

// initials of a name, two at most.
func initials(o signaling.Operator) string {
	var out []rune
	for _, w := range strings.Fields(name(o)) {
		if len(out) < 2 {
			r, _ := utf8.DecodeRuneInString(w)
			out = append(out, r)
		}
	}
	return strings.ToUpper(string(out))
}

// affiliation is role, organisation and address, what there is of them.
func affiliation(o signaling.Operator, organisation string) string {
	var parts []string
	for _, p := range []string{o.Role, organisation} {
		if p = shorten(p, 40); p != "" {
			parts = append(parts, p)
		}
	}
	return strings.Join(parts, ", ")
}

// doing says in a few words what goes on in a session.
func doing(b prompt.Banner) string {
	switch {
	case b.Paused:
		return "Paused. Nothing is shown"
	case len(b.Viewers) == 0:
		return "may see this screen"
	case b.Controlled:
		return "uses this computer with you"
	}
	return "sees this screen"
}

// others names viewers besides the operator who asked.
func others(b prompt.Banner) string {
	n := 0
	for _, v := range b.Viewers {
		if v != b.Operator.Name {
			n++
		}
	}
	switch n {
	case 0:
		return ""
	case 1:
		return " and 1 more"
	}
	return fmt.Sprintf(" and %d more", n)
}

// clock is a time that is left, such as 4:05 or 1:02:03.
func clock(d time.Duration) string {
	s := int(max(d, 0) / time.Second)
	if s >= 3600 {
		return fmt.Sprintf("%d:%02d:%02d", s/3600, s/60%60, s%60)
	}
	return fmt.Sprintf("%d:%02d", s/60, s%60)
}
