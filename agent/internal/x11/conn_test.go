package x11_test

import (
	"encoding/binary"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"handrail/agent/internal/x11"
	"handrail/agent/internal/x11/x11test"
)

func dial(t *testing.T, display string) *x11.Conn {
	t.Helper()
	c, err := x11.Dial(display)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func TestDialErrors(t *testing.T) {
	t.Setenv("DISPLAY", "")
	for display, want := range map[string]string{
		"":        "DISPLAY is not set",
		"nothing": "not of the form",
		":x":      "not of the form",
		":59535":  "no such file",
	} {
		_, err := x11.Dial(display)
		if !errors.Is(err, x11.ErrNoDisplay) || !strings.Contains(err.Error(), want) {
			t.Errorf("Dial(%q) = %v, want %q", display, err, want)
		}
	}
}

func TestCalls(t *testing.T) {
	x := x11test.Start(t)
	c := dial(t, x.Display)
	if c.Width != 1280 || c.Height != 720 || c.MinKeycode != 8 || c.MaxKeycode != 255 {
		t.Errorf("setup: %dx%d, keycodes %d to %d", c.Width, c.Height, c.MinKeycode, c.MaxKeycode)
	}
	if _, err := c.Extension("NO-SUCH-THING"); !errors.Is(err, x11.ErrMissing) {
		t.Errorf("Extension = %v", err)
	}
	var refused *x11.ProtocolError
	// Errors come back to their own request, with and without a reply.
	if err := c.Check(x11.NewRequest(8, 0).U32(0x123456).Bytes()); !errors.As(err, &refused) || refused.Code != 3 || refused.Value != 0x123456 {
		t.Errorf("map a window that is not there: %v", err)
	}
	if _, err := c.Call(x11.NewRequest(15, 0).U32(0x123457).Bytes()); !errors.As(err, &refused) || refused.Code != 3 || refused.Major != 15 {
		t.Errorf("query a window that is not there: %v", err)
	}
	// An error nobody waits for disturbs nobody.
	if err := c.Send(x11.NewRequest(8, 0).U32(0x123458).Bytes(), 1); err != nil {
		t.Fatal(err)
	}
	atom, err := c.Atom("HANDRAIL_TEST")
	if err != nil {
		t.Fatal(err)
	}
	if name, err := c.AtomName(atom); name != "HANDRAIL_TEST" || err != nil {
		t.Errorf("AtomName = %q, %v", name, err)
	}
	if err := c.Check(x11.NewRequest(8, 0).U32(c.Root).Bytes()); err != nil {
		t.Errorf("a good request after bad ones: %v", err)
	}
}

// TestSequenceGoesRound sends more requests than a sequence number on the wire can count.
func TestSequenceGoesRound(t *testing.T) {
	x := x11test.Start(t)
	c := dial(t, x.Display)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			noop := x11.NewRequest(127, 0).Bytes()
			for i := range 20000 {
				if err := c.Send(noop, 1); err != nil {
					t.Error(err)
					return
				}
				if i%100 == 0 {
					if _, _, err := c.RootSize(); err != nil {
						t.Error(err)
						return
					}
				}
			}
		})
	}
	wg.Wait()
}

func TestServerGone(t *testing.T) {
	x := x11test.Start(t)
	c := dial(t, x.Display)
	x.Kill()
	<-c.Done()
	if err := c.Sync(); !errors.Is(err, x11.ErrClosed) {
		t.Errorf("Sync = %v", err)
	}
	if err := c.Send(nil, 0); !errors.Is(err, x11.ErrClosed) {
		t.Errorf("Send = %v", err)
	}
	for range c.Events() {
		continue // closed, or the test hangs
	}
	c.Close()
}

// TestSetupRefused checks that the server's words reach the reader.
func TestSetupRefused(t *testing.T) {
	dir := t.TempDir()
	auth := filepath.Join(dir, "auth")
	entry := func(family uint16, parts ...string) (b []byte) {
		b = binary.BigEndian.AppendUint16(b, family)
		for _, p := range parts {
			b = append(binary.BigEndian.AppendUint16(b, uint16(len(p))), p...)
		}
		return b
	}
	const right, wrong = "0123456789abcdef", "fedcba9876543210"
	write := func(b []byte) {
		if err := os.WriteFile(auth, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(entry(65535, "", "", "MIT-MAGIC-COOKIE-1", right))
	x := x11test.Start(t, "-auth", auth)
	number := strings.TrimPrefix(x.Display, ":")
	mine := filepath.Join(dir, "mine")
	t.Setenv("XAUTHORITY", mine)
	for _, tc := range []struct {
		name string
		file []byte
		ok   bool
	}{
		{"no file", nil, false},
		{"wrong cookie", entry(65535, "", number, "MIT-MAGIC-COOKIE-1", wrong), false},
		{"cut file", entry(65535, "", number, "MIT-MAGIC-COOKIE-1", right)[:20], false},
		{"another display's", entry(65535, "", "99"+number, "MIT-MAGIC-COOKIE-1", right), false},
		{"right cookie", entry(65535, "", number, "MIT-MAGIC-COOKIE-1", right), true},
		{"after others", append(append(entry(65535, "", "99"+number, "MIT-MAGIC-COOKIE-1", wrong), entry(0, "\x7f\x00\x00\x01", number, "XDM", wrong)...),
			entry(65535, "", "", "MIT-MAGIC-COOKIE-1", right)...), true},
	} {
		if tc.file != nil {
			if err := os.WriteFile(mine, tc.file, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		c, err := x11.Dial(x.Display)
		if err == nil {
			c.Close()
			<-c.Done()
		}
		if (err == nil) != tc.ok || err != nil && !errors.Is(err, x11.ErrNoDisplay) {
			t.Errorf("%s: %v", tc.name, err)
		}
	}
}

// TestHostileServer checks that broken setups and packets give errors, not panics.
func TestHostileServer(t *testing.T) {
	for name, answer := range map[string]string{
		"nothing":     "",
		"refusal":     "\x00\x05\x0b\x00\x00\x00\x02\x00go away!",
		"long reason": "\x00\xff\x0b\x00\x00\x00\x01\x00abcd",
		"short setup": "\x01\x00\x0b\x00\x00\x00\x01\x00abcd",
		"no screen":   "\x01\x00\x0b\x00\x00\x00\x08\x00" + strings.Repeat("\x00", 32),
		"vendor":      "\x01\x00\x0b\x00\x00\x00\x08\x00" + strings.Repeat("\xff", 32),
	} {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		done := make(chan struct{})
		go func() {
			defer close(done)
			nc, err := ln.Accept()
			if err != nil {
				return
			}
			_, _ = nc.Read(make([]byte, 12))
			_, _ = nc.Write([]byte(answer))
			nc.Close()
		}()
		port := ln.Addr().(*net.TCPAddr).Port //nolint:forcetypeassert // it listens on TCP
		_, err = x11.Dial("127.0.0.1:" + strconv.Itoa(port-6000))
		if !errors.Is(err, x11.ErrNoDisplay) {
			t.Errorf("%s: Dial = %v", name, err)
		}
		ln.Close()
		<-done
	}
}
