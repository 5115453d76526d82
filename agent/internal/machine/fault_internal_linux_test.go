package machine

import (
	"testing"

	"handrail/signaling"
)

// FuzzParse: who may write to the kernel's log chooses what is in it.
func FuzzParse(f *testing.F) {
	f.Add("Out of memory: Killed process 4711 (firefox) total-vm:4194304kB")
	f.Add("1min 2.345s NetworkManager-wait-online.service\n 12ms x.service")
	f.Add("EXT4-fs (sda1): error ((((")
	f.Fuzz(func(t *testing.T, text string) {
		if c, ok := classify(signaling.JournalLine{Text: text}); ok && (len(c.Text) > 400 || c.Kind == "") {
			t.Errorf("%+v", c)
		}
		if rows := parseBlame(text); len(rows) > 60 {
			t.Errorf("%d rows", len(rows))
		}
	})
}
