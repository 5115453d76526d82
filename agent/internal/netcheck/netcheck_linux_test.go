package netcheck_test

import (
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"handrail/agent/internal/netcheck"
	"handrail/signaling"
	"handrail/signaling/tool/tooltest"
)

// nameserver is a DNS server that knows one name; it returns its address. Names are only served at
// port 53, so it takes an address of its own.
func nameserver(t *testing.T, address string, answers bool) string {
	t.Helper()
	c, err := net.ListenPacket("udp4", address+":53")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	go func() {
		b := make([]byte, 512)
		for {
			n, from, err := c.ReadFrom(b)
			if err != nil {
				return
			}
			if !answers || n < 17 {
				continue
			}
			end := 12
			for end < n && b[end] != 0 {
				end += int(b[end]) + 1
			}
			end += 5
			if end > n {
				continue
			}
			reply := slices.Clone(b[:end])
			reply[2], reply[3] = 0x81, 0x80
			copy(reply[6:12], []byte{0, 0, 0, 0, 0, 0})
			known := strings.Contains(string(reply[12:end]), "printer")
			if !known {
				reply[3] |= 3 // there is no such name
			}
			if known && reply[end-3] == 1 {
				reply[7] = 1
				reply = append(reply, 0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, 7)
			}
			_, _ = c.WriteTo(reply, from)
		}
	}()
	return address
}

type checked struct {
	signaling.NetDone
	text string
}

// check runs one check to its end.
func check(v *tooltest.Viewer, r signaling.NetRun) checked {
	v.Say(signaling.TypeNetRun, "7", r)
	var out checked
	for {
		switch b := v.Next().Body.(type) {
		case signaling.NetLine:
			out.text += string(b.Tone) + " " + b.Text + "\n"
		case signaling.NetDone:
			out.NetDone = b
			return out
		}
	}
}

func serve(t *testing.T, cfg netcheck.Config) *tooltest.Viewer {
	return tooltest.Serve(t, netcheck.New(cfg).Serve, signaling.Diagnostics)
}

func has(t *testing.T, c checked, ok bool, parts ...string) {
	t.Helper()
	all := c.text + c.Message
	for _, p := range parts {
		if !strings.Contains(all, p) {
			t.Errorf("lacks %q:\n%s", p, all)
		}
	}
	if c.OK != ok {
		t.Errorf("OK is %t:\n%s", c.OK, all)
	}
}

