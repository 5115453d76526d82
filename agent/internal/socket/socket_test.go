package socket_test

import (
	"net"
	"os"
	"testing"

	"handrail/agent/internal/socket"
)

// TestThisMachine: a socket that listens is in the list, with its inode.
func TestThisMachine(t *testing.T) {
	if _, err := os.Stat("/proc/net/tcp"); err != nil {
		return // a system without such lists
	}
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for _, s := range socket.Read("/proc/self/net") {
		if s.State == "LISTEN" && s.Local.String() == l.Addr().String() && s.Inode != 0 && s.UID == uint32(os.Getuid()) {
			return
		}
	}
	t.Errorf("%s is in no list", l.Addr())
}

func TestParse(t *testing.T) {
	const text = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n" +
		"   0: 00000000:0016 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4711 1 x 100 0 0 10 0\n" +
		"   1: nonsense\n"
	got := socket.Parse(nil, "tcp", []byte(text))
	if len(got) != 1 || got[0].Local.Port() != 22 || got[0].State != "LISTEN" || got[0].Inode != 4711 || socket.Words(got[0].Local) != "*:22" || socket.Words(got[0].Remote) != "" {
		t.Errorf("Parse = %+v", got)
	}
}

func FuzzParse(f *testing.F) {
	f.Add("   0: 00000000:0016 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4711 1\n")
	f.Add("   0: 00000000000000000000000001000000:1F90 00000000000000000000000000000000:0000 FF 0:0 0:0 0 -1 0 x\n")
	f.Fuzz(func(_ *testing.T, text string) {
		for _, s := range socket.Parse(nil, "tcp6", []byte(text)) {
			_ = socket.Words(s.Local)
		}
	})
}
