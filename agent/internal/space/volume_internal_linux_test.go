package space

import (
	"testing"
	"unicode/utf8"
)

// TestStuck: a file system that has not answered is said to be stuck, and is not asked once more
// meanwhile.
func TestStuck(t *testing.T) {
	tool := New()
	tool.ask.stuck = map[string]bool{"/": true}
	v, ok := tool.volume(t.Context(), mount{dir: "/", source: "server:/x", kind: "nfs4"})
	if !ok || !v.Stuck || !v.Remote {
		t.Errorf("%+v, %t", v, ok)
	}
}

func FuzzMounts(f *testing.F) {
	f.Add([]byte("36 35 98:0 /mnt1 /mnt2\\040x rw,noatime master:1 - ext3 /dev/root rw,errors=continue\n"))
	f.Add([]byte("1 2 0:5 / /a\\9\\ ro - fuse.sshfs me@there:/ rw"))
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, m := range parseMounts(b) {
			if s := show(m.dir, 300); !utf8.ValidString(s) || len(s) > 310 {
				t.Errorf("show(%q) = %q", m.dir, s)
			}
			_ = m.isShown()
		}
	})
}

func TestParseMounts(t *testing.T) {
	got := parseMounts([]byte("36 35 98:0 /mnt1 /mnt2\\040x rw,noatime master:1 - ext3 /dev/root ro,errors=continue\n"))
	if len(got) != 1 || got[0].dir != "/mnt2 x" || got[0].device != "98:0" || !got[0].readOnly || got[0].kind != "ext3" {
		t.Errorf("parseMounts = %+v", got)
	}
}