// TestState: how the machine is connected, and its sockets with who has them.
func TestState(t *testing.T) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	resolv := filepath.Join(t.TempDir(), "resolv.conf")
	if err := os.WriteFile(resolv, []byte("nameserver 192.0.2.53\nnameserver nonsense\nsearch example.org\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	v := serve(t, netcheck.Config{Resolv: resolv})
	v.Say(signaling.TypeNetAsk, "1", signaling.NetAsk{})
	s := tooltest.Await[signaling.NetState](v, "the state", nil)
	lo := slices.IndexFunc(s.Interfaces, func(i signaling.NetInterface) bool { return i.Name == "lo" })
	if lo < 0 || !s.Interfaces[lo].Up || !slices.Contains(s.Interfaces[lo].Addresses, "127.0.0.1/8") || !slices.Equal(s.DNS, []string{"192.0.2.53"}) || !slices.Equal(s.Search, []string{"example.org"}) {
		t.Errorf("state %+v", s)
	}
	v.Say(signaling.TypeNetSocketsAsk, "2", signaling.NetSocketsAsk{})
	found := false
	for {
		m := tooltest.Await[signaling.NetSockets](v, "sockets", nil)
		for _, k := range m.Sockets {
			found = found || k.Local == l.Addr().String() && k.State == "LISTEN" && k.PID == int64(os.Getpid())
		}
		if m.Last {
			break
		}
	}
	if !found {
		t.Errorf("%s and its process are not told", l.Addr())
	}
}

// TestEchoes takes root, as raw sockets do.
func TestEchoes(t *testing.T) {
	if os.Getuid() != 0 {
		t.Log("only root may send echoes everywhere")
		return
	}
	v := serve(t, netcheck.Config{})
	has(t, check(v, signaling.NetRun{What: signaling.NetPing, Target: "127.0.0.1", Count: 2}), true, "good 1: answer from 127.0.0.1", "2 of 2 answered")
	has(t, check(v, signaling.NetRun{What: signaling.NetTrace, Target: "127.0.0.1"}), true, "good 1: 127.0.0.1", "reached in step 1")
	if n := strings.Join(v.Notes(), "\n"); !strings.Contains(n, "ping 127.0.0.1: 2 of 2 answered") || !strings.Contains(n, "trace 127.0.0.1: ") {
		t.Errorf("the timeline has %q", n)
	}
}

// TestNames: names are asked for at a server of the viewer's choice; one that does not answer, as a wrong
// one, is found by itself.
func TestNames(t *testing.T) {
	if os.Getuid() != 0 {
		t.Log("only root may serve names")
		return
	}
	good, deaf := nameserver(t, "127.0.0.77", true), nameserver(t, "127.0.0.78", false)
	v := serve(t, netcheck.Config{})
	has(t, check(v, signaling.NetRun{What: signaling.NetResolve, Target: "printer.example.org", Server: good, Record: "A"}), true, "A 192.0.2.7", "was found")
	has(t, check(v, signaling.NetRun{What: signaling.NetResolve, Target: "nobody.example.org", Server: good}), false, "there is no such name")
	has(t, check(v, signaling.NetRun{What: signaling.NetResolve, Target: "printer.example.org", Server: deaf}), false, "no answer came in time")

	resolv := filepath.Join(t.TempDir(), "resolv.conf")
	if err := os.WriteFile(resolv, []byte("nameserver "+good+"\nnameserver "+deaf+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	v = serve(t, netcheck.Config{Resolv: resolv})
	has(t, check(v, signaling.NetRun{What: signaling.NetResolve, Target: "printer.example.org"}), false, "1 of 2 servers")
	c := check(v, signaling.NetRun{What: signaling.NetProblem})
	if !strings.Contains(c.Message, "No network is connected") && !strings.Contains(c.Message, "no router") { // of the test machine itself
		has(t, c, false, "good DNS server 127.0.0.77 answers", "DNS server 127.0.0.78 does not answer")
	}
}

// TestServers: connections, certificates and pages, good and bad.
func TestServers(t *testing.T) {
	pages := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/":
			fmt.Fprint(w, `<script src="/assets/x.js"></script>`)
		case "/assets/x.js":
			fmt.Fprint(w, strings.Repeat("secret", 10_000))
		case "/moved":
			http.Redirect(w, r, "/", http.StatusFound)
		case "/round":
			http.Redirect(w, r, "/round", http.StatusFound)
		case "/broken":
			http.Error(w, "secret", http.StatusBadGateway)
		}
	})
	open, secure := httptest.NewServer(pages), httptest.NewUnstartedServer(pages)
	defer open.Close()
	secure.Config.ErrorLog = nil
	secure.StartTLS()
	defer secure.Close()
	port := func(s *httptest.Server) int64 { return int64(s.Listener.Addr().(*net.TCPAddr).Port) } //nolint:forcetypeassert // it is one
	authority := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: secure.Certificate().Raw}))
	v := serve(t, netcheck.Config{Server: func() (string, string) { return secure.URL, authority }})

	has(t, check(v, signaling.NetRun{What: signaling.NetConnect, Target: "127.0.0.1", Port: port(open)}), true, "takes connections")
	dead, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	dead.Close()
	has(t, check(v, signaling.NetRun{What: signaling.NetConnect, Target: "127.0.0.1", Port: int64(dead.Addr().(*net.TCPAddr).Port)}), false, "nothing listens") //nolint:forcetypeassert // it is one
	has(t, check(v, signaling.NetRun{What: signaling.NetTLS, Target: "127.0.0.1", Port: port(secure)}), false, "TLS 1.3", "certificate 1: ", "nobody this device trusts")
	has(t, check(v, signaling.NetRun{What: signaling.NetTLS, Target: "127.0.0.1", Port: port(open)}), false, "does not speak TLS")
	has(t, check(v, signaling.NetRun{What: signaling.NetHTTP, Target: open.URL + "/moved"}), true, "connected to", "302 Found", "sent on to", "200 OK")
	has(t, check(v, signaling.NetRun{What: signaling.NetHTTP, Target: open.URL + "/round"}), false, "without end")
	c := check(v, signaling.NetRun{What: signaling.NetHTTP, Target: open.URL + "/broken"})
	has(t, c, false, "502 Bad Gateway", "the service is not")
	if strings.Contains(c.text+c.Message, "secret") {
		t.Errorf("what the page says is told:\n%s", c.text)
	}
	has(t, check(v, signaling.NetRun{What: signaling.NetRate}), true, "Mbit/s")
	if off, err := netcheck.New(netcheck.Config{Server: func() (string, string) { return secure.URL, authority }}).Clock(t.Context()); err != nil || off > 30*time.Second || off < -30*time.Second {
		t.Errorf("Clock = %v, %v", off, err)
	}
}

// TestRefuses: what is no target reaches no network; too many checks wait; each can be ended.
func TestRefuses(t *testing.T) {
	v := serve(t, netcheck.Config{})
	for _, r := range []signaling.NetRun{
		{What: signaling.NetPing, Target: "-c 5 x"},
		{What: signaling.NetPing, Target: ""},
		{What: signaling.NetPing, Target: "a b"},
		{What: signaling.NetTLS, Target: "x;ls"},
		{What: signaling.NetHTTP, Target: "file:///etc/passwd"},
		{What: signaling.NetHTTP, Target: "http://user:secret@x/"},
		{What: signaling.NetRate},
		{What: signaling.NetResolve, Target: "x", Server: "not an address"},
	} {
		if c := check(v, r); c.OK || c.text != "" || c.Message == "" {
			t.Errorf("%+v: %+v", r, c)
		}
	}
	deaf, err := net.Listen("tcp4", "127.0.0.1:0") // takes connections, and says nothing
	if err != nil {
		t.Fatal(err)
	}
	defer deaf.Close()
	go func() {
		for {
			c, err := deaf.Accept()
			if err != nil {
				return
			}
			go func() { _, _ = io.Copy(io.Discard, c) }()
		}
	}()
	for i := range 5 {
		v.Say(signaling.TypeNetRun, fmt.Sprint(i), signaling.NetRun{What: signaling.NetHTTP, Target: "http://" + deaf.Addr().String() + "/"})
	}
	tooltest.Await(v, "the fifth being refused", func(d signaling.NetDone) bool { return strings.Contains(d.Message, "Too many") })
	v.Say(signaling.TypeNetStop, "", signaling.NetStop{Check: "2"})
	for {
		if e := v.Next(); e.Type == signaling.TypeNetDone {
			if d, _ := e.Body.(signaling.NetDone); e.Re != "2" || d.OK || !strings.Contains(d.Message, "ended before") {
				t.Errorf("%s: %+v", e.Re, e.Body)
			}
			break
		}
	}
}
