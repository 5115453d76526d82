package openvpn

import (
	"slices"
	"strings"
	"testing"
)

// FuzzCheck: what is let through has nothing in it that could run a program or name a file,
// and is let through again as it is.
func FuzzCheck(f *testing.F) {
	for _, s := range []string{
		"client\nremote vpn.example.org 1194 udp\ndev tun\n<ca>\n-----BEGIN CERTIFICATE-----\n</ca>\nauth-user-pass\n",
		"<connection>\nremote a\n</connection>\n# comment\n; comment\nsetenv opt block-outside-dns\n",
		"remote a\nup /bin/sh\n", "remote a\n\"up\" /bin/sh\n", "remote a\n--up x\n", "remote a\nsetenv opt up /bin/sh\n", "remote a\nca /etc/shadow\n",
		"remote a\n<ca>\n</ca> up x\n", "remote a\n<ca>\nup x", "\ufeffremote a\r\nverb 3\r\n", "remote a\nauth-user-pass /etc/passwd\n",
		"remote a\nsetenv UV_X y\nsetenv PATH /x\n", "remote a\ndev ../x\n", "remote a " + strings.Repeat("x", 300), "<>\nremote a\n</>\n",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		kept, s, err := check(text)
		if err != nil {
			return
		}
		if len(s.remotes) == 0 || len(kept) > len(text)+1 {
			t.Errorf("check(%q) = %q, %+v", text, kept, s)
		}
		again, s2, err := check(kept)
		if err != nil || !slices.Equal(s.remotes, s2.remotes) || s2.asksUser {
			t.Errorf("check(%q) lets %q through, and then says %v, %+v after %+v", text, kept, err, s2, s)
		}
		if strings.TrimRight(again, "\n") != strings.TrimRight(kept, "\n") {
			t.Errorf("check(%q) = %q, and of that %q", text, kept, again)
		}
		closing := ""
		for line := range strings.SplitSeq(kept, "\n") {
			w := strings.Fields(line)
			switch {
			case closing != "":
				if strings.TrimSpace(line) == closing {
					closing = ""
				}
			case len(w) == 0 || strings.HasPrefix(w[0], "#") || strings.HasPrefix(w[0], ";") || strings.Contains(w[0], "connection>"):
			case strings.HasPrefix(w[0], "<"):
				closing = "</" + w[0][1:]
			default:
				name := strings.TrimPrefix(w[0], "--")
				if !plain[name] && !inline[name] && name != "setenv" && name != "setenv-safe" {
					t.Errorf("check(%q) lets %q through", text, line)
				}
			}
		}
	})
}
